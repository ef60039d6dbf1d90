"""What the bands of an orthophoto mean: red, green, blue, alpha, white, and a collar."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from mfnet.model.errors import UnclearWhite, WrongBands
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.values.collars import find_collars
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.training.datasets.tiles.gaps import draw_gaps

Make = Callable[..., Path]
SIDE = 96


def colours(side: int = SIDE, bands: int = 3, seed: int = 0) -> np.ndarray:
    """(bands, h, w) shares of white, from dark to a few bright pixels."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.beta(2, 3, (bands, side, side)) + 0.02, 0, 1)


@pytest.fixture
def open_pair(make_tiff: Make, heights: Make) -> Callable[..., RasterPair]:
    def open_(values: np.ndarray, *, options: Any = None, **form: Any) -> RasterPair:
        interpretation = form.pop("colorinterp", None)
        scale = form.pop("scale", None)
        described = form.pop("descriptions", None)
        path = make_tiff("o.tif", values, **form)
        if interpretation or scale or described:
            with rasterio.open(path, "r+") as raster:
                if interpretation:
                    raster.colorinterp = interpretation
                if described:
                    raster.descriptions = described
                if scale:
                    raster.scales = (scale,) * len(values)
        ndsm = heights(side=values.shape[-1])
        return RasterPair.open(path, ndsm, options=ReadingOptions(**(options or {})))

    return open_


def codes(pair: RasterPair) -> list[str]:
    return [remark.code for remark in pair.report.remarks]


# ---- white -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("white", "dtype", "found"),
    [
        (255, "uint8", 255),
        (1023, "uint16", 1023),
        (2047, "uint16", 2047),
        (4095, "uint16", 4095),
        (4080, "uint16", 4095),  # 8 bits moved up by 4
        (16383, "uint16", 16383),
        (65535, "uint16", 65535),
        (255, "uint16", 255),
        (1, "float32", 1),
        (255, "float32", 255),
        (4095, "float32", 4095),
    ],
)
def test_white_is_found(open_pair: Any, white: float, dtype: str, found: float) -> None:
    values = (colours() * white).round(6 if white == 1 else 0)
    values[:, :8, :8] = white  # something bright
    with open_pair(values.astype(dtype)) as pair:
        assert pair.white == found
        plain = found == {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
        assert codes(pair) == ([] if plain else ["ortho.white"])


@pytest.mark.parametrize("hot", [65535, 60000])
def test_a_hot_pixel_is_not_white(open_pair: Any, hot: int) -> None:
    values = (colours() * 4095).astype("uint16")
    values[:, :8, :8] = 4095
    values[:, 50, 50] = hot
    with open_pair(values) as pair:
        assert pair.white == 4095


@pytest.mark.parametrize(
    ("values", "choose"),
    [
        ((colours() * 9000).astype("uint16"), "--white 10000"),  # reflectance, or 14 bits
        ((colours() * 30).astype("float32"), "--white 255"),
        ((colours() * 2e5).astype("float32"), "--white"),
    ],
)
def test_doubtful_white_is_asked_for(open_pair: Any, values: np.ndarray, choose: str) -> None:
    with pytest.raises(UnclearWhite, match=choose):
        open_pair(values)
    with open_pair(values, options={"white": 12345}) as pair:
        assert pair.white == 12345


def test_a_scale_of_reflectance_says_which_number_is_white(open_pair: Any) -> None:
    with open_pair((colours() * 9000).astype("uint16"), scale=1e-4) as pair:
        assert pair.white == pytest.approx(10_000)


def test_a_number_of_no_colour_is_missing(open_pair: Any) -> None:
    values = colours().astype("float32")
    values[1, 3, 4] = 3.4e38
    with open_pair(values) as pair:
        rows = pair.read(0, SIDE)
        assert np.argwhere(~rows.valid["ortho"]).tolist() == [[3, 4]]
        assert pair.white == 1


def collared(white: float, fill: float, dtype: str, side: int = 300) -> tuple[Any, Any]:
    """A picture with a tenth of a fill value around it, and where that is."""
    edge = np.ones((side, side), bool)
    edge[8:-8, 8:-8] = False
    values = colours(side) * white
    values[:, 100:120, 100:120] = white  # a bright roof
    values = values.round(6 if white == 1 else 0)
    return np.where(edge, fill, values).astype(dtype), edge


@pytest.mark.parametrize(
    ("white", "fill", "dtype"),
    [
        *((white, fill, "uint16") for white in (1023, 4095) for fill in (32767, 65534, 65535)),
        (1023, 4095, "uint16"),
        (2047, 4095, "uint16"),
        (1, 65535, "float32"),
        (1, 255, "float32"),
        (255, 65535, "float32"),
        (4095, 65535, "float32"),
    ],
)
def test_a_fill_value_is_not_white(open_pair: Any, white: float, fill: float, dtype: str) -> None:
    values, _ = collared(white, fill, dtype)
    with open_pair(values) as pair:
        assert pair.white == white
        assert ("ortho.white" in codes(pair)) == (white > 1)


def test_saturated_roofs_are_no_fill_value(open_pair: Any) -> None:
    values = (colours(300) * 2500).astype("uint16")
    values[:, 60:100, 60:100] = 4095
    with open_pair(values) as pair:
        assert pair.white == 4095


def test_white_that_nothing_reaches_is_told(open_pair: Any) -> None:
    values = (colours() * 0.7 * 65535).astype("uint16")
    with open_pair(values) as pair:
        assert (pair.white, codes(pair)) == (65535, ["ortho.white"])


def test_numbers_of_no_colour_are_told(open_pair: Any) -> None:
    values = colours().astype("float32")
    values[:, :10] = -3.4e38
    with open_pair(values) as pair:
        assert not pair.read(0, SIDE).valid["ortho"][:10].any()
        (told,) = [each for each in pair.report.remarks if each.code == "ortho.no_colour"]
        assert "10.4 %" in told.message
        assert "-3.4e+38" in told.message
    lowest = float(np.finfo("float32").min)
    values[:, :10] = lowest
    with open_pair(values, nodata=lowest) as pair:
        assert codes(pair) == []


def test_numbers_around_0_are_asked_about(open_pair: Any) -> None:
    values = (colours() * 2 - 1).astype("float32")
    with pytest.raises(UnclearWhite, match=r"-scale -0\.\d+ 0\.\d+ 0 255 .*--white NUMBER"):
        open_pair(values)
    with open_pair(values, options={"white": 1}) as pair:
        assert pair.white == 1
    noise = np.random.default_rng(8).normal(0, 0.004, (3, SIDE, SIDE))
    with open_pair((colours() ** 3 + noise).astype("float32")) as pair:
        assert pair.white == 1


def test_a_negative_fill_value_holds_no_data(open_pair: Any) -> None:
    values = colours(300).astype("float32")
    values[:, :20] = values[:, 100:140, 90:130] = -9999
    with open_pair(values) as pair:
        assert np.array_equal(pair.read(0, 300).valid["ortho"], values[0] != -9999)
        assert codes(pair) == ["ortho.collar", "ortho.hole"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (colours() * [[[1]], [[1]], [[0]]] * 255, ["ortho.flat"]),
        (colours()[:1].repeat(3, axis=0) * 255, ["ortho.grey"]),
        (colours() * 10 + 120, []),
    ],
)
def test_colours_without_difference_are_told(
    open_pair: Any, values: np.ndarray, told: list[str]
) -> None:
    with open_pair(values.astype("uint8"), photometric="rgb") as pair:
        assert codes(pair) == told


def test_a_mask_that_hides_a_picture_is_told_and_one_that_hides_nothing_is_not(
    open_pair: Any,
) -> None:
    shown = np.indices((SIDE, SIDE))[0] < 20
    picture = (colours() * 200 + 20).astype("uint8")
    alpha = np.where(shown, 255, 0).astype("uint8")[None]
    with open_pair(np.concatenate([picture, alpha]), photometric="rgb", alpha="yes") as pair:
        assert codes(pair) == ["ortho.hidden"]
    empty = np.where(shown, picture, 0).astype("uint8")
    with open_pair(np.concatenate([empty, alpha]), photometric="rgb", alpha="yes") as pair:
        assert codes(pair) == []


# ---- bands -------------------------------------------------------------------------------------


def numbered(bands: int) -> np.ndarray:
    """Band b holds about 10 b."""
    noise = np.random.default_rng(1).integers(0, 3, (bands, SIDE, SIDE))
    return (noise + 10 * np.arange(1, bands + 1)[:, None, None]).astype("uint8")


def used(pair: RasterPair) -> list[int]:
    return [round(float(band.mean()) // 10) for band in pair.read(0, SIDE).arrays["ortho"]]


R, G, B, A, N = (
    *(ColorInterp.red, ColorInterp.green, ColorInterp.blue),
    *(ColorInterp.alpha, ColorInterp.undefined),
)


@pytest.mark.parametrize(
    ("interpretation", "bands", "told"),
    [
        ((R, G, B), [1, 2, 3], []),
        ((B, G, R), [3, 2, 1], ["ortho.bands"]),
        ((N, B, G, R), [4, 3, 2], ["ortho.bands", "ortho.extra_bands"]),
        ((R, G, B, N), [1, 2, 3], ["ortho.extra_bands"]),
        ((N, N, N, N), [1, 2, 3], ["ortho.extra_bands"]),
    ],
)
def test_colour_interpretation_is_honoured(
    open_pair: Any, interpretation: tuple[ColorInterp, ...], bands: list[int], told: list[str]
) -> None:
    values = numbered(len(interpretation))
    with open_pair(values, photometric="minisblack", colorinterp=interpretation) as pair:
        assert used(pair) == bands
        assert sorted(codes(pair)) == told
    options = {"bands": (2, 2, 1)}
    with open_pair(
        values, photometric="minisblack", colorinterp=interpretation, options=options
    ) as pair:
        assert used(pair) == [2, 2, 1]


@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
@pytest.mark.parametrize(
    ("described", "bands"),
    [
        (("Blue", "Green", "Red"), [3, 2, 1]),
        (("B", "G", "R", "NIR"), [3, 2, 1]),
        (("Band 1 (Blue)", "Band 2 (Green)", "Band 3 (Red)", "Near infrared"), [3, 2, 1]),
        (("blue_band", "green_band", "red band 668 nm", "Red Edge", "NIR"), [3, 2, 1]),
        (("Coastal Blue", "Blue", "Green", "Red", "RE"), [4, 3, 2]),
        (("B1", "B2", "B3"), [1, 2, 3]),  # numbers of bands say nothing
        (("band", "of", "redness"), [1, 2, 3]),
    ],
)
def test_descriptions_inside_the_file_are_honoured(
    open_pair: Any, photometric: str, described: tuple[str, ...], bands: list[int]
) -> None:
    values = numbered(len(described))
    with open_pair(values, photometric=photometric, descriptions=described) as pair:
        assert used(pair) == bands
        assert ("ortho.bands" in codes(pair)) == (bands != [1, 2, 3])


@pytest.mark.parametrize(
    "named",
    [
        {"colorinterp": (ColorInterp.nir, ColorInterp.red, ColorInterp.green)},
        {"descriptions": ("NIR", "Red", "Green")},
        {"descriptions": ("NIR", "Red", "Green"), "photometric": "rgb"},
        {"descriptions": ("Green", "Red", "Red edge", "NIR")},
        {"colorinterp": (N, R, G, N)},
        {"descriptions": ("x", "y", "z", "Red")},
    ],
)
def test_bands_that_are_said_to_be_others_are_asked_for(
    open_pair: Any, named: dict[str, Any]
) -> None:
    values = numbered(len(next(iter(named.values()))))
    form = {"photometric": "minisblack", **named}
    with pytest.raises(WrongBands, match=r"is said to be .*red.*--bands R,G,B .*1,2,3"):
        open_pair(values, **form)
    with open_pair(values, options={"bands": "1,2,3"}, **form) as pair:
        assert used(pair) == [1, 2, 3]


def test_infrared_stored_as_a_picture_without_a_word_is_read_as_it_is(open_pair: Any) -> None:
    with open_pair(numbered(3), photometric="rgb") as pair:
        assert (used(pair), codes(pair)) == ([1, 2, 3], [])


def test_infrared_flagged_as_alpha_hides_nothing(open_pair: Any) -> None:
    values = numbered(4)
    values[3] = np.random.default_rng(2).integers(0, 256, (SIDE, SIDE))
    with open_pair(values, photometric="rgb", alpha="yes") as pair:
        assert pair.read(0, SIDE).valid["ortho"].all()
        assert "ortho.alpha" in codes(pair)
    values[3] = np.where(values[3] < 40, 0, 255)
    with open_pair(values, photometric="rgb", alpha="yes") as pair:
        assert np.array_equal(pair.read(0, SIDE).valid["ortho"], values[3] > 0)
        assert codes(pair) == []


def with_a_hole(bands: int, *more: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bands that are black in a block, with further ones; and the block."""
    hole = np.zeros((SIDE, SIDE), bool)
    hole[20:50, 30:70] = True
    values = np.where(hole, 0, numbered(bands)).astype("uint8")
    return np.concatenate([values, *(band[None] for band in more)]), hole


def infrared() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (SIDE, SIDE)).astype("uint8")


def test_a_mask_behind_infrared_flagged_as_alpha_hides(open_pair: Any) -> None:
    values, hole = with_a_hole(3, infrared())
    values = np.concatenate([values, np.where(hole, 0, 255).astype("uint8")[None]])
    with open_pair(values, photometric="minisblack", colorinterp=(R, G, B, A, A)) as pair:
        assert np.array_equal(pair.read(0, SIDE).valid["ortho"], ~hole)
        assert sorted(codes(pair)) == ["ortho.alpha", "ortho.extra_bands"]


@pytest.mark.parametrize("opaque", [0.0, 0.6])
def test_a_feathered_alpha_hides_where_it_is_0(open_pair: Any, opaque: float) -> None:
    rng = np.random.default_rng(5)
    soft = np.where(rng.random((SIDE, SIDE)) < opaque, 255, rng.integers(200, 255, (SIDE, SIDE)))
    _, hole = with_a_hole(3)
    values, _ = with_a_hole(3, np.where(hole, 0, soft).astype("uint8"))
    with open_pair(values, photometric="rgb", alpha="yes") as pair:
        assert np.array_equal(pair.read(0, SIDE).valid["ortho"], ~hole)
        assert codes(pair) == []


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_colours_that_were_multiplied_by_alpha_are_divided_again(
    open_pair: Any, dtype: str
) -> None:
    most = np.iinfo(dtype).max
    seam = np.clip(np.abs(np.arange(SIDE) - SIDE // 2) / 40, 0.2, 1)
    picture = colours() * most
    alpha = np.broadcast_to(np.round(seam * most), (1, SIDE, SIDE))
    form: dict[str, Any] = {"photometric": "rgb", "alpha": "yes"}
    straight = np.concatenate([picture, alpha]).astype(dtype)
    with open_pair(straight, **form) as pair:
        assert np.array_equal(pair.read(0, SIDE).arrays["ortho"], straight[:3])
        assert "ortho.premultiplied" not in codes(pair)
    darker = np.concatenate([np.round(picture * alpha / most), alpha]).astype(dtype)
    with open_pair(darker, options={"white": float(most)}, **form) as pair:
        assert abs(pair.read(0, SIDE).arrays["ortho"] - picture).max() <= most / 85
        assert codes(pair) == ["ortho.premultiplied"]
    with open_pair(darker, options={"unmultiply": False}, **form) as pair:
        assert np.array_equal(pair.read(0, SIDE).arrays["ortho"], darker[:3])


def test_infrared_that_is_0_over_water_hides_nothing(open_pair: Any) -> None:
    values = np.concatenate([numbered(3), infrared()[None]])
    values[3, 20:50, 30:70] = 0
    with open_pair(values, photometric="rgb", alpha="yes") as pair:
        assert pair.read(0, SIDE).valid["ortho"].all()
        assert "ortho.alpha" in codes(pair)


def test_alpha_that_stands_in_a_sidecar_masks(make_tiff: Make, heights: Make) -> None:
    values, hole = with_a_hole(3)
    alpha = np.where(hole, 0, 255).astype("uint8")
    path = make_tiff("o.tif", np.concatenate([values, alpha[None]]), photometric="minisblack")
    path.with_name("o.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="4"><ColorInterp>Alpha</ColorInterp></PAMRasterBand>'
        "</PAMDataset>"
    )
    with RasterPair.open(path, heights(side=SIDE)) as pair:
        assert np.array_equal(pair.read(0, SIDE).valid["ortho"], ~hole)
        assert codes(pair) == ["sidecar.used"]


def test_a_grey_picture_is_asked_for(open_pair: Any) -> None:
    with pytest.raises(WrongBands, match="--bands 1,1,1"):
        open_pair(numbered(1), photometric="minisblack")
    options = {"bands": (1, 1, 1)}
    with open_pair(numbered(1), photometric="minisblack", options=options) as pair:
        assert used(pair) == [1, 1, 1]


def test_two_bands_of_heights_are_asked_for(photo: Make, make_tiff: Make) -> None:
    rng = np.random.default_rng(3)
    metres = 20 * rng.random((SIDE, SIDE)) ** 3
    path = make_tiff("two.tif", np.stack([rng.random((SIDE, SIDE)), metres]).astype("float32"))
    ortho = photo(side=SIDE)
    with pytest.raises(WrongBands, match="--height-band 1"):
        RasterPair.open(ortho, path)
    with RasterPair.open(ortho, path, options=ReadingOptions(height_band=2)) as pair:
        assert np.allclose(pair.read(0, SIDE).arrays["ndsm"][0], metres, atol=1e-5)


# ---- collars -----------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [0, 1, 254, 255, (214, 211, 206), (255, 0, 255)])
@pytest.mark.parametrize("tiled", [True, False])
def test_a_collar_without_mask_holds_no_data(open_pair: Any, colour: Any, tiled: bool) -> None:
    side = 300
    values = (colours(side) * 200 + 20).astype("uint8")
    outside = draw_gaps(np.random.default_rng(4), side, side, 0.3, "outline")
    values[:, outside] = np.reshape(colour, (-1, 1))
    values[:, 150:160, 150:160] = np.reshape(colour, (-1, 1, 1))  # a shadow, or a bright roof
    form = {"tiled": True, "blockxsize": 64, "blockysize": 64} if tiled else {"blockysize": 16}
    with open_pair(values, photometric="rgb", **form) as pair:
        valid = pair.read(0, side).valid["ortho"]
        assert np.array_equal(valid, ~outside)
        assert codes(pair) == ["ortho.collar"]
        parts = [pair.read(row, 7).valid["ortho"] for row in range(0, side, 7)]
        assert np.array_equal(np.concatenate(parts), valid)
        assert np.array_equal(pair.valid(Window(40, 30, 90, 80)), valid[30:110, 40:130])
    with open_pair(values, photometric="rgb", options={"collar": False}, **form) as pair:
        assert pair.read(0, side).valid["ortho"].all()


@pytest.mark.parametrize("ends", [(0, 4), (252, 256)])
def test_a_nearly_plain_collar_holds_no_data_where_its_border_is_sharp(
    open_pair: Any, ends: tuple[int, int]
) -> None:
    values = (colours(300) * 180 + 35).astype("uint8")
    noise = np.random.default_rng(5).integers(*ends, (3, 300, 300), dtype=np.uint8)
    outside = draw_gaps(np.random.default_rng(4), 300, 300, 0.3, "outline")
    with open_pair(np.where(outside, noise, values), photometric="rgb") as pair:
        assert np.array_equal(pair.read(0, 300).valid["ortho"], ~outside)
        assert codes(pair) == ["ortho.collar"]
    shore = np.where(np.indices((300, 300))[0] % 9 < 6, noise ^ np.uint8(12), values)
    with open_pair(np.where(outside, noise, shore), photometric="rgb") as pair:
        assert pair.read(0, 300).valid["ortho"].all()
        assert codes(pair) == ["ortho.collar_maybe"]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("colour", [(0, 0, 0), (1, 1, 1), (1, 0, 1)])
def test_a_plain_hole_inside_holds_no_data(open_pair: Any, dtype: str, colour: Any) -> None:
    white = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    values = colours(300) * 0.75 + 0.12
    values[:, 250:252] = 1.0  # lost lines, too narrow for a hole: told
    hole = np.zeros((300, 300), bool)
    hole[100:140, 90:130] = True
    values[:, hole] = np.reshape(colour, (3, 1))
    values = (values * white).astype(dtype)
    with open_pair(values, photometric="rgb") as pair:
        assert np.array_equal(pair.read(0, 300).valid["ortho"], ~hole)
        assert codes(pair) == ["ortho.hole", "ortho.one_colour"]
    with open_pair(values, photometric="rgb", options={"collar": False}) as pair:
        assert pair.read(0, 300).valid["ortho"].all()


@pytest.mark.parametrize("ends", [(0, 4), (252, 256)])
def test_a_hole_of_noise_holds_no_data(open_pair: Any, ends: tuple[int, int]) -> None:
    values = (colours(300) * 180 + 35).astype("uint8")
    values[:, 100:150, 90:130] = np.random.default_rng(5).integers(*ends, (3, 50, 40))
    with open_pair(values, photometric="rgb") as pair:
        assert (~pair.read(0, 300).valid["ortho"]).sum() == 50 * 40
        assert codes(pair) == ["ortho.hole"]


@pytest.mark.parametrize("moved", [-0.35, 0.35])
def test_clipped_shadows_and_saturated_roofs_stay(open_pair: Any, moved: float) -> None:
    rows, columns = np.indices((300, 300))
    light = 0.5 + 0.5 * np.sin(rows / 20) * np.cos(columns / 20)  # black or white over 40 pixels
    values = np.clip(light + moved + colours(300) * 0.1, 0, 1) * 255
    with open_pair(values.astype("uint8"), photometric="rgb") as pair:
        assert pair.read(0, 300).valid["ortho"].all()


def test_the_ground_of_a_drawing_is_no_collar(open_pair: Any) -> None:
    values = np.full((3, 300, 300), 120, "uint8")
    values[:, 100:200, 50:250] = 60
    values[:, 120:170, 90:200] = [[[255]], [[0]], [[0]]]
    values[:, 220:270, 90:200] = 255
    with open_pair(values, photometric="rgb") as pair:
        assert pair.read(0, 300).valid["ortho"].all()


def test_dark_and_bright_things_at_the_rim_stay(open_pair: Any) -> None:
    values = (colours(300) * 200 + 20).astype("uint8")
    values[:, 100:130, :5] = 2  # a shadow: dark, and not to the last digit
    values[:, :12, 60:75] = 255  # a bright roof
    with open_pair(values, photometric="rgb") as pair:
        assert pair.read(0, 300).valid["ortho"].all()
        assert codes(pair) == []


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), share=st.floats(0.05, 0.5))
def test_collars_are_the_plain_pieces_joined_to_the_rim(seed: int, share: float) -> None:
    """Against a flood fill, one pixel after the other."""
    rng = np.random.default_rng(seed)
    side = 64
    plain = draw_gaps(rng, side, side, share)
    values = np.where(plain, 0, 99).astype("uint8")[None].repeat(3, axis=0)

    def read(window: Window) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = window.toslices()
        return values[:, rows, columns], np.ones((window.height, window.width), bool)

    expected = flood(plain, seeds(plain))
    if expected.sum() < 256:
        expected[:] = False
    found = np.zeros((side, side), bool)
    for collar in find_collars(read, side, side, 255.0, columns_are_cheap=True):
        if collar.inside:
            continue
        valid = np.ones((side, side), bool)
        collar.clear(valid, Window(0, 0, side, side))
        assert collar.pixels == (~valid).sum()
        found |= ~valid
    assert np.array_equal(found, expected)


def seeds(plain: np.ndarray) -> list[tuple[int, int]]:
    """Plain pixels of the rim that lie in a run of 16 or more along it, or of one from a corner."""
    last = len(plain) - 1
    sides = [
        [(0, i) for i in range(last + 1)],
        [(last, i) for i in range(last + 1)],
        [(i, 0) for i in range(last + 1)],
        [(i, last) for i in range(last + 1)],
    ]
    found = []
    for line in sides:
        run: list[tuple[int, int]] = []
        for pixel in [*line, None]:
            if pixel is not None and plain[pixel]:
                run.append(pixel)
                continue
            in_corner = run and (run[0] == line[0] or run[-1] == line[-1])
            if len(run) >= 16 or (in_corner and line in sides[:2]):
                found += run
            run = []
    return found


def flood(plain: np.ndarray, queue: list[tuple[int, int]]) -> np.ndarray:
    """Plain pixels that are joined to some, side by side."""
    reached = np.zeros(plain.shape, bool)
    while queue:
        row, column = queue.pop()
        inside = 0 <= row < len(plain) and 0 <= column < len(plain)
        if inside and plain[row, column] and not reached[row, column]:
            reached[row, column] = True
            queue += [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
    return reached
