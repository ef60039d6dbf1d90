"""The pixels of a raster over the network, each of its blocks fetched once.

A pair is read several times over: a sample, the map, what is made of the map. What has been fetched
waits, decoded, in a file of the run. It takes room for what is read alone: for an area of interest,
its blocks.
"""

import math
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.io import DatasetReader
from rasterio.windows import Window

from mfnet.model.atomic_files import not_writable

_LEAST_ROWS = 128
_MOST_BYTES = 64 << 20

Slices = tuple[slice, slice]


class FetchedBlocks:
    """The pixels of an open raster, read as from rasterio's data set.

    They are kept in *cells*: a block, or as many strips as make a cell of some height.

    Attributes:
        height: Rows.
        width: Columns.
        indexes: Of its bands, counted from 1.
    """

    def __init__(self, dataset: DatasetReader, path: Path, fetched: set[int]) -> None:
        """Those of a data set.

        Args:
            dataset: rasterio's.
            path: Of the file where cells are kept; that of an earlier one is taken up.
            fetched: The cells that it holds; kept up to date.
        """
        self.height, self.width, self.indexes = dataset.height, dataset.width, dataset.indexes
        self._dataset, self._path, self._fetched = dataset, path, fetched
        self._masked = MaskFlags.per_dataset in dataset.mask_flag_enums[0]
        self._dtype = np.dtype(dataset.dtypes[0])
        rows, self._across = dataset.block_shapes[0]
        self._down = math.ceil(_LEAST_ROWS / rows) * rows
        self._columns = math.ceil(self.width / self._across)
        pixels = self._down * self._across
        self._mask_at = pixels * len(self.indexes) * self._dtype.itemsize
        self._cell_bytes = self._mask_at + (pixels if self._masked else 0)
        self._lock = threading.Lock()
        path.touch()
        self._file = path.open("r+b")

    def close(self) -> None:
        """Closes the file; what was fetched stays in it."""
        self._file.close()

    def read(self, indexes: int | Sequence[int], window: Window) -> NDArray[Any]:
        """Bands of a window, (bands, h, w), or (h, w) of one."""
        bands = [indexes] if isinstance(indexes, int) else list(indexes)
        found = np.empty((len(bands), window.height, window.width), self._dtype)
        with self._lock:
            for cell, here, there in self._cells(window):
                values = self._values(cell, 0, self._dtype, len(self.indexes))
                found[:, *here] = values[np.subtract(bands, 1)][:, *there]
        return found[0] if isinstance(indexes, int) else found

    def read_masks(self, band: int, window: Window) -> NDArray[np.uint8]:
        """(h, w) 0 where the mask inside the raster, which is all bands', hides a pixel."""
        found = np.empty((window.height, window.width), np.uint8)
        with self._lock:
            for cell, here, there in self._cells(window):
                found[here] = self._values(cell, self._mask_at, np.dtype(np.uint8), 1)[0][there]
        return found

    def _cells(self, window: Window) -> Iterator[tuple[int, Slices, Slices]]:
        """The cells that hold a window: where in the window, and where in the cell they overlap."""
        top, left = window.row_off, window.col_off
        bottom, right = top + window.height, left + window.width
        across = range(left // self._across, math.ceil(right / self._across))
        for row in range(top // self._down, math.ceil(bottom / self._down)):
            self._fetch(row, [c for c in across if row * self._columns + c not in self._fetched])
            rows = _overlap(top, bottom, row * self._down, self._down)
            for column in across:
                columns = _overlap(left, right, column * self._across, self._across)
                here, there = (rows[0], columns[0]), (rows[1], columns[1])
                yield row * self._columns + column, here, there

    def _fetch(self, row: int, columns: Sequence[int]) -> None:
        """Brings cells of a row of cells, those side by side together."""
        most = max(1, _MOST_BYTES // self._cell_bytes)
        start = 0
        for end in range(1, len(columns) + 1):
            goes_on = end < len(columns) and columns[end] == columns[end - 1] + 1
            if not goes_on or end - start == most:
                self._fetch_run(row, range(columns[start], columns[end - 1] + 1))
                start = end

    def _fetch_run(self, row: int, columns: range) -> None:
        left, top = columns.start * self._across, row * self._down
        width = min(columns.stop * self._across, self.width) - left
        window = Window(left, top, width, min(self._down, self.height - top))
        values = self._dataset.read(window=window)
        parts = [values]
        if self._masked:
            mask = self._dataset.read_masks(self.indexes[0], window=window)
            parts.append(mask[np.newaxis])
        padding = [(0, self._down - window.height), (0, len(columns) * self._across - width)]
        whole = [np.pad(part, [(0, 0), *padding]) for part in parts]
        try:
            for number, column in enumerate(columns):
                cell = row * self._columns + column
                inside = slice(number * self._across, (number + 1) * self._across)
                self._file.seek(cell * self._cell_bytes)
                for part in whole:
                    self._file.write(np.ascontiguousarray(part[:, :, inside]).data)
                self._fetched.add(cell)
        except OSError as error:
            raise not_writable(self._path, error) from error

    def _values(self, cell: int, at: int, dtype: np.dtype, bands: int) -> NDArray[Any]:
        self._file.seek(cell * self._cell_bytes + at)
        raw = self._file.read(bands * self._down * self._across * dtype.itemsize)
        return np.frombuffer(raw, dtype).reshape(bands, self._down, self._across)


def _overlap(first: int, last: int, start: int, length: int) -> tuple[slice, slice]:
    """What two ranges of pixels share, counted from the start of each."""
    low, high = max(first, start), min(last, start + length)
    return slice(low - first, high - first), slice(low - start, high - start)
