"""Polygons that go on from strip to strip, until they end."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from mfnet.model.raster.products.polygons.cut_borders import Cut
from mfnet.model.raster.products.polygons.kept_borders import BorderFile, Borders
from mfnet.model.raster.products.polygons.polygon_heights import HeightCounts, joined
from mfnet.model.raster.products.polygons.strip_outlines import ClassPolygon

_MOST_PARTS = 64
MOST_BYTES_IN_MEMORY = 1 << 20
"""Of a polygon; a larger one stays in the file until it is written."""


@dataclass
class _Open:
    """A polygon as far as it is known.

    Attributes:
        value: Its class.
        area_m2: Of its pixels so far.
        borders: So far.
        heights: Of its pixels so far, in parts.
    """

    value: int
    area_m2: float
    borders: Borders
    heights: list[HeightCounts] = field(default_factory=list)

    def take(self, other: "_Open") -> None:
        self.area_m2 += other.area_m2
        self.borders.take(other.borders)
        self.heights += other.heights
        if len(self.heights) > _MOST_PARTS:
            self.heights = [joined(self.heights)]


class Waiting:
    """Polygons that go on below what was looked at."""

    def __init__(self, file: BorderFile, width: int, most_bytes: int) -> None:
        """None yet.

        Args:
            file: Where their borders wait.
            width: Of the raster, pixels.
            most_bytes: Of a polygon that is brought into memory.
        """
        self._file, self._width, self._most_bytes = file, width, most_bytes
        self._open: dict[int, _Open] = {}
        self._above = np.full(width, -1, np.int64)
        self._next = 0

    def advance(self, parts: list[ClassPolygon], cut: Cut) -> Iterator[ClassPolygon]:
        """Takes the polygons of the next strip; yields those that go on no more."""
        numbers = range(self._next, self._next + len(parts))
        borders = self._file.keep(cut.rings, cut.arcs, len(parts), self._next)
        self._next += len(parts)
        parent = {number: number for number in self._open}
        for number, part, own in zip(numbers, parts, borders, strict=True):
            if own is None:
                yield part
                continue
            parent[number] = number
            heights = [] if part.heights is None else [part.heights]
            self._open[number] = _Open(part.value, part.area_m2, own, heights)
        for column, part_of_strip in np.unique(cut.above, axis=0).tolist():
            one = _root(parent, int(self._above[column]))
            other = _root(parent, numbers[part_of_strip])
            if one != other:
                parent[other] = one
        self._merge(parent)
        self._above = np.full(self._width, -1, np.int64)
        for start, stop, part_of_strip in cut.below.tolist():
            self._above[start:stop] = _root(parent, numbers[part_of_strip])
        going_on = set(np.unique(self._above).tolist())
        for number in [number for number in self._open if number not in going_on]:
            yield self._ended(self._open.pop(number))

    def _merge(self, parent: dict[int, int]) -> None:
        """Makes one of those that have turned out to be one, the smaller part to the larger."""
        for number in list(self._open):
            root = _root(parent, number)
            if root == number:
                continue
            one, other = self._open[root], self._open.pop(number)
            if len(one.borders.arcs) < len(other.borders.arcs):
                one, other = other, one
            one.take(other)
            self._open[root] = one

    def _ended(self, polygon: _Open) -> ClassPolygon:
        kept = self._file.polygon(polygon.borders)
        shape = kept if kept.size_bytes > self._most_bytes else kept.shape()
        heights = joined(polygon.heights) if polygon.heights else None
        return ClassPolygon(polygon.value, shape, polygon.area_m2, heights)


def _root(parent: dict[int, int], number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return number
