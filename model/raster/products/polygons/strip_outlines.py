"""The polygons of some rows of a class raster, with the areas and heights of their pixels.

Coordinates are pixels, columns and rows from the raster's upper left corner. H W pixels.
"""

from array import array
from dataclasses import dataclass
from itertools import chain

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes as shapes_of

from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.connected_areas import label_areas
from mfnet.model.raster.products.polygons.kept_borders import KeptPolygon
from mfnet.model.raster.products.polygons.polygon_heights import HeightCounts, count_heights


@dataclass
class ClassPolygon:
    """An area of one class whose pixels share sides.

    Attributes:
        value: The class.
        shape: In pixels at first; what is too large for memory is in a file.
        area_m2: Of its pixels; NaN where nothing is known.
        heights: Of its pixels, where they are read.
    """

    value: int
    shape: shapely.Polygon | KeptPolygon
    area_m2: float
    heights: HeightCounts | None = None


def outlines(
    classes_HW: NDArray[np.uint8], row: int, grid: Grid
) -> tuple[list[ClassPolygon], NDArray[np.object_]]:
    """Finds the polygons of full-width rows, those of nodata among them.

    Args:
        classes_HW: The rows.
        row: The first.
        grid: Of the raster.

    Returns:
        The polygons, with their areas, and their shapes once more, as an array.
    """
    corners, values, corners_of, rings_of = array("d"), [], [0], [0]
    found = shapes_of(classes_HW, connectivity=4, transform=Affine.translation(0, row))
    for geometry, value in found:
        values.append(int(value))
        for ring in geometry["coordinates"]:
            corners.extend(chain.from_iterable(ring))
            corners_of.append(corners_of[-1] + len(ring))
        rings_of.append(len(corners_of) - 1)
    points = np.frombuffer(corners).reshape(-1, 2)
    offsets = (np.array(corners_of), np.array(rings_of))
    shapes = shapely.from_ragged_array(shapely.GeometryType.POLYGON, points, offsets)
    areas = pixel_sums(shapes, row, len(classes_HW), grid)
    polygons = [ClassPolygon(*each) for each in zip(values, shapes, areas.tolist(), strict=True)]
    return polygons, shapes


def pixel_sums(shapes: NDArray[np.object_], row: int, rows: int, grid: Grid) -> NDArray[np.float64]:
    """Square metres of the pixels of rectilinear polygons, by Green's theorem.

    The integral of the areas above an edge, over all horizontal edges, once around each ring.

    Args:
        shapes: In pixels, all of them in the strip.
        row: First of the strip.
        rows: Of the strip.
        grid: Of the raster.
    """
    edges = grid.areas.edges
    by_row = np.stack([grid.areas.at(at) for at in range(row, row + rows)])
    above = np.vstack([np.zeros(len(edges) - 1), by_row.cumsum(axis=0)])  # (rows + 1, segments)
    before = np.hstack([np.zeros((rows + 1, 1)), (above * np.diff(edges)).cumsum(axis=1)])

    def integral(column: NDArray[np.float64], at: NDArray[np.intp]) -> NDArray[np.float64]:
        segment = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, len(edges) - 2)
        inside: NDArray[np.float64] = (column - edges[segment]) * above[at, segment]
        return before[at, segment] + inside

    rings, polygon_of = shapely.get_rings(shapes, return_index=True)
    corners, ring_of = shapely.get_coordinates(rings, return_index=True)
    level = (corners[1:, 1] == corners[:-1, 1]) & (ring_of[1:] == ring_of[:-1])
    start, end = corners[:-1][level], corners[1:][level]
    at = np.rint(start[:, 1]).astype(np.intp) - row
    swept = integral(end[:, 0], at) - integral(start[:, 0], at)
    by_ring = np.abs(np.bincount(ring_of[:-1][level], swept, len(rings)))
    # The first ring of a polygon is its outline, the others are holes.
    first = np.r_[True, polygon_of[1:] != polygon_of[:-1]]
    sums: NDArray[np.float64] = np.bincount(
        polygon_of, np.where(first, by_ring, -by_ring), len(shapes)
    ).astype(np.float64)
    return sums


def add_heights(
    parts: list[ClassPolygon],
    classes_HW: NDArray[np.uint8],
    row: int,
    heights_HW: NDArray[np.float32],
) -> None:
    """Counts the heights of the pixels of polygons.

    Args:
        parts: All polygons of some rows, as `outlines` has found them.
        classes_HW: The rows.
        row: The first.
        heights_HW: Metres; NaN where unknown.
    """
    areas_HW, classes = label_areas(classes_HW)
    counts = count_heights(areas_HW, heights_HW, len(classes))
    for part in parts:
        # The first pixel of an area lies below and right of its outline's uppermost corner.
        corners = shapely.get_coordinates(shapely.get_exterior_ring(part.shape))
        column, first = corners[np.lexsort((corners[:, 0], corners[:, 1]))[0]].astype(int)
        part.heights = counts[areas_HW[first - row, column]]
