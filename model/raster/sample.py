"""A sample of a raster: small windows spread evenly, the same ones whoever looks, and when."""

from collections.abc import Iterator

from rasterio.windows import Window

WINDOWS = 8
"""At most, a side of the raster."""
SIDE_PX = 32
"""Of a window; a raster of up to 256 pixels a side is seen whole."""


def sample_windows(height: int, width: int) -> Iterator[Window]:
    """Windows from the top left, none on another."""
    for row in _starts(height):
        for column in _starts(width):
            yield Window(column, row, min(SIDE_PX, width - column), min(SIDE_PX, height - row))


def _starts(length: int) -> list[int]:
    """First pixels of the windows along an axis."""
    if length <= WINDOWS * SIDE_PX:
        return list(range(0, length, SIDE_PX))
    last = length - SIDE_PX
    return [round(i * last / (WINDOWS - 1)) for i in range(WINDOWS)]
