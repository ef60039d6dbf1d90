"""Polygons of a strip with the corners of their neighbours, and simplified.

GEOS simplifies a coverage as a whole, a border once for both of its sides, and no border across
another; and it joins what shares borders by leaving these out. For both, polygons must have a
corner wherever one of their neighbours has, and what leaves the strip must stay where it is, so
that the next strip's polygons fit to it.

Coordinates are pixels. H W pixels of a strip; N its corners of pixels, (H + 1, W + 1).

Source: GEOS, `CoverageSimplifier`: Visvalingam and Whyatt, "Line generalisation by repeated
elimination of points", 1993, with a test that no border is crossed.
"""

import numpy as np
import shapely
from numpy.typing import NDArray

_BEYOND = -1
"""Beyond the raster's edge lies no class."""

Shapes = NDArray[np.object_]


def framed(around_HW: NDArray[np.uint8], row: int, rows: int) -> NDArray[np.int16]:
    """(H + 2, W + 2) the classes of a strip and of the pixels around it.

    Args:
        around_HW: The strip's classes, and a row above and below it where the raster has one.
        row: First of the strip.
        rows: Of the strip.
    """
    height, width = around_HW.shape
    frame = np.full((rows + 2, width + 2), _BEYOND, np.int16)
    top = 0 if row > 0 else 1
    frame[top : top + height, 1:-1] = around_HW
    return frame


def with_corners(shapes: Shapes, frame: NDArray[np.int16], row: int) -> Shapes:
    """The polygons of a strip with a corner wherever a neighbour has one, in the next strips too.

    Args:
        shapes: All of them, those of nodata too: rectilinear, without a gap.
        frame: From `framed`.
        row: First of the strip.
    """
    return _with_corners(shapes, _corners(frame), row)


def simplify_shapes(fitting: Shapes, tolerance_px: float) -> Shapes:
    """Simplifies the polygons of a strip; its upper and lower edge stay where they are.

    Args:
        fitting: From `with_corners`.
        tolerance_px: A corner goes where the triangle with its neighbours is smaller than the
            square of it.
    """
    found: Shapes = shapely.coverage_simplify(fitting, tolerance_px, simplify_boundary=False)
    return found


def without_straight_corners(shapes: Shapes) -> Shapes:
    """Rectilinear polygons, at least one, without the corners at which they do not turn."""
    kind, points, (points_of, rings_of) = shapely.to_ragged_array(shapes)
    first, last = points_of[:-1], points_of[1:] - 1  # a ring's last point is its first
    before = np.arange(-1, len(points) - 1)
    before[first] = last - 1
    after = np.arange(1, len(points) + 1)
    after[last] = first + 1
    (dx, dy), (ex, ey) = (points - points[before]).T, (points[after] - points).T
    turns = dx * ey != dy * ex
    turns[last] = False
    of_ring = np.add.reduceat(turns, first, dtype=np.int64)
    kept = np.flatnonzero(turns)
    ends = of_ring.cumsum()
    kept = np.insert(kept, ends, kept[ends - of_ring])
    corners_of = np.concatenate([[0], (of_ring + 1).cumsum()])
    found: Shapes = shapely.from_ragged_array(kind, points[kept], (corners_of, rings_of))
    return found


def _corners(framed: NDArray[np.int16]) -> NDArray[np.bool_]:
    """(H + 1, W + 1) where borders meet or turn.

    Args:
        framed: (H + 2, W + 2) the strip's classes and those around it.
    """
    side = framed[:, 1:] != framed[:, :-1]  # between columns, of each row
    level = framed[1:, 1:-1] != framed[:-1, 1:-1]  # between rows, of each column of the strip
    level[[0, -1]] = True  # the strip is cut there
    up, down = side[:-1], side[1:]
    no_border = np.zeros((len(level), 1), bool)
    left, right = np.hstack([no_border, level]), np.hstack([level, no_border])
    straight: NDArray[np.bool_] = (up == down) & (left == right) & (up != left)
    return ~straight


def _with_corners(shapes: Shapes, corners_N: NDArray[np.bool_], row: int) -> Shapes:
    """The shapes with a point at each corner that lies on their outlines."""
    dense = shapely.segmentize(shapes, 1.0)
    kind, points, (points_of, rings_of) = shapely.to_ragged_array(dense)
    points = np.rint(points)
    columns, rows = points.astype(np.intp).T
    kept = corners_N[rows - row, columns]
    before = np.concatenate([[0], kept.cumsum()])
    found: Shapes = shapely.from_ragged_array(kind, points[kept], (before[points_of], rings_of))
    return found
