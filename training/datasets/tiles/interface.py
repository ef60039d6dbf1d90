"""What every data set gives: labelled tiles, areas of them, and pools of windows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.classes import ClassScheme
from mfnet.training.datasets.tiles.augmentation import AUGMENTATIONS
from mfnet.training.datasets.tiles.class_census import Census
from mfnet.training.datasets.tiles.rescale import to_side
from mfnet.training.datasets.tiles.samples import Sample


class Tile(Protocol):
    """A labelled raster, read window by window; from several threads and processes at once."""

    @property
    def name(self) -> str:
        """For people: the tile's id or file."""

    @property
    def height(self) -> int:
        """Rows."""

    @property
    def width(self) -> int:
        """Columns."""

    def read(self, window: Window) -> Sample:
        """The window's rasters and truth; the window lies inside the tile."""

    def truth(self, window: Window) -> NDArray[np.uint8]:
        """The window's truth alone, (h, w): values of the scheme, 255 to be ignored."""

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """Where the window has an orthophoto, (h, w); elsewhere all truth is 255."""


@dataclass(frozen=True)
class Area:
    """A rectangle of a tile; windows lie in it whole.

    Args:
        tile: The tile.
        window: The rectangle.
        halvings: How often its pixels are halved in number for the network; below zero, doubled.
    """

    tile: Tile
    window: Window
    halvings: int = 0

    @classmethod
    def whole(cls, tile: Tile, halvings: int = 0) -> "Area":
        """All of a tile."""
        return cls(tile, Window(0, 0, tile.width, tile.height), halvings)

    @property
    def raster(self) -> Tile:
        """The area as a tile of its own; the tile itself where it is all of it."""
        whole = (self.tile.height, self.tile.width) == (self.window.height, self.window.width)
        return self.tile if whole else Crop(self.tile, self.window)

    def holds(self, side_px: int) -> bool:
        """Whether a window that the network sees so wide fits in."""
        return _scaled(side_px, self.halvings) <= int(min(self.window.height, self.window.width))

    def side(self, side_px: int) -> int:
        """Side in the tile's pixels of a window that the network sees so wide.

        In an area that is too small for it, the network sees finer pixels than it should.
        """
        halvings = self.halvings
        while halvings > 0 and not replace(self, halvings=halvings).holds(side_px):
            halvings -= 1
        return _scaled(side_px, halvings)

    def positions(self, side_px: int) -> tuple[int, int]:
        """In how many rows, and columns, of the tile such a window may begin."""
        side = self.side(side_px)
        return self.window.height - side + 1, self.window.width - side + 1

    def read(self, row: int, col: int, side_px: int) -> Sample:
        """The window that begins there, rows and columns of the tile, as the network sees it."""
        return to_side(self.tile.read(_square(row, col, self.side(side_px))), side_px)


@dataclass(frozen=True)
class Crop:
    """A rectangle of a tile as a tile."""

    whole: Tile
    window: Window

    @property
    def name(self) -> str:
        """The tile's, and where in it."""
        return f"{self.whole.name} at row {self.window.row_off}, column {self.window.col_off}"

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.window.height)

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.window.width)

    def read(self, window: Window) -> Sample:
        """See `Tile`."""
        return self.whole.read(self._there(window))

    def truth(self, window: Window) -> NDArray[np.uint8]:
        """See `Tile`."""
        return self.whole.truth(self._there(window))

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """See `Tile`."""
        return self.whole.valid(self._there(window))

    def _there(self, window: Window) -> Window:
        row, column = self.window.row_off + window.row_off, self.window.col_off + window.col_off
        return Window(column, row, window.width, window.height)


class Pool:
    """Windows of some areas: random ones to learn from, orderly ones to look at.

    The k-th random window depends on the seed and k alone. So a loop resumes with the windows that
    it would have had, and any number of workers share the counting (worker i of n takes k = i,
    i + n, …) without ever drawing the same random numbers: nothing is kept between two samples.

    Args:
        areas: At least one.
        scheme: What the truth's values mean.
        augmentation: A key of `mfnet.training.datasets.tiles.augmentation.AUGMENTATIONS`.
        sampling: What is seen equally often: each of the `tiles` (areas), `pixels`, or `classes`.
        census: Where the classes are; `classes` needs it.
    """

    def __init__(
        self,
        areas: Sequence[Area],
        scheme: ClassScheme,
        *,
        augmentation: str = "full",
        sampling: str = "tiles",
        census: Census | None = None,
    ) -> None:
        self.areas = tuple(areas)
        self.scheme = scheme
        self.census = census
        self._augment = AUGMENTATIONS[augmentation]
        self._by_class = sampling == "classes"
        pixels = np.array([a.window.width * a.window.height for a in areas], np.float64)
        weights = np.ones(len(areas)) if sampling == "tiles" else pixels
        self._shares = np.cumsum(weights / weights.sum())

    def __len__(self) -> int:
        return len(self.areas)

    def sample(self, index: int, window_px: int, seed: int) -> Sample:
        """The random window of an index: cut out and augmented.

        Args:
            index: From 0, without end.
            window_px: Side of the window; no area is smaller.
            seed: Of the run, not negative.
        """
        rng = np.random.default_rng((seed, index))
        area, row, col = self.choose(window_px, rng)
        return self._augment(area.read(row, col, window_px), rng)

    def choose(self, window_px: int, rng: np.random.Generator) -> tuple[Area, int, int]:
        """A random window's area, and its first row and column in the tile, as `sampling` says."""
        if self._by_class and self.census is not None:
            index, row, col = self.census.draw(rng)
            area = self.areas[index]
            rows, cols = area.positions(window_px)
            # the window lies around the pixel at random, moved into the area where it sticks out
            row, col = (at - int(rng.integers(area.side(window_px))) for at in (row, col))
            row, col = min(max(row, 0), rows - 1), min(max(col, 0), cols - 1)
        else:
            index = int(np.searchsorted(self._shares, rng.random(), side="right"))
            area = self.areas[min(index, len(self.areas) - 1)]
            row, col = (int(rng.integers(positions)) for positions in area.positions(window_px))
        return area, area.window.row_off + row, area.window.col_off + col

    def windows(self, window_px: int, rng: np.random.Generator) -> Iterator[Sample]:
        """Random windows without end: `sample` of a seed that is drawn from `rng`."""
        seed = int(rng.integers(2**63))
        return (self.sample(index, window_px, seed) for index in count())

    def tiles(self, window_px: int) -> Iterator[Sample]:
        """All whole windows side by side, area by area, as they are."""
        for area in self.areas:
            for row, col in places(area, window_px):
                yield area.read(row, col, window_px)


@dataclass(frozen=True)
class Splits:
    """A data set, ready: what to learn from, what to choose by, what to be measured on once.

    Attributes:
        scheme: Its classes.
        train: To learn from.
        validation: To look at while training, to choose by and to fit the temperature on.
        test: Gives the areas that nothing is chosen by; to be called once, at the end.
        remarks: What was found while opening that a person should know.
    """

    scheme: ClassScheme
    train: Pool
    validation: Pool
    test: Callable[[], Sequence[Area]]
    remarks: tuple[str, ...] = ()


def places(area: Area, side_px: int) -> Iterator[tuple[int, int]]:
    """First rows and columns, in the tile, of all whole windows side by side."""
    rows, cols = area.positions(side_px)
    step = area.side(side_px)
    for row in range(0, rows, step):
        for col in range(0, cols, step):
            yield area.window.row_off + row, area.window.col_off + col


def _scaled(side_px: int, halvings: int) -> int:
    return side_px << halvings if halvings >= 0 else side_px >> -halvings


def _square(row: int, col: int, side_px: int) -> Window:
    return Window(col, row, side_px, side_px)
