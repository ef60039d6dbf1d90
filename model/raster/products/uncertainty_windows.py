"""Where a model was least sure of its map: the places where a correction teaches most."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.vectors.geopackage_writer import write_polygons

WINDOW_PX = 256
"""Side of a window: of a size that a person corrects in minutes, and a model takes at once."""
MANY = 20
LEAST_VALID = 0.25
"""Of the fullest window's pixels with data: a sliver at the rim is no place to learn from."""


@dataclass(frozen=True)
class Unsure:
    """A window, and how sure its map is.

    Attributes:
        window: In pixels of the map.
        confidence: Mean percent of the winning class, over the pixels with data.
        pixels: Their number.
    """

    window: Window
    confidence: float
    pixels: int


def write_least_sure(confidence: Path, out: Path) -> list[Unsure]:
    """Writes the windows where a map is least sure into a GeoPackage, the least sure first.

    The layer `least_sure` has each window as a square, its `rank` from 1, its mean `confidence` in
    percent and the `area_m2` of its pixels with data. No window lies on another.

    Args:
        confidence: As `segment` wrote it: percent, 255 without data.
        out: The GeoPackage; replaced if it exists.

    Returns:
        What was written; nothing is where the map has no data at all.

    Raises:
        OutputNotWritable: The folder is missing, not writable or full.
    """
    with GeoTiff(confidence, Role.LABELS) as raster:
        grid = raster.grid
        found = least_sure(*_means(raster), grid)
    if found:
        columns: dict[str, list[int | float | None]] = {
            "rank": list(range(1, len(found) + 1)),
            "confidence": [round(unsure.confidence, 2) for unsure in found],
            "area_m2": [_area_m2(unsure, grid) for unsure in found],
        }
        shapes = [outline(unsure.window, grid) for unsure in found]
        write_polygons(out, "least_sure", shapes, columns, grid.crs)
    return found


def least_sure(
    sums: NDArray[np.int64], counts: NDArray[np.int64], grid: Grid, many: int = MANY
) -> list[Unsure]:
    """The windows with the lowest mean, the lowest first, of equals the upper left one.

    Args:
        sums: Of the percent of the pixels with data, a window each, (rows, columns of windows).
        counts: Of these pixels.
        grid: The map's; windows at its right and lower rim are smaller.
        many: At most so many.
    """
    enough = counts >= max(1, LEAST_VALID * counts.max())
    means = np.where(enough, sums / np.maximum(counts, 1), np.inf)
    order = np.argsort(means, axis=None, kind="stable")[:many]
    found = []
    for row, column in zip(*np.unravel_index(order, means.shape), strict=True):
        if not enough[row, column]:
            break
        top, left = int(row) * WINDOW_PX, int(column) * WINDOW_PX
        size = min(WINDOW_PX, grid.width - left), min(WINDOW_PX, grid.height - top)
        window = Window(left, top, *size)
        found.append(Unsure(window, float(means[row, column]), int(counts[row, column])))
    return found


def _means(raster: GeoTiff) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sums and numbers of valid pixels of each window, the raster being read row by row of them."""
    height, width = raster.grid.height, raster.grid.width
    lefts = np.arange(0, width, WINDOW_PX)
    sums, counts = [], []
    for top in range(0, height, WINDOW_PX):
        rows = Window(0, top, width, min(WINDOW_PX, height - top))
        values, valid = raster.read(rows)
        percent = np.where(valid, values[0], 0).sum(axis=0, dtype=np.int64)
        sums.append(np.add.reduceat(percent, lefts))
        counts.append(np.add.reduceat(valid.sum(axis=0, dtype=np.int64), lefts))
    return np.stack(sums), np.stack(counts)


def _area_m2(unsure: Unsure, grid: Grid) -> float | None:
    window = unsure.window
    middle = window.row_off + window.height // 2, window.col_off + window.width // 2
    pixel = grid.pixel_area_m2(*map(int, middle))
    return None if pixel is None else round(unsure.pixels * pixel, 2)


def outline(window: Window, grid: Grid) -> shapely.Polygon:
    """A window of a map on the ground."""
    left, top = window.col_off, window.row_off
    right, bottom = left + window.width, top + window.height
    # counter-clockwise where the grid is north-up, as exterior rings are
    corners = np.array([[left, left, right, right], [top, bottom, bottom, top]], np.float64)
    return cast(shapely.Polygon, shapely.Polygon(grid.to_ground(corners).T))
