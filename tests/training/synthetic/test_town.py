"""Synthetic towns: the same from the same seed, and what they claim to hold."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from mfnet.model.classes import ISPRS
from mfnet.training.synthetic.layout.streets import draw_grid
from mfnet.training.synthetic.objects.cars import draw_car
from mfnet.training.synthetic.rendering.canvas import (
    BUILDING,
    CAR,
    IMPERVIOUS,
    LOW_VEGETATION,
    TREE,
    Canvas,
)
from mfnet.training.synthetic.rendering.light_and_survey import cast_shadows
from mfnet.training.synthetic.rendering.noise import soften
from mfnet.training.synthetic.rendering.palette import draw_setting
from mfnet.training.synthetic.town import Town, draw_town, write_town

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def towns() -> list[Town]:
    return [draw_town(seed, 512) for seed in SEEDS]


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = draw_town(5, 192), draw_town(5, 192)
    assert first.ortho.tobytes() == second.ortho.tobytes()
    assert first.ndsm.tobytes() == second.ndsm.tobytes()
    assert first.truth.tobytes() == second.truth.tobytes()


def test_another_seed_gives_another_town() -> None:
    assert (draw_town(5, 192).ortho != draw_town(6, 192).ortho).mean() > 0.5


@pytest.mark.parametrize("size", [16, 64, 100])
def test_any_size_has_its_shapes_and_types(size: int) -> None:
    town = draw_town(0, size)
    assert (town.ortho.shape, town.ortho.dtype) == ((3, size, size), np.uint8)
    assert (town.ndsm.shape, town.ndsm.dtype) == ((size, size), np.float32)
    assert (town.truth.shape, town.truth.dtype) == ((size, size), np.uint8)
    assert town.truth.max() < len(ISPRS)


def test_all_classes_are_there(towns: list[Town]) -> None:
    shares = np.bincount(np.concatenate([t.truth.ravel() for t in towns]), minlength=len(ISPRS))
    shares = shares / shares.sum()
    assert shares[:4].min() > 0.02
    assert shares[CAR] > 0.005
    assert shares[5] > 0.0005


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        (IMPERVIOUS, -0.3, 0.3),
        (BUILDING, 2.0, 16.0),
        (LOW_VEGETATION, -0.3, 0.4),
        (TREE, 2.0, 15.0),
        (CAR, 1.0, 1.7),
    ],
)
def test_heights_are_those_of_the_class(
    towns: list[Town], value: int, low: float, high: float
) -> None:
    heights = np.concatenate([t.ndsm[t.truth == value] for t in towns])
    assert low < np.nanmedian(heights) < high


def test_few_heights_are_missing_but_some(towns: list[Town]) -> None:
    for town in towns:
        assert 0.001 < np.isnan(town.ndsm).mean() < 0.05


def told_apart(values: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """Mean share of both groups on their side of the best threshold: 0.5 for none, 1 for all."""
    limits = np.quantile(values[one | other], np.linspace(0, 1, 101))
    shares = [((values[one] > x).mean() + (values[other] <= x).mean()) / 2 for x in limits]
    return float(max(*shares, 1 - min(shares)))


def test_heights_tell_roofs_from_streets_where_colours_do_not(towns: list[Town]) -> None:
    rgb = np.concatenate([t.ortho.reshape(3, -1) for t in towns], axis=1).astype(np.float32)
    heights = np.concatenate([np.nan_to_num(t.ndsm).ravel() for t in towns])
    truth = np.concatenate([t.truth.ravel() for t in towns])
    roof, street = truth == BUILDING, truth == IMPERVIOUS
    assert told_apart(heights, roof, street) > 0.95
    for tone in (*rgb, rgb.mean(0), rgb[0] / (rgb.sum(0) + 1)):
        assert told_apart(tone, roof, street) < 0.8


def test_a_car_is_parked_on_paved_ground_alone() -> None:
    rng = np.random.default_rng(0)
    canvas = Canvas(128, 0.125, draw_setting(rng), rng)
    assert not draw_car(canvas, 8.0, 8.0, 0.3, rng)
    canvas.truth[:] = IMPERVIOUS
    assert draw_car(canvas, 8.0, 8.0, 0.3, rng)
    car = canvas.truth == CAR
    assert 3.4 * 1.6 < car.sum() * 0.125**2 < 5.6 * 2.1
    assert 1.4 < canvas.height[car].max() < 2.2


def test_shadows_fall_away_from_the_sun_and_are_as_long_as_its_height_says() -> None:
    rng = np.random.default_rng(0)
    setting = draw_setting(rng)
    height = np.zeros((201, 201), np.float32)
    height[100, 100] = 5.0
    row, col = np.nonzero(cast_shadows(height, setting, 0.125) > 0.1)
    away = -np.asarray(setting.to_sun[:2]) / np.hypot(*setting.to_sun[:2])
    reach = ((row - 100) * away[0] + (col - 100) * away[1]).max() * 0.125
    assert reach == pytest.approx(5.0 / np.tan(setting.sun_elevation), abs=0.5)
    assert ((row - 100) * away[0] + (col - 100) * away[1]).min() > -3


@pytest.mark.parametrize("seed", range(5))
def test_street_axes_and_ground_are_inverse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = draw_grid(rng, 128.0)
    for u, v in rng.uniform(-60, 60, (20, 2)):
        row_m, col_m = grid.to_ground(u, v)
        again = grid.to_axes(np.float32([[row_m]]), np.float32([[col_m]]))
        assert float(again[0][0, 0]) == pytest.approx(u, abs=0.02)
        assert float(again[1][0, 0]) == pytest.approx(v, abs=0.02)


@pytest.mark.parametrize("sigma", [0.3, 0.7, 1.5])
def test_softening_has_the_variance_that_it_is_asked_for(sigma: float) -> None:
    image = np.zeros((41, 41), np.float32)
    image[20, 20] = 1
    soft = soften(image, sigma).astype(np.float64)
    offsets = np.arange(41) - 20
    assert soft.sum() == pytest.approx(1)
    assert (soft.sum(0) * offsets**2).sum() == pytest.approx(sigma**2, rel=0.02)


def test_a_town_is_written_as_geotiffs(tmp_path: Path) -> None:
    town = draw_town(3, 160)
    write_town(tmp_path / "town", town)
    with rasterio.open(tmp_path / "town" / "ortho.tif") as ortho:
        assert ortho.crs.to_epsg() == 25832
        assert ortho.res == (0.125, 0.125)
        assert ortho.profile["tiled"]
        assert ortho.compression.name == "deflate"
        assert np.array_equal(ortho.read(), town.ortho)
        grid = ortho.transform
    with rasterio.open(tmp_path / "town" / "ndsm.tif") as ndsm:
        assert ndsm.nodata == -9999
        assert ndsm.transform == grid
        heights = ndsm.read(1, masked=True)
        assert np.array_equal(np.ma.getmaskarray(heights), np.isnan(town.ndsm))
        assert np.array_equal(heights.compressed(), town.ndsm[~np.isnan(town.ndsm)])
    with rasterio.open(tmp_path / "town" / "truth.tif") as truth:
        assert np.array_equal(truth.read(1), town.truth)
