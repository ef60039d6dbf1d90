"""Resamples a raster onto another grid, block by block; what it reads can be cleaned before.

GDAL's own warped data sets read the file as it is and leave out one nodata value; here whoever
reads may take more for missing, and a missing pixel then eats nothing of its neighbours. Blocks lie
fixed on the target grid: which window is read changes no value.
"""

import math
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.windows import Window

from mfnet.model.raster.georeferencing.grid import Grid

BLOCK_ROWS, BLOCK_COLUMNS = 128, 512
WARP_TOLERANCE_PX = 0.01
_MARGIN_PX = 4
_MOST_SOURCE_PX = 16 << 20
_STEPS = 9

Read = Callable[[Window], NDArray[np.float32]]
"""A window of the source, (h, w), NaN where nothing is known."""
ToSource = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Columns and rows (2, n) of the target to those of the source; infinite where there is no way."""


class Warp:
    """A raster on another grid.

    Args:
        read: Of the source.
        source: Its grid.
        target: The grid to read on.
        to_source: From the target's pixels to the source's.
        same_crs: The two CRSs mean the same, whatever they are called.
        resampling: Bilinear, average, nearest, …; NaN takes no part.
    """

    def __init__(
        self,
        read: Read,
        source: Grid,
        target: Grid,
        to_source: ToSource,
        *,
        same_crs: bool,
        resampling: Resampling,
    ) -> None:
        self._read, self._to_source = read, to_source
        self._source, self._target = source, target
        # With no CRS in both any one will do: points are then only moved within it.
        self._target_crs = target.crs or CRS.from_epsg(3857)
        self._source_crs = self._target_crs if same_crs else source.crs
        self._resampling = resampling
        self._blocks: OrderedDict[tuple[int, int], NDArray[np.float32]] = OrderedDict()
        self._kept = 2 * math.ceil(target.width / BLOCK_COLUMNS) + 2

    def read(self, window: Window) -> NDArray[np.float32]:
        """A window of the target, (h, w), NaN where nothing is known."""
        values = np.empty((window.height, window.width), np.float32)
        top, left = window.row_off, window.col_off
        bottom, right = top + window.height, left + window.width
        for row in range(top // BLOCK_ROWS * BLOCK_ROWS, bottom, BLOCK_ROWS):
            for column in range(left // BLOCK_COLUMNS * BLOCK_COLUMNS, right, BLOCK_COLUMNS):
                block = self._block(row, column)
                first, start = max(row, top), max(column, left)
                part = block[first - row : bottom - row, start - column : right - column]
                height, width = part.shape
                values[first - top : first - top + height, start - left : start - left + width] = (
                    part
                )
        return values

    def forget(self) -> None:
        """Read the source anew from now on: its numbers mean something else."""
        self._blocks.clear()

    def _block(self, row: int, column: int) -> NDArray[np.float32]:
        if (row, column) in self._blocks:
            self._blocks.move_to_end((row, column))
            return self._blocks[row, column]
        height = min(BLOCK_ROWS, self._target.height - row)
        width = min(BLOCK_COLUMNS, self._target.width - column)
        block = self._warp(Window(column, row, width, height))
        self._blocks[row, column] = block
        if len(self._blocks) > self._kept:
            self._blocks.popitem(last=False)
        return block

    def _warp(self, window: Window) -> NDArray[np.float32]:
        """A window of the target; halved where it would need too much of the source at once."""
        needed = self._needed(window)
        if needed is None:
            return np.full((window.height, window.width), np.nan, np.float32)
        pixels = needed.height * needed.width
        if pixels > _MOST_SOURCE_PX and window.height * window.width > 1:
            return self._warp_halves(window)
        values = np.full((window.height, window.width), np.nan, np.float32)
        reproject(
            self._read(needed),
            values,
            src_transform=_shifted(self._source.transform, needed),
            src_crs=self._source_crs,
            src_nodata=np.nan,
            dst_transform=_shifted(self._target.transform, window),
            dst_crs=self._target_crs,
            dst_nodata=np.nan,
            resampling=self._resampling,
            tolerance=WARP_TOLERANCE_PX,
            # GDAL would widen its kernel by what it makes of each block's size.
            XSCALE=1,
            YSCALE=1,
            # By itself GDAL chooses the operation between two datums by the block's own place:
            # another one than `to_source`, and than for the next block (ED50: 1.4 m apart).
            AREA_OF_INTEREST="-180,-90,180,90",
        )
        return values

    def _warp_halves(self, window: Window) -> NDArray[np.float32]:
        row, column, height, width = (
            *(window.row_off, window.col_off),
            *(window.height, window.width),
        )
        if height >= width:
            half = height // 2
            parts = [
                Window(column, row, width, half),
                Window(column, row + half, width, height - half),
            ]
        else:
            half = width // 2
            parts = [
                Window(column, row, half, height),
                Window(column + half, row, width - half, height),
            ]
        return np.concatenate([self._warp(part) for part in parts], axis=int(height < width))

    def _needed(self, window: Window) -> Window | None:
        """What of the source the window is made of, with a margin; None where there is nothing."""
        columns = np.linspace(window.col_off, window.col_off + window.width, _STEPS)
        rows = np.linspace(window.row_off, window.row_off + window.height, _STEPS)
        points = np.stack([axis.ravel() for axis in np.meshgrid(columns, rows)])
        seen = self._to_source(points)
        seen = seen[:, np.isfinite(seen).all(axis=0)]
        if not seen.size:
            return None
        # A curve may swing out between two points of the raster of points.
        swing = 0.02 * (seen.max(axis=1) - seen.min(axis=1)) + _MARGIN_PX
        low = np.floor(seen.min(axis=1) - swing)
        high = np.ceil(seen.max(axis=1) + swing)
        left, top = (int(min(max(value, 0), 2**31)) for value in low)
        right = int(min(high[0], self._source.width))
        bottom = int(min(high[1], self._source.height))
        if left >= right or top >= bottom:
            return None
        return Window(left, top, right - left, bottom - top)


def _shifted(transform: Affine, window: Window) -> Affine:
    return transform * Affine.translation(window.col_off, window.row_off)
