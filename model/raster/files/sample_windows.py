"""Samples of a raster: small windows all over it, the same ones whoever looks, and when."""

from collections.abc import Iterator
from itertools import pairwise

from rasterio.windows import Window

WINDOWS = 8
"""At most, a side of the raster."""
SIDE_PX = 32
"""Of a window; a raster of up to 256 pixels a side is seen whole."""

# Both fractions of the plastic number: steps that fill a square as evenly as is known.
_STEP_DOWN, _STEP_ACROSS = 0.7548776662466927, 0.5698402909980532


def sample_windows(height: int, width: int) -> Iterator[Window]:
    """Windows from the top left at even distances, none on another."""
    for row in _starts(height):
        for column in _starts(width):
            yield Window(column, row, min(SIDE_PX, width - column), min(SIDE_PX, height - row))


def scattered_windows(height: int, width: int) -> Iterator[Window]:
    """As many pixels in four times as many windows, one somewhere in each cell of a grid.

    Windows at even distances may see too much, or nothing, of what repeats at such a distance: of
    empty blocks, for instance.
    """
    number, side = 0, SIDE_PX // 2
    for top, bottom in _cells(height, side):
        for left, right in _cells(width, side):
            number += 1
            row = top + int((number * _STEP_DOWN) % 1 * max(0, bottom - top - side + 1))
            column = left + int((number * _STEP_ACROSS) % 1 * max(0, right - left - side + 1))
            yield Window(column, row, min(side, width - column), min(side, height - row))


def _starts(length: int) -> list[int]:
    """First pixels of the windows along an axis."""
    if length <= WINDOWS * SIDE_PX:
        return list(range(0, length, SIDE_PX))
    last = length - SIDE_PX
    return [round(i * last / (WINDOWS - 1)) for i in range(WINDOWS)]


def _cells(length: int, side: int) -> list[tuple[int, int]]:
    """First pixel, and the one after the last, of the cells along an axis."""
    if length <= WINDOWS * SIDE_PX:
        return [(first, first + side) for first in range(0, length, side)]
    count = 2 * WINDOWS
    return list(pairwise(round(i * length / count) for i in range(count + 1)))
