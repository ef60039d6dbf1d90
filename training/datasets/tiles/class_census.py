"""Where the classes of some areas are: counted once, cell by cell, and kept in memory."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CELL_PX = 64
"""Side of a cell: 2 bytes a class for 4,096 pixels, so 40 MB for the labels of 100 GB."""


def count_cells(truth: NDArray[np.uint8], classes: int) -> NDArray[np.uint16]:
    """Pixels of each class in each cell of a raster or strip, those on the rim being smaller.

    Args:
        truth: (H, W) values of the scheme; others are not counted.
        classes: Number of classes.

    Returns:
        (rows of cells, columns of cells, classes).
    """
    height, width = truth.shape
    rows, cols = -(-height // CELL_PX), -(-width // CELL_PX)
    cell = (np.arange(height) // CELL_PX)[:, None] * cols + np.arange(width) // CELL_PX
    counted = truth < classes
    flat = cell[counted] * classes + truth[counted]
    counts = np.bincount(flat, minlength=rows * cols * classes)
    return counts.reshape(rows, cols, classes).astype(np.uint16)


class Census:
    """The counts of a pool's areas.

    Args:
        cells: Of each area, as `count_cells` returns them.
        sizes: Height and width of each area in pixels.
    """

    def __init__(
        self, cells: Sequence[NDArray[np.uint16]], sizes: Sequence[tuple[int, int]]
    ) -> None:
        self._sizes = list(sizes)
        self._columns = [area.shape[1] for area in cells]
        flat = [area.reshape(-1, area.shape[2]) for area in cells]
        self._first = np.cumsum([0, *(len(area) for area in flat)])
        counts = np.concatenate(flat)
        self.pixels: NDArray[np.int64] = counts.sum(axis=0, dtype=np.int64)
        """Labelled pixels of each class."""
        self._present = np.flatnonzero(self.pixels)
        # Of each class that occurs: the cells that have it, and the running sum of its pixels.
        self._where = {int(k): np.flatnonzero(counts[:, k]) for k in self._present}
        self._until = {
            k: np.cumsum(counts[where, k], dtype=np.int64) for k, where in self._where.items()
        }

    def draw(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """A place of a class, all classes that occur being equally likely.

        Returns:
            The area's index, and a row and column in a cell that has the class, drawn as often as
            the cell has pixels of it.
        """
        value = int(rng.choice(self._present))
        until = self._until[value]
        drawn = np.searchsorted(until, rng.integers(until[-1]), side="right")
        cell = int(self._where[value][drawn])
        area = int(np.searchsorted(self._first, cell, side="right")) - 1
        at = divmod(cell - int(self._first[area]), self._columns[area])
        row, col = (
            min(index * CELL_PX + int(rng.integers(CELL_PX)), size - 1)
            for index, size in zip(at, self._sizes[area], strict=True)
        )
        return area, row, col
