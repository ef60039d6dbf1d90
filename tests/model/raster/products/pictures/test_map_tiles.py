"""Tiles of a map: each pixel where it belongs, nothing beside it."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_bounds, from_origin

from mfnet.model.classes import NODATA
from mfnet.model.raster.products.pictures.map_tiles import TILE_PX, draw_tile, tile_extent

HALF_M = math.pi * 6_378_137.0
COLORS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


def written(path: Path, values: np.ndarray, crs: str | None, transform) -> Path:
    profile = {"driver": "GTiff", "height": values.shape[0], "width": values.shape[1], "count": 1}
    told = {} if crs is None else {"crs": crs, "transform": transform}
    with rasterio.open(path, "w", **profile, **told, dtype="uint8", nodata=NODATA) as file:
        file.write(values, 1)
    return path


def shown(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    red, _, _, alpha = np.moveaxis(np.asarray(image), -1, 0)
    return np.where(alpha == 0, NODATA, red)


def bounds_of(z: int, x: int, y: int) -> tuple[float, float, float, float]:
    side = 2 * HALF_M / 2**z
    west, north = x * side - HALF_M, HALF_M - y * side
    return west, north - side, west + side, north


@pytest.mark.parametrize("times", [1, 4])
def test_a_raster_on_the_grid_of_a_tile_is_that_tile(tmp_path: Path, times: int) -> None:
    z, x, y = 18, 137_744, 90_270
    values = np.random.default_rng(0).integers(0, 6, (TILE_PX, TILE_PX), dtype=np.uint8)
    values[:9, :30] = NODATA
    large = values.repeat(times, 0).repeat(times, 1)
    transform = from_bounds(*bounds_of(z, x, y), large.shape[1], large.shape[0])
    path = written(tmp_path / "map.tif", large, "EPSG:3857", transform)
    assert (shown(draw_tile(path, COLORS, z, x, y)) == values).all()
    beside = shown(draw_tile(path, COLORS, z, x + 1, y))
    assert (beside == NODATA).all()
    quarter = shown(draw_tile(path, COLORS, z + 1, 2 * x + 1, 2 * y))
    assert (quarter == values[:128, 128:].repeat(2, 0).repeat(2, 1)).all()


def test_a_raster_of_another_crs_lies_where_its_extent_says(tmp_path: Path) -> None:
    values = np.full((300, 500), 3, np.uint8)
    path = written(
        tmp_path / "map.tif", values, "EPSG:25832", from_origin(512_000, 5_403_000, 1, 1)
    )
    extent = tile_extent(path)
    assert extent is not None
    west, south, east, north = extent["bounds"]
    assert (west, south) == (pytest.approx(9.163, abs=1e-3), pytest.approx(48.777, abs=1e-3))
    z = extent["maxzoom"]
    x = int(((west + east) / 2 + 180) / 360 * 2**z)
    latitude = math.asinh(math.tan(math.radians((south + north) / 2)))
    y = int((1 - latitude / math.pi) / 2 * 2**z)
    assert (shown(draw_tile(path, COLORS, z, x, y)) == 3).any()
    world = shown(draw_tile(path, COLORS, 0, 0, 0))
    assert (world != NODATA).sum() <= 1
    assert (shown(draw_tile(path, COLORS, 3, 0, 0)) == NODATA).all()


def test_a_raster_that_does_not_say_where_it_lies_has_no_extent(tmp_path: Path) -> None:
    assert (
        tile_extent(written(tmp_path / "map.tif", np.zeros((9, 9), np.uint8), None, None)) is None
    )
