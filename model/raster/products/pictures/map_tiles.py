"""Rasters as tiles of the web's pyramid: EPSG:3857, 256 pixels a side, PNG.

Zoom z has 2^z tiles a side; tile 0, 0 is in the north-west.
"""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from PIL import Image
from rasterio import windows
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.transform import from_bounds
from rasterio.warp import reproject, transform_bounds

from mfnet.model.classes import NODATA

TILE_PX = 256
MOST_ZOOM = 24
_HALF_M = math.pi * 6_378_137.0
"""Half of the square's side, in the metres of EPSG:3857."""
_WEB = CRS.from_epsg(3857)
_LATITUDE = 85.0511
_MORE_PX = 4
"""Read around a tile, so that its rim has neighbours."""


def tile_extent(raster: Path) -> dict[str, Any] | None:
    """Where a raster lies, and at which zooms it is worth looking at; None where nobody can tell.

    Returns:
        `bounds`: west, south, east and north in degrees; `minzoom`, at which it fills about a tile;
        `maxzoom`, at which a pixel of a tile is about as large as one of its own.
    """
    with rasterio.open(raster, driver="GTiff") as source:
        if source.crs is None or source.transform.is_identity:
            return None
        west, south, east, north = transform_bounds(source.crs, CRS.from_epsg(4326), *source.bounds)
        in_web = transform_bounds(source.crs, _WEB, *source.bounds)
        side_px = max(source.width, source.height)
    if not all(map(math.isfinite, (west, south, east, north, *in_web))):
        return None
    side_m = max(in_web[2] - in_web[0], in_web[3] - in_web[1])
    fills = math.log2(2 * _HALF_M / side_m)
    sharp = fills + math.log2(max(side_px / TILE_PX, 1))
    return {
        "bounds": [west, max(south, -_LATITUDE), east, min(north, _LATITUDE)],
        "minzoom": min(max(math.floor(fills) - 1, 0), MOST_ZOOM),
        "maxzoom": min(max(math.ceil(sharp), 0), MOST_ZOOM),
    }


def draw_tile(raster: Path, colors_256x3: np.ndarray, z: int, x: int, y: int) -> bytes:
    """A tile of a raster of bytes, transparent where its value is nodata or it does not lie.

    Args:
        raster: A GeoTIFF that knows where it lies; its overviews are used.
        colors_256x3: The colour of each value, uint8.
        z: Zoom.
        x: Column of the tile.
        y: Row of the tile.

    Returns:
        The PNG, with a palette.
    """
    tile = np.full((1, TILE_PX, TILE_PX), NODATA, np.uint8)
    with rasterio.open(raster, driver="GTiff") as source:
        wanted = tile_window(source, z, x, y)
        if wanted is not None:
            # About as many pixels as the tile has; what is coarser comes from an overview.
            step = max(1.0, wanted.width / (2 * TILE_PX), wanted.height / (2 * TILE_PX))
            shape = (math.ceil(wanted.height / step), math.ceil(wanted.width / step))
            values = source.read([1], window=wanted, out_shape=shape, resampling=Resampling.nearest)
            scaled = source.window_transform(wanted) * Affine.scale(
                wanted.width / shape[1], wanted.height / shape[0]
            )
            onto_tile(values, source.crs, scaled, tile, (z, x, y), nodata=NODATA)
    image = Image.fromarray(tile[0], mode="P")
    image.putpalette(colors_256x3.astype(np.uint8).tobytes())
    png = io.BytesIO()
    image.save(png, "PNG", transparency=NODATA, optimize=False, compress_level=4)
    return png.getvalue()


def tile_window(source: DatasetReader, z: int, x: int, y: int) -> windows.Window | None:
    """The pixels of a raster that a tile shows, and some around them; None where there are none."""
    try:
        there = transform_bounds(_WEB, source.crs, *_bounds(z, x, y), densify_pts=21)
    except rasterio.errors.CRSError:
        return None
    return _window(source, there) if all(map(math.isfinite, there)) else None


def onto_tile(
    values_CHW: np.ndarray,
    crs: CRS,
    transform: Affine,
    tile_CHW: np.ndarray,
    place: tuple[int, int, int],
    *,
    nodata: int,
) -> None:
    """Put pixels where they belong in a tile.

    Args:
        values_CHW: What is known.
        crs: Theirs.
        transform: From their columns and rows to it.
        tile_CHW: Gets them, 256 pixels a side.
        place: Zoom, column and row of the tile.
        nodata: What stands in the tile where nothing is known, and in `values_CHW`.
    """
    reproject(
        *(values_CHW, tile_CHW),
        src_transform=transform,
        src_crs=crs,
        src_nodata=nodata,
        dst_transform=from_bounds(*_bounds(*place), TILE_PX, TILE_PX),
        dst_crs=_WEB,
        dst_nodata=nodata,
        resampling=Resampling.nearest,
    )


def _bounds(z: int, x: int, y: int) -> tuple[float, float, float, float]:
    """West, south, east, north of a tile, metres of EPSG:3857."""
    side_m = 2 * _HALF_M / 2**z
    west, north = x * side_m - _HALF_M, _HALF_M - y * side_m
    return west, north - side_m, west + side_m, north


def _window(
    source: DatasetReader, there: tuple[float, float, float, float]
) -> windows.Window | None:
    """The raster's pixels within bounds of its own CRS, whichever way it is turned."""
    west, south, east, north = there
    corners = [(west, south), (west, north), (east, south), (east, north)]
    columns, rows = zip(*(~source.transform * corner for corner in corners), strict=True)
    left = max(math.floor(min(columns)) - _MORE_PX, 0)
    top = max(math.floor(min(rows)) - _MORE_PX, 0)
    right = min(math.ceil(max(columns)) + _MORE_PX, source.width)
    bottom = min(math.ceil(max(rows)) + _MORE_PX, source.height)
    if left >= right or top >= bottom:
        return None
    return windows.Window(left, top, right - left, bottom - top)
