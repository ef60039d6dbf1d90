"""Areas against brute force, and normalisation against its definition."""

import math

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod
from rasterio.crs import CRS

from mfnet.model.classes import ISPRS
from mfnet.model.config import NDSM, ORTHO, EncoderConfig, Modality, ModelConfig
from mfnet.model.errors import BadOption, ModelInput
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.pairs.normalize import scaling, scalings, white_point
from mfnet.model.raster.products.areas.class_areas import ClassAreas

ENCODER = EncoderConfig(embed_dim=8, depth=1, num_heads=1, global_attn_indexes=(0,))


def count(grid: Grid, classes: np.ndarray, cut: int) -> dict:
    areas = ClassAreas(grid, ISPRS)
    areas.add(0, classes[:cut])
    areas.add(cut, classes[cut:])
    return areas.summary()


@given(cut=st.integers(0, 40), seed=st.integers(0, 99))
def test_projected_areas_are_pixels_times_their_size(cut: int, seed: int) -> None:
    classes = np.random.default_rng(seed).choice([0, 1, 2, 5, 255], (40, 30)).astype(np.uint8)
    grid = Grid(40, 30, Affine(0.2, 0, 5e5, 0, -0.3, 5.7e6), CRS.from_epsg(25832))
    found = count(grid, classes, cut)
    for value, item in enumerate(found["classes"]):
        pixels = int((classes == value).sum())
        assert item["pixels"] == pixels
        assert item["area_m2"] == pytest.approx(pixels * 0.06)
        assert item["share"] == pytest.approx(pixels / (classes != 255).sum())
    assert found["nodata"]["pixels"] == (classes == 255).sum()
    assert found["total"] == {"pixels": 1200, "area_m2": pytest.approx(72.0)}
    assert [item["name"] for item in found["classes"]] == list(ISPRS.names)


def test_feet_are_not_metres() -> None:
    feet = Grid(1, 1, Affine(10, 0, 1e6, 0, -10, 2e5), CRS.from_epsg(2263))
    assert feet.areas.kind == "planar"
    assert feet.pixel_area_m2(0) == pytest.approx(100 * (1200 / 3937) ** 2)
    assert feet.gsd_m == pytest.approx(10 * 1200 / 3937)


def test_geographic_areas_are_those_of_the_ellipsoid() -> None:
    """Against one densified polygon a row, of all its pixels at once."""
    step = 0.05
    grid = Grid(30, 20, Affine(step, 0, 8, 0, -step, 60), CRS.from_epsg(4326))
    found = count(grid, np.zeros((30, 20), np.uint8), 11)
    geod, total = Geod(ellps="WGS84"), 0.0
    for row in range(30):
        north, south = 60 - row * step, 60 - (row + 1) * step
        lon = np.linspace(8, 9, 2001)
        area, _ = geod.polygon_area_perimeter(
            [*lon, *lon[::-1]], [*([north] * 2001), *([south] * 2001)]
        )
        total += abs(area)
        assert grid.pixel_area_m2(row) == pytest.approx(abs(area) / 20, rel=1e-5)
    assert found["total"]["area_m2"] == pytest.approx(total, rel=1e-5)
    assert grid.pixel_area_m2(29) > grid.pixel_area_m2(0)


def test_areas_turned_or_south_up_are_the_same() -> None:
    crs = CRS.from_epsg(25832)
    for transform in (
        Affine(0.5, 0, 5e5, 0, 0.4, 5.7e6),
        Affine.translation(5e5, 5.7e6) @ Affine.rotation(33) @ Affine.scale(0.5, -0.4),
    ):
        assert Grid(5, 5, transform, crs).pixel_area_m2(3) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "grid",
    [
        Grid(4, 4, Affine(1, 0, 0, 0, -1, 0), None),
        Grid(4, 4, Affine(1e200, 0, 0, 0, -1e200, 0), CRS.from_epsg(25832)),
    ],
)
def test_unknown_areas_are_none_and_not_zero(grid: Grid) -> None:
    found = count(grid, np.zeros((4, 4), np.uint8), 2)
    assert found["total"] == {"pixels": 16, "area_m2": None}
    assert found["classes"][0] == {
        "name": "impervious_surface",
        "title": "Impervious surface",
        "color": "#ffffff",
        "foreground": True,
        "pixels": 16,
        "area_m2": None,
        "share": 1.0,
    }


def test_nothing_but_nodata_has_shares_of_zero() -> None:
    grid = Grid(4, 4, Affine(1, 0, 0, 0, -1, 0), CRS.from_epsg(25832))
    found = count(grid, np.full((4, 4), 255, np.uint8), 2)
    assert {item["share"] for item in found["classes"]} == {0.0}


def test_a_value_of_no_class_is_our_fault() -> None:
    grid = Grid(4, 4, Affine(1, 0, 0, 0, -1, 0), None)
    with pytest.raises(AssertionError, match="isprs"):
        count(grid, np.full((4, 4), 6, np.uint8), 2)


@given(
    low=st.floats(-50, 50),
    span=st.floats(0.1, 100),
    white=st.sampled_from([1.0, 255.0, 4095.0, 65535.0]),
    share=st.floats(-1, 2),
)
def test_scaling_takes_the_range_to_0_and_1(
    low: float, span: float, white: float, share: float
) -> None:
    for unit, full in (("reflectance", white), ("metre", 1.0)):
        modality = Modality(name="a", bands=1, unit=unit, low=low, high=low + span)
        map_ = scaling(modality, white)
        value = (low + share * span) * full
        assert value * map_.scale + map_.offset == pytest.approx(share, abs=1e-6 * (1 + abs(low)))


def test_default_ranges() -> None:
    assert scaling(ORTHO, 255).scale == pytest.approx(1 / 255)
    assert 30 * scaling(NDSM, 255).scale + scaling(NDSM, 255).offset == pytest.approx(1)
    assert [white_point(t) for t in ("uint8", "uint16", "float32")] == [255, 65535, 1]


@pytest.mark.parametrize("white", [0.0, -1.0, math.nan, math.inf])
def test_white_is_a_positive_number(white: float) -> None:
    with pytest.raises(BadOption):
        scaling(ORTHO, white)


def test_modalities_come_reflectance_first_and_unknown_ones_are_refused() -> None:
    config = ModelConfig(encoder=ENCODER, modalities=(NDSM, ORTHO))
    assert list(scalings(config, 255)) == ["ortho", "ndsm"]
    for wrong in (
        Modality(name="sar", bands=1, unit="reflectance"),
        Modality(name="ortho", bands=1, unit="reflectance"),
    ):
        with pytest.raises(ModelInput) as caught:
            scalings(ModelConfig(encoder=ENCODER, modalities=(wrong,)), 255)
        assert caught.value.params == {"modality": wrong.name, "bands": wrong.bands}
