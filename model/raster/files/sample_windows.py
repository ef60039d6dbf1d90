"""A sample of a raster: small windows all over it, the same ones whoever looks, and when.

One window lies somewhere in each cell of a grid. Windows at even distances would see too much, or
nothing, of what repeats at the same distance, such as empty blocks.
"""

from collections.abc import Iterator
from itertools import pairwise

from rasterio.windows import Window

WINDOWS = 16
"""At most, a side of the raster."""
SIDE_PX = 16
"""Of a window; a raster of up to 256 pixels a side is seen whole."""
# Both fractions of the plastic number: steps that fill a square as evenly as is known.
_STEP_DOWN, _STEP_ACROSS = 0.7548776662466927, 0.5698402909980532


def sample_windows(height: int, width: int) -> Iterator[Window]:
    """Windows from the top left, none on another."""
    down, across = _cells(height), _cells(width)
    number = 0
    for top, bottom in down:
        for left, right in across:
            number += 1
            row = top + int((number * _STEP_DOWN) % 1 * max(0, bottom - top - SIDE_PX + 1))
            column = left + int((number * _STEP_ACROSS) % 1 * max(0, right - left - SIDE_PX + 1))
            yield Window(column, row, min(SIDE_PX, width - column), min(SIDE_PX, height - row))


def _cells(length: int) -> list[tuple[int, int]]:
    """First pixel, and the one after the last, of the cells along an axis."""
    if length <= WINDOWS * SIDE_PX:
        return [(first, first + SIDE_PX) for first in range(0, length, SIDE_PX)]
    ends = [round(i * length / WINDOWS) for i in range(WINDOWS + 1)]
    return list(pairwise(ends))
