"""What the numbers of heights mean: units, fill values, nodata 0, the level of the ground."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from mfnet.model.errors import (
    AmbiguousInput,
    BadOption,
    NotAboveGround,
    UnclearNodata,
    UnclearUnit,
)
from mfnet.model.raster.files.sample_windows import sample_windows, scattered_windows
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.pairs.report import PairReport
from mfnet.model.raster.values.fill_values import find_fills
from mfnet.model.raster.values.height_units import metres_of, unit_name
from mfnet.model.raster.values.reading_options import ReadingOptions

Make = Callable[..., Path]
SIDE = 128


def town(seed: int = 0) -> np.ndarray:
    """Heights above ground of something like a town: ground, roofs and trees up to 19 m."""
    rng = np.random.default_rng(seed)
    metres = np.abs(rng.normal(0, 0.05, (SIDE, SIDE)))
    for _ in range(14):
        row, column = rng.integers(0, SIDE - 24, 2)
        metres[row : row + 24, column : column + 16] = rng.uniform(3, 18)
    return metres + rng.random((SIDE, SIDE)) * 0.3


@pytest.fixture
def read(photo: Make, make_tiff: Make) -> Callable[..., tuple[np.ndarray, PairReport]]:
    """Heights as the engine reads them, and the report."""

    def read_(
        stored: np.ndarray,
        dtm: np.ndarray | None = None,
        unit: str | None = None,
        options: dict[str, Any] | None = None,
        **form: Any,
    ) -> tuple[np.ndarray, PairReport]:
        height = make_tiff("h.tif", stored, **form)
        if unit is not None:
            with rasterio.open(height, "r+") as raster:
                raster.units = (unit,)
        terrain = None if dtm is None else make_tiff("dtm.tif", dtm)
        with RasterPair.open(
            photo(side=SIDE), height, dtm=terrain, options=ReadingOptions(**(options or {}))
        ) as pair:
            rows = pair.read(0, SIDE)
            found = np.where(rows.valid["ndsm"], rows.arrays["ndsm"][0], np.nan)
            return found, pair.report

    return read_


def codes(report: PairReport) -> list[str]:
    return [remark.code for remark in report.remarks]


# ---- units -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        *(("m", 1), ("Metre", 1), ("meters", 1), ("metre above ground", 1), ("m (NAVD88)", 1)),
        *(
            ("meters NAVD88", 1),
            ("ft NAVD88", 0.3048),
            ("m EGM2008", 1),
            ("'", 0.3048),
            ("′", 0.3048),
        ),
        *(("ft", 0.3048), ("Foot", 0.3048), ("feet", 0.3048), ("international foot", 0.3048)),
        *(("US survey foot", 1200 / 3937), ("us-ft", 1200 / 3937), ("ftUS", 1200 / 3937)),
        *(("cm", 0.01), ("Centimetre", 0.01), ("dm", 0.1), ("mm", 0.001), ("0.2", 0.2)),
        *(("DN", None), ("degree", None), ("-1", None), ("nan", None), ("inf", None), ("", None)),
    ],
)
def test_units_as_people_write_them(text: str, metres: float | None) -> None:
    assert metres_of(text) == (None if metres is None else pytest.approx(metres))


@given(st.sampled_from(["m", "dm", "cm", "mm", "ft", "us-ft", "yd", "km"]))
def test_a_unit_has_the_name_that_it_is_read_by(unit: str) -> None:
    assert unit_name(metres_of(unit) or 0) == unit


@pytest.mark.parametrize(("unit", "metres"), [("US survey foot", 1200 / 3937), ("ft", 0.3048)])
def test_feet_by_the_bands_unit_become_metres(read: Any, unit: str, metres: float) -> None:
    found, report = read((town() / metres).astype("float32"), unit=unit)
    assert np.allclose(found, town(), atol=1e-4)
    assert codes(report) == ["height.unit"]
    assert report.reading.height_unit_m == pytest.approx(metres)


def test_feet_by_a_compound_crs_become_metres(read: Any) -> None:
    from rasterio.crs import CRS

    feet = CRS.from_user_input("EPSG:25832+6360")
    found, report = read((town() * 3937 / 1200).astype("float32"), crs=feet)
    assert np.allclose(found, town(), atol=1e-4)
    assert "height.unit" in codes(report)


def test_a_unit_that_nobody_knows_is_asked_for(read: Any) -> None:
    with pytest.raises(UnclearUnit, match="--height-unit"):
        read(town().astype("float32"), unit="furlong")
    found, _ = read(town().astype("float32"), unit="furlong", options={"height_unit": "m"})
    assert np.allclose(found, town(), atol=1e-5)


def test_a_unit_that_says_nothing_is_none(read: Any) -> None:
    assert codes(read(town().astype("float32"), unit="unknown")[1]) == []


@pytest.mark.parametrize(("dtype", "unit"), [("int16", "dm"), ("uint16", "cm"), ("int32", "mm")])
def test_whole_numbers_that_fit_one_unit_are_read_in_it(read: Any, dtype: str, unit: str) -> None:
    step = metres_of(unit) or 0
    found, report = read(np.round(town() / step).astype(dtype))
    assert np.allclose(found, town(), atol=step)
    assert codes(report) == ["height.unit"]
    assert f"read as {unit}" in report.remarks[0].message


@pytest.mark.parametrize(
    ("stored", "fits"),
    [
        ((town() * 10).astype("uint8"), "--height-unit dm"),  # or a picture of heights
        ((town() * 2.5).astype("int16"), "--height-unit dm"),  # 40: metres, or a low place's dm
        ((town() * 25).astype("int16"), "--height-unit cm"),
        ((town() * 100).astype("float32"), "--height-unit cm"),
        ((town() * 10).astype("float32"), "--height-unit dm"),
    ],
)
def test_what_fits_several_units_is_asked_for(read: Any, stored: np.ndarray, fits: str) -> None:
    with pytest.raises(UnclearUnit, match=fits) as caught:
        read(stored)
    assert caught.value.params["option"] == "height_unit"
    # any answer is taken as it is
    found, report = read(stored, options={"height_unit": "0.02"})
    assert np.allclose(found, stored * 0.02, atol=1e-4)
    assert report.reading.options == {"height_unit": "0.02"}


@pytest.mark.parametrize(
    ("dtype", "unit", "value"),
    [
        *(("int16", "cm", 9999), ("int16", "cm", 32766), ("uint16", "cm", 65534)),
        *(("int16", "dm", 9999), ("int16", "cm", -9999), ("int32", "mm", 999_999)),
    ],
)
def test_fill_values_are_found_in_the_unit_that_is_concluded(
    read: Any, dtype: str, unit: str, value: int
) -> None:
    metres = town()
    stored = (metres / metres_of(unit)).round().astype(dtype)
    stored[40:60, 30:100] = value
    found, report = read(stored)
    assert "height.unit" in codes(report)
    assert np.isnan(found[40:60, 30:100]).all()
    assert ("height.fill" in codes(report)) or ("height.wild" in codes(report))
    kept = np.isfinite(found)
    assert kept.sum() == SIDE * SIDE - 20 * 70
    np.testing.assert_allclose(found[kept], metres[kept], atol=0.06)


def test_surface_and_terrain_in_different_units_are_read_in_theirs(read: Any) -> None:
    ground = np.full((SIDE, SIDE), 42.0, "float32")
    surface = ((town() + 42) * 100).astype("uint16")
    with pytest.raises(NotAboveGround, match=r"--height-unit, --dtm-unit"):
        read(surface, dtm=ground)
    found, _ = read(surface, dtm=ground, options={"height_unit": "cm", "dtm_unit": "m"})
    np.testing.assert_allclose(found, town(), atol=0.02)


def test_one_unit_is_not_concluded_for_two_kinds_of_numbers(read: Any) -> None:
    coast = np.full((SIDE, SIDE), 1.0, "float32")
    with pytest.raises(UnclearUnit, match=r"--height-unit cm .*--dtm-unit"):
        read(((town() + 1) * 100).astype("uint16"), dtm=coast)


def test_scale_and_offset_count_before_the_unit(read: Any, make_tiff: Make, photo: Make) -> None:
    path = make_tiff("s.tif", np.round((town() - 2) * 100).astype("int16"))
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets = (0.01,), (2.0,)
    with RasterPair.open(photo(side=SIDE), path) as pair:
        assert np.allclose(pair.read(0, SIDE).arrays["ndsm"][0], town(), atol=0.006)
        assert codes(pair.report) == []


# ---- missing heights ---------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-9999.0, 9999.0, 1e20, 32767.0, 65535.0, 3.4e38, -3.4e38, -99.0])
@pytest.mark.parametrize("share", [0.005, 0.35])
def test_fill_values_that_nobody_declared_are_missing(
    read: Any, value: float, share: float
) -> None:
    stored = town().astype("float32")
    gap = np.random.default_rng(5).random(stored.shape) < share
    stored[gap] = value
    found, report = read(stored)
    assert np.array_equal(np.isnan(found), gap)
    assert np.allclose(found[~gap], town()[~gap], atol=1e-5)
    assert {"height.wild", "height.fill"} & set(codes(report))


def test_a_round_number_over_a_third_is_missing_and_a_tower_is_not(read: Any) -> None:
    stored = town().astype("float32")
    stored[:40] = 100
    found, report = read(stored)
    assert np.isnan(found[:40]).all()
    assert codes(report)[0] == "height.fill"
    tower = town().astype("float32")
    tower[40:60, 40:60] = 61.37 + np.random.default_rng(3).random((20, 20)) * 0.2
    assert np.allclose(read(tower)[0], tower, atol=1e-5)


def rough() -> np.ndarray:
    """The town, with roofs that are not level, nor are two heights the same."""
    return (town() + np.random.default_rng(7).random((SIDE, SIDE)) * 3).astype("float32")


@pytest.mark.parametrize("value", [-1.0, 50.0, 99.99, 120.0])
@pytest.mark.parametrize("where", [np.s_[40:60, 40:60], np.s_[::9, ::5]])
def test_a_repeated_height_apart_from_all_others_is_missing(
    read: Any, value: float, where: Any
) -> None:
    stored = rough()
    stored[where] = value
    found, report = read(stored)
    assert np.array_equal(np.isnan(found), stored == np.float32(value))
    assert codes(report)[0] == "height.fill"


@pytest.mark.parametrize("value", [10.0, 12.37, 30.0])
def test_a_repeated_height_among_others_is_asked_about(read: Any, value: float) -> None:
    stored = rough()
    stored[40:60, 40:60] = value
    with pytest.raises(UnclearNodata, match=f"--height-nodata {value:g} .*--height-nodata none"):
        read(stored)
    with pytest.raises(UnclearNodata, match=r"--height-nodata -9999 if they are heights"):
        read(stored, nodata=-9999)
    for answer in ("none", -9999):
        assert np.allclose(read(stored, options={"height_nodata": answer})[0], stored)
    found, _ = read(stored, options={"height_nodata": value})
    assert np.array_equal(np.isnan(found), stored == np.float32(value))


@pytest.mark.parametrize("model", ["surface", "terrain"])
def test_a_number_written_into_a_surface_or_terrain_model_is_asked_about(
    read: Any, model: str
) -> None:
    terrain = (rough() / 10 + 40).astype("float32")
    surface = terrain + rough()
    {"surface": surface, "terrain": terrain}[model][40:60, 40:60] = 50 if model == "surface" else 30
    with pytest.raises(UnclearNodata, match="h.tif" if model == "surface" else "dtm.tif"):
        read(surface, dtm=terrain)


def test_lakes_cut_heights_and_models_of_buildings_are_heights(read: Any) -> None:
    terrain = (rough() / 10 + 40).astype("float32")
    surface = terrain + rough()
    surface[40:60, 40:60] = terrain[40:60, 40:60] = 41.0
    assert codes(read(surface, dtm=terrain)[1]) == []
    assert codes(read(np.minimum(rough(), 8))[1]) == ["height.cut"]
    assert codes(read(np.round(town()).astype("float32"))[1]) == ["height.steps"]


@pytest.mark.parametrize("value", [-8566.333, 32767.0, 3.4e38])
def test_one_wild_pixel_is_missing(read: Any, value: float) -> None:
    stored = town().astype("float32")
    stored[50, 60] = value
    found, report = read(stored)
    assert np.argwhere(np.isnan(found)).tolist() == [[50, 60]]
    assert codes(report) == ["height.wild"]


@pytest.mark.parametrize("share", [0.03, 0.33])
@pytest.mark.parametrize("value", [0.0, -9999.0, 9999.0])
def test_a_terrain_model_with_holes_has_holes(read: Any, share: float, value: float) -> None:
    rng = np.random.default_rng(6)
    terrain = (160 + rng.normal(0, 0.5, (SIDE, SIDE))).astype("float32")
    surface = (terrain + town()).astype("float32")
    gap = rng.random(terrain.shape) < share
    terrain[gap] = value
    found, report = read(surface, dtm=terrain)
    assert np.array_equal(np.isnan(found), gap)
    assert {"height.wild", "height.fill"} & set(codes(report))
    assert "dtm.tif" in report.remarks[0].message


def test_a_gap_eats_nothing_of_its_neighbours_where_heights_are_resampled(
    photo: Make, make_tiff: Make
) -> None:
    from affine import Affine

    stored = np.zeros((SIDE, SIDE), "float32")
    stored[::3, ::2] = 5
    stored[40:60, 40:60] = -9999
    half = Affine(0.5, 0, 500_000.25, 0, -0.5, 5_700_000.25)
    with RasterPair.open(photo(side=SIDE), make_tiff("h.tif", stored, transform=half)) as pair:
        rows = pair.read(0, SIDE)
    known = rows.arrays["ndsm"][0][rows.valid["ndsm"]]
    assert known.min() >= 0
    assert known.max() <= 5
    assert 300 < (~rows.valid["ndsm"]).sum() < 800


def test_nodata_0_above_ground_is_the_ground_where_the_surroundings_say_so(read: Any) -> None:
    stored = np.maximum(town() - 0.2, 0).astype("float32")
    found, report = read(stored, nodata=0)
    assert np.allclose(found, stored, atol=1e-6)
    assert codes(report) == ["height.nodata_zero"]
    assert "%" in report.remarks[0].message
    found, _ = read(stored, nodata=0, options={"height_nodata": 0})
    assert np.array_equal(np.isnan(found), stored == 0)


@pytest.mark.parametrize(
    ("dtype", "unit"), [("int16", "cm"), ("int16", "dm"), ("int32", "mm"), ("uint8", "m")]
)
def test_nodata_0_is_the_ground_in_any_unit(read: Any, dtype: str, unit: str) -> None:
    shrubs = 0.8 * (np.random.default_rng(1).random((SIDE, SIDE)) < 0.1)
    stored = ((town() + shrubs - 0.1).clip(0) / metres_of(unit)).round().astype(dtype)
    found, report = read(stored, nodata=0)
    assert "height.nodata_zero" in codes(report)
    assert "height.level" not in codes(report)
    assert np.isfinite(found).all()


def test_nodata_0_on_a_roof_is_a_hole(read: Any) -> None:
    stored = town().astype("float32") + 0.01
    stored[:, :60] += 6
    stored[30:50, 20:40] = 0
    found, report = read(stored, nodata=0, options={"height_offset": 0})
    assert np.array_equal(np.isnan(found), stored == 0)
    assert "height.nodata_zero" in codes(report)


def test_every_value_is_a_height_where_the_caller_says_so(read: Any) -> None:
    stored = town().astype("float32")
    stored[3, 4] = 5000
    found, _ = read(stored, options={"height_nodata": "none"})
    assert found[3, 4] == 5000


@given(seed=st.integers(0, 50), unit=st.sampled_from([1.0, 0.1, 0.01]))
def test_measured_heights_hold_no_fill_value(seed: int, unit: float) -> None:
    stored = np.round(town(seed) / unit, 2)
    assert find_fills(stored.ravel(), unit, above_ground=True) == []


# ---- the level of the ground -------------------------------------------------------------------


@pytest.mark.parametrize("shift", [-3.0, -1.5, 4.0, 9.0, 25.0])
def test_another_level_than_the_grounds_is_asked_for(read: Any, shift: float) -> None:
    with pytest.raises(NotAboveGround, match="--height-offset") as caught:
        read((town() + shift).astype("float32"))
    offset = float(caught.value.message.split("--height-offset ")[1].split(";")[0])
    assert offset == pytest.approx(-shift, abs=0.3)
    found, _ = read((town() + shift).astype("float32"), options={"height_offset": -shift})
    assert np.allclose(found, town(), atol=1e-4)
    as_they_are, _ = read((town() + shift).astype("float32"), options={"height_offset": 0})
    assert np.allclose(as_they_are, np.maximum(town() + shift, 0), atol=1e-4)


def test_a_small_difference_of_level_is_told(read: Any) -> None:
    assert codes(read((town() - 0.8).astype("float32"))[1]) == ["height.level"]


def test_what_stands_on_the_ground_is_no_level_of_it(read: Any) -> None:
    metres = np.full((SIDE, SIDE), 16.0) + np.random.default_rng(0).random((SIDE, SIDE)) * 0.3
    metres[:20] = town()[:20]
    assert "height.level" not in codes(read(metres.astype("float32"))[1])


def test_heights_without_a_difference_are_told_or_refused(read: Any) -> None:
    flat = np.zeros((SIDE, SIDE), "float32")
    assert codes(read(flat)[1]) == ["height.flat"]
    surface = (town() + 40).astype("float32")
    with pytest.raises(NotAboveGround, match="the same heights"):
        read(surface, dtm=surface)
    assert codes(read(surface, dtm=surface, options={"height_offset": 0.0})[1]) == []


@pytest.mark.parametrize(("base", "code"), [(150.0, 0.0), (150.0, -99.0), (0.0, 999.0)])
def test_a_gap_that_no_sample_sees_is_missing(
    photo: Make, make_tiff: Make, base: float, code: float
) -> None:
    side = 640
    terrain = np.full((side, side), base) + np.random.default_rng(0).random((side, side))
    unseen = np.ones((side, side), bool)
    for window in (*sample_windows(side, side), *scattered_windows(side, side)):
        unseen[window.toslices()] = False
    gap = unseen & (np.indices((side, side))[0] < 60)
    ground = np.where(gap & (base > 0), code, terrain).astype("float32")
    above = np.where(gap & (base == 0), code, np.kron(town(), np.ones((5, 5))))
    surface = above.astype("float32") + (ground if base else 0)
    names = {"height": make_tiff("s.tif", surface)}
    if base:
        names["dtm"] = make_tiff("t.tif", ground)
    with RasterPair.open(photo(side=side), **names) as pair:
        known = pair.read(0, side).valid["ndsm"]
    assert (known == ~gap).all()


@pytest.mark.parametrize(
    ("added", "where"),
    [
        (np.linspace(0, 8, SIDE)[None], "east"),
        (np.linspace(8, 0, SIDE)[:, None], "north"),
        (np.where(np.arange(SIDE) < SIDE // 2, 20, 0)[None], "west"),
    ],
)
def test_a_tilt_and_pieces_of_another_level_are_told(
    read: Any, added: np.ndarray, where: str
) -> None:
    told = {each.code: each.message for each in read((town() + added).astype("float32"))[1].remarks}
    assert f"in the {where} and" in told["height.uneven"], told
    options = {"height_offset": 0}
    assert codes(read((rough() + added).astype("float32"), options=options)[1]) == []


def test_half_a_place_of_zeros_is_told_and_plain_ground_is_not(read: Any) -> None:
    stored = (rough() / 4).astype("float32")
    stored[:, : SIDE // 2] = 0
    (told,) = read(stored)[1].remarks
    assert told.code == "height.zeros"
    assert "--height-nodata 0" in told.message
    assert "height.zeros" not in codes(read(stored, options={"height_nodata": 0})[1])
    objects = np.where(town() > 1, town(), 0).astype("float32")  # the ground is 0 throughout
    assert codes(read(objects)[1]) == []


def test_heights_cut_off_by_8_bits_are_told(read: Any) -> None:
    stored = np.minimum(town() / 0.05, 255).astype("uint8")
    assert codes(read(stored, unit="0.05")[1]) == ["height.unit", "height.cut"]


def test_heights_that_reach_no_hedge_are_told(read: Any) -> None:
    stored = (town() / town().max()).astype("float32")
    assert codes(read(stored)[1]) == ["height.low"]
    assert codes(read(stored, options={"height_unit": "m"})[1]) == []


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_a_surface_model_in_centimetres_is_refused_and_not_taken_for_missing(
    read: Any, dtype: str
) -> None:
    stored = ((town() + 160) * 100).astype(dtype)
    with pytest.raises(NotAboveGround, match=r"--dtm DTM.*--height-unit"):
        read(stored)
    found, _ = read(stored, options={"height_unit": "cm", "height_offset": -160})
    assert np.allclose(found, town(), atol=0.02)


@pytest.mark.parametrize("low", [3.0, 12.0, 157.0])
def test_a_surface_model_alone_is_refused_with_a_word_on_dtm(read: Any, low: float) -> None:
    slope = np.linspace(0, 6, SIDE)[:, None]
    with pytest.raises(NotAboveGround, match="--dtm DTM"):
        read((town() + slope + low + 3).astype("float32"))


def test_swapped_surface_and_terrain_are_refused(read: Any) -> None:
    terrain = np.full((SIDE, SIDE), 30, "float32")
    with pytest.raises(NotAboveGround, match="swapped"):
        read(terrain, dtm=(terrain + town()).astype("float32"))


def test_terrain_of_another_level_is_refused(read: Any) -> None:
    terrain = np.full((SIDE, SIDE), 30, "float32")
    with pytest.raises(NotAboveGround, match="--height-offset"):
        read((terrain + town() + 4).astype("float32"), dtm=terrain)


def test_what_is_asked_for_is_the_callers_mistake() -> None:
    assert issubclass(UnclearUnit, AmbiguousInput)
    with pytest.raises(BadOption, match="--height-unit"):
        ReadingOptions.read(height_unit="furlong")
    with pytest.raises(BadOption, match="--bands"):
        ReadingOptions.read(bands="1,2")
