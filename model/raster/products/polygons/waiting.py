"""Polygons that go on from strip to strip, until they end."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from mfnet.model.raster.products.polygons.polygon_heights import joined
from mfnet.model.raster.products.polygons.simplify import without_straight_corners
from mfnet.model.raster.products.polygons.strip_outlines import ClassPolygon


@dataclass
class Waiting:
    """Polygons that reach the lower edge of what was looked at, and may go on below.

    Attributes:
        keep_corners: Also those that turn nowhere: neighbours have them, too.
        groups: Parts of one polygon, by a number.
        ids: (W,) the group of each column's pixel above the edge; -1 for none.
    """

    keep_corners: bool = False
    groups: dict[int, list[ClassPolygon]] = field(default_factory=dict)
    ids: NDArray[np.int64] | None = None
    _next: int = 0

    def advance(
        self, parts: list[ClassPolygon], top: int, bottom: int, width: int
    ) -> list[ClassPolygon]:
        """Takes the next strip; returns the polygons that go on no more."""
        above = np.full(width, -1, np.int64) if self.ids is None else self.ids
        numbers = list(range(self._next, self._next + len(parts)))
        self._next += len(parts)
        parent = {number: number for number in (*self.groups, *numbers)}
        groups = self.groups | {n: [part] for n, part in zip(numbers, parts, strict=True)}
        upper = _along(parts, numbers, top, width)
        for one, other in {*zip(above.tolist(), upper.tolist(), strict=True)}:
            if one >= 0 and other >= 0 and groups[one][0].value == groups[other][0].value:
                parent[_root(parent, other)] = _root(parent, one)
        merged: dict[int, list[ClassPolygon]] = defaultdict(list)
        for number, members in groups.items():
            merged[_root(parent, number)] += members
        lower = _along(parts, numbers, bottom, width)
        self.ids = np.array([_root(parent, n) if n >= 0 else -1 for n in lower.tolist()], np.int64)
        open_ = {*self.ids.tolist()}
        self.groups = {number: members for number, members in merged.items() if number in open_}
        ended = [members for number, members in merged.items() if number not in open_]
        return self._plain([self._joined(members) for members in ended])

    def finish(self) -> list[ClassPolygon]:
        """Those that wait."""
        return self._plain([self._joined(members) for members in self.groups.values()])

    def _joined(self, parts: list[ClassPolygon]) -> ClassPolygon:
        """The parts of a polygon as one, without corners where they met."""
        if len(parts) == 1:
            return parts[0]
        shape = shapely.coverage_union_all([part.shape for part in parts])
        known = [part.heights for part in parts if part.heights is not None]
        area_m2 = sum(part.area_m2 for part in parts)
        heights = joined(known) if known else None
        return ClassPolygon(parts[0].value, shape, area_m2, heights)

    def _plain(self, polygons: list[ClassPolygon]) -> list[ClassPolygon]:
        """Without corners at which they do not turn, unless these are to be kept."""
        if polygons and not self.keep_corners:
            shapes = np.array([polygon.shape for polygon in polygons], object)
            for polygon, shape in zip(polygons, without_straight_corners(shapes), strict=True):
                polygon.shape = shape
        return polygons


def _along(
    parts: list[ClassPolygon], numbers: list[int], edge: int, width: int
) -> NDArray[np.int64]:
    """(W,) which part has its side on a row's edge at each column."""
    found = np.full(width, -1, np.int64)
    bounds = shapely.bounds(np.array([part.shape for part in parts], object)) if parts else ()
    for number, part, (_, low, _, high) in zip(numbers, parts, bounds, strict=True):
        if edge not in (low, high):
            continue
        for ring in (part.shape.exterior, *part.shape.interiors):
            corners = shapely.get_coordinates(ring)
            on = (corners[1:, 1] == edge) & (corners[:-1, 1] == edge)
            for start, end in zip(corners[:-1][on, 0], corners[1:][on, 0], strict=True):
                found[int(min(start, end)) : int(max(start, end))] = number
    return found


def _root(parent: dict[int, int], number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return number
