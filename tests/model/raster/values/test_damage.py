"""What is no measurement: one colour, copied and lost lines, noise, steps, other colour spaces."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from mfnet.model.raster.pairs.inspection import inspect_pair
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.values.reading_options import ReadingOptions

Make = Callable[..., Path]
SIDE = 192
ROWS, COLUMNS = np.indices((SIDE, SIDE))


def picture() -> np.ndarray:
    """(3, SIDE, SIDE) uint8, from dark to bright, no colour twice to speak of."""
    shares = np.random.default_rng(0).beta(2, 3, (3, SIDE, SIDE))
    return (shares * 230 + 12).astype("uint8")


def metres() -> np.ndarray:
    """Lawn with three houses of 6 to 12 m, and trees."""
    random = np.random.default_rng(1)
    found = np.abs(random.normal(0, 0.05, (SIDE, SIDE)))
    for row, column, height in ((20, 20, 6), (60, 110, 12), (130, 40, 9)):
        found[row : row + 50, column : column + 60] += height
    return (found + 0.3 * random.random((SIDE, SIDE))).astype("float32")


@pytest.fixture
def opened(make_tiff: Make) -> Callable[..., RasterPair]:
    def open_(
        ortho: np.ndarray | None = None, heights: np.ndarray | None = None, **options: Any
    ) -> RasterPair:
        values = picture() if ortho is None else ortho
        height = metres() if heights is None else heights
        return RasterPair.open(
            make_tiff("o.tif", values, photometric="rgb"),
            make_tiff("h.tif", height.astype("float32")),
            options=ReadingOptions(**options),
        )

    return open_


def codes(pair: RasterPair) -> list[str]:
    return [remark.code for remark in pair.report.remarks]


def test_a_pair_without_damage_has_no_remark(opened: Any) -> None:
    with opened() as pair:
        assert codes(pair) == []


# ---- one colour --------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [(128, 128, 128), (229, 227, 223), (1, 1, 1), (128, 0, 128)])
def test_a_hole_of_any_one_colour_holds_no_data(opened: Any, colour: Any) -> None:
    values, hole = picture(), (abs(ROWS - 90) < 12) & (abs(COLUMNS - 70) < 15)
    values[:, hole] = np.reshape(colour, (3, 1))
    with opened(values) as pair:
        assert np.array_equal(pair.read(0, SIDE).valid["ortho"], ~hole)
        assert codes(pair) == ["ortho.hole"]
    with opened(values, collar=False) as pair:
        assert pair.read(0, SIDE).valid["ortho"].all()
        assert codes(pair) == ["ortho.one_colour"]


@pytest.mark.parametrize("colour", [0, 128, 255])
@pytest.mark.parametrize("lost", [ROWS % 16 == 3, (2 * ROWS + COLUMNS) % 64 < 6])
def test_stripes_of_one_colour_are_told(opened: Any, colour: int, lost: np.ndarray) -> None:
    with opened(np.where(lost, np.uint8(colour), picture())) as pair:
        assert pair.read(0, SIDE).valid["ortho"].all()
        assert codes(pair) == ["ortho.one_colour"]
        assert f"({colour}, {colour}, {colour})" in pair.report.remarks[0].message


def test_a_small_black_hole_holds_no_data(opened: Any) -> None:
    values = picture()
    values[:, 60:73, 60:73] = 0
    with opened(values) as pair:
        assert (~pair.read(0, SIDE).valid["ortho"]).sum() == 13 * 13
        assert codes(pair) == ["ortho.hole"]


@pytest.mark.parametrize("end", [0, 255])
def test_clipped_shadows_and_saturated_roofs_are_no_word_worth(opened: Any, end: int) -> None:
    light = np.clip(1.4 * np.sin(ROWS / 9) * np.cos(COLUMNS / 9) * 128 + end, 0, 255)
    with opened(np.clip(light + picture() * 0.1, 0, 255).astype("uint8")) as pair:
        assert "ortho.one_colour" not in codes(pair)


# ---- lines -------------------------------------------------------------------------------------


def copied(values: np.ndarray, first: int, stop: int) -> np.ndarray:
    """Rows that a copy of the first of them has replaced."""
    found = values.copy()
    found[..., first:stop, :] = found[..., first : first + 1, :]
    return found


@pytest.mark.parametrize("turned", [False, True])
def test_copied_lines_are_told_in_either_raster(opened: Any, turned: bool) -> None:
    kind = "columns" if turned else "rows"
    for name, values in (("ortho", picture()), ("height", metres())):
        lost = copied(values, 90, 130)
        lost = np.swapaxes(lost, -1, -2) if turned else lost
        with opened(**{"ortho" if name == "ortho" else "heights": lost}) as pair:
            assert codes(pair) == [f"{name}.copied_lines"]
            assert kind in pair.report.remarks[0].message


@pytest.mark.parametrize("times", [2, 4, 12])
def test_pixels_that_were_made_larger_are_no_copied_lines(opened: Any, times: int) -> None:
    larger = [
        np.repeat(np.repeat(values[..., ::times, ::times], times, -1), times, -2)
        for values in (picture(), metres())
    ]
    with opened(*larger) as pair:
        assert "copied_lines" not in str(codes(pair))


@pytest.mark.parametrize("lost", [ROWS % 16 == 3, (COLUMNS > 60) & (COLUMNS < 71)])
def test_lines_of_zeros_among_heights_are_told(opened: Any, lost: np.ndarray) -> None:
    with opened(heights=np.where(lost, 0, metres())) as pair:
        assert codes(pair) == ["height.zero_lines"]
    with opened(heights=np.where(lost, 0, metres()), height_nodata=0) as pair:
        assert np.array_equal(~pair.read(0, SIDE).valid["ndsm"], lost)
        assert codes(pair) == ["height.missing"]


def test_a_patch_of_zeros_is_told_where_the_ground_is_measured(opened: Any) -> None:
    patch = (abs(ROWS - 90) < 28) & (abs(COLUMNS - 100) < 28)
    with opened(heights=np.where(patch, 0, metres())) as pair:
        assert codes(pair) == ["height.zeros"]


def test_tiles_that_stand_in_place_of_others_are_told(opened: Any) -> None:
    values, heights = picture(), metres()
    values[:, 128:, :64] = values[:, :64, 128:]
    heights[128:, :64] = heights[:64, 128:]
    with opened(values, heights) as pair:
        assert codes(pair) == ["ortho.copied_parts", "height.copied_parts"]


def test_lines_that_one_band_has_lost_are_told(opened: Any) -> None:
    values = picture()
    values[1, 70:100] = 0
    with opened(values) as pair:
        assert codes(pair) == ["ortho.lost_band"]
        assert "band 2 is one number" in pair.report.remarks[0].message


def test_what_the_sample_misses_is_told_once_every_block_is_decoded(
    make_tiff: Make,
) -> None:
    side = 512
    random = np.random.default_rng(2)
    values = (random.beta(2, 3, (3, side, side)) * 230 + 12).astype("uint8")
    heights = (random.random((side, side)) ** 3 * 4).astype("float32")
    values[:, 34:67, 34:67] = 128
    values[:, 102:136] = values[:, 102:103]
    heights[34:66, 240:264] = 3.25
    files = make_tiff("o.tif", values, photometric="rgb"), make_tiff("h.tif", heights)
    report = inspect_pair(*files)
    told = {remark.code: remark.message for remark in report.remarks}
    told.pop("pair.unlike")  # both are noise
    assert set(told) == {"ortho.one_colour", "ortho.copied_lines", "height.one_value"}
    assert "(128, 128, 128)" in told["ortho.one_colour"]
    assert "--height-nodata 3.25" in told["height.one_value"]
    quick = inspect_pair(*files, quick=True)
    assert [remark.code for remark in quick.remarks] == ["pair.unlike"]


# ---- noise among heights -----------------------------------------------------------------------


@pytest.mark.parametrize("by", [8.0, 25.0])
def test_noise_of_single_pixels_is_missing_and_told(opened: Any, by: float) -> None:
    noisy = np.random.default_rng(3).random((SIDE, SIDE)) < 0.01
    with opened(heights=metres() + np.where(noisy, by, 0)) as pair:
        missing = ~pair.read(0, SIDE).valid["ndsm"]
        assert not (missing & ~noisy).any()
        assert (missing & noisy).sum() > 0.75 * noisy.sum()  # beside a house it is in doubt
        assert codes(pair) == ["height.noise", "height.missing"]
        parts = [pair.read(row, 5).valid["ndsm"] for row in range(0, SIDE, 5)]
        assert np.array_equal(~np.concatenate(parts), missing)
    with opened(heights=metres() + np.where(noisy, by, 0), spikes=False) as pair:
        assert pair.read(0, SIDE).valid["ndsm"].all()


def test_some_chimneys_are_no_noise(opened: Any) -> None:
    heights = metres()
    heights[10::40, 15::40] += 8
    with opened(heights=heights) as pair:
        assert pair.read(0, SIDE).valid["ndsm"].all()
        assert codes(pair) == []


# ---- other things than a photograph and heights in metres --------------------------------------


def grey() -> np.ndarray:
    return np.random.default_rng(4).beta(2, 3, (SIDE, SIDE)) * 200 + 30


@pytest.mark.parametrize("tint", [(1, 1, 1), (1.07, 0.95, 0.75)])
def test_a_grey_or_tinted_picture_is_told(opened: Any, tint: Any) -> None:
    noise = np.random.default_rng(5).normal(0, 0.5, (3, SIDE, SIDE))
    with opened((grey() * np.reshape(tint, (3, 1, 1)) + noise).astype("uint8")) as pair:
        assert codes(pair) == ["ortho.grey"]


def test_another_colour_space_is_told(opened: Any) -> None:
    light = grey()
    values = np.stack([light, 255 - light, picture()[0]]).astype("uint8")
    with opened(values) as pair:
        assert codes(pair) == ["ortho.unlike_bands"]


def test_a_coloured_map_is_told(opened: Any) -> None:
    colours = np.random.default_rng(6).integers(20, 235, (16, 16, 3))
    values = np.kron(colours.transpose(2, 0, 1), np.ones((12, 12))).astype("uint8")
    with opened(values) as pair:
        assert "ortho.drawing" in codes(pair)


def test_heights_that_are_rounded_to_metres_are_told(opened: Any) -> None:
    with opened(heights=np.round(metres())) as pair:
        assert "height.steps" in codes(pair)
    with opened(heights=np.round(metres() * 10).astype("float32"), height_unit="dm") as pair:
        assert codes(pair) == []


def test_heights_beside_coordinates_in_feet_may_be_feet(photo: Make, make_tiff: Make) -> None:
    place = {"transform": Affine(0.6, 0, 1e6, 0, -0.6, 2e5), "crs": CRS.from_epsg(2263)}
    files = photo(side=SIDE, **place), make_tiff("h.tif", metres(), **place)
    with RasterPair.open(*files) as pair:
        told = {remark.code: remark.message for remark in pair.report.remarks}
        assert "--height-unit us-ft" in told["height.unit"]
    with RasterPair.open(*files, options=ReadingOptions(height_unit="m")) as pair:
        assert "height.unit" not in codes(pair)
