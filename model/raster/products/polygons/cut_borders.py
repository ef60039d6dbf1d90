"""The borders of a strip's polygons, cut where the strip ends and they go on.

A polygon that goes on above or below is not closed there: its border is *arcs* from edge to edge of
the strip, all with the polygon on the same side, and whole rings, which are holes. Arcs of two
strips meet at corners of pixels.

Where two pixels of one class share a corner alone, four borders meet in it. A ring that turned
there around its own pixel might come back to the corner, and touch itself. So arcs end there if the
two pixels are of different parts, and whoever links them goes on along the other part; within one
part GDAL has seen to it.

Coordinates are pixels. W columns of the raster, P polygons of a strip, E edges of their borders.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import shapely
from numpy.typing import NDArray

from mfnet.model.raster.products.polygons.simplify import Shapes

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Lines:
    """Parts of borders, each of several points.

    Attributes:
        part: (L,) the polygon that each belongs to, rising.
        points: (sum of counts, 2) columns and rows.
        counts: (L,) points of each.
    """

    part: Numbers
    points: Numbers
    counts: Numbers


@dataclass(frozen=True)
class Arcs(Lines):
    """Borders that go on in another strip.

    Attributes:
        ends: (L, 2) the corners in which each begins and ends, numbered along the rows.
        swept: (L,) twice the area between an arc and the origin. The sum of a ring's is positive
            around a polygon, and negative around a hole.
        turns: (L, 2) the directions in which each begins and ends.
    """

    ends: Numbers
    swept: Numbers
    turns: Numbers


@dataclass(frozen=True)
class Cut:
    """Of a strip's polygons those that go on in another one.

    Attributes:
        goes_on: (P,) which do.
        above: (n, 2) a column and a polygon that goes on above there.
        below: (n, 3) the first column, the one behind the last, and a polygon that goes on below.
        rings: Whole borders.
        arcs: The others.
    """

    goes_on: Flags
    above: Numbers
    below: Numbers
    rings: Lines
    arcs: Arcs


def cut_borders(
    shapes: Shapes,
    values: NDArray[np.int64],
    frame: NDArray[np.int16],
    row: int,
    *,
    keep_corners: bool,
) -> Cut:
    """Finds the polygons that go on, and cuts their borders.

    Args:
        shapes: (P,) from `with_corners`, simplified or not, without those of nodata.
        values: (P,) their classes.
        frame: The strip's classes and those around it, from `framed`.
        row: First of the strip.
        keep_corners: Also those at which a border does not turn.
    """
    edges = _Edges.of(shapes)
    inner = edges.inner(frame, row)
    goes_on = np.bincount(edges.part[inner], minlength=len(shapes)) > 0
    some = goes_on[edges.part]
    edges, inner = edges.only(some), inner[some]
    begins = ~inner & (edges.crossings(values, frame, row) | inner[edges.before])
    has_arcs = np.zeros(edges.rings, bool)
    has_arcs[edges.ring[begins]] = True
    bottom = row + len(frame) - 2
    low = np.minimum(edges.start[:, 0], edges.stop[:, 0])
    high = np.maximum(edges.start[:, 0], edges.stop[:, 0])
    upper, lower = inner & (edges.start[:, 1] == row), inner & (edges.start[:, 1] == bottom)
    return Cut(
        goes_on,
        np.column_stack([low, edges.part])[upper],
        np.column_stack([low, high, edges.part])[lower],
        _rings(edges, ~has_arcs[edges.ring], keep_corners),
        _arcs(edges, inner, begins, frame.shape[1] - 1, keep_corners),
    )


@dataclass(frozen=True)
class _Edges:
    """Straight pieces of borders, ring after ring; the polygon is on the same side of all.

    Attributes:
        start: (E, 2) column and row.
        stop: (E, 2) likewise.
        ring: (E,) rising, from 0 on.
        part: (E,) the polygon.
    """

    start: Numbers
    stop: Numbers
    ring: Numbers
    part: Numbers

    @classmethod
    def of(cls, shapes: Shapes) -> Self:
        _, corners, (points_of, rings_of) = shapely.to_ragged_array(shapes)
        points = np.rint(corners).astype(np.int64)
        counts = np.diff(points_of) - 1
        ring = np.repeat(np.arange(len(counts)), counts)
        along = np.arange(len(ring)) - (counts.cumsum() - counts)[ring]
        at = points_of[:-1][ring] + along
        outer = np.zeros(len(counts), bool)
        outer[rings_of[:-1]] = True
        swept = np.bincount(ring, _swept(points[at], points[at + 1]), len(counts))
        turned = ((swept > 0) != outer)[ring]
        at = np.where(turned, points_of[1:][ring] - 2 - along, at)
        start, stop = points[at + turned], points[at + ~turned]
        return cls(start, stop, ring, np.repeat(np.arange(len(shapes)), np.diff(rings_of))[ring])

    def only(self, some: Flags) -> Self:
        """Those of some rings."""
        ring = np.unique(self.ring[some], return_inverse=True)[1]
        return type(self)(self.start[some], self.stop[some], ring, self.part[some])

    @property
    def rings(self) -> int:
        return int(self.ring[-1]) + 1 if len(self.ring) else 0

    @property
    def counts(self) -> Numbers:
        return np.bincount(self.ring, minlength=self.rings)

    @property
    def before(self) -> Numbers:
        """(E,) of each the edge before it in its ring."""
        before = np.arange(-1, len(self.ring) - 1)
        last = self.counts.cumsum() - 1
        before[last - self.counts + 1] = last
        return before

    @property
    def turn(self) -> Numbers:
        """(E,) a number for each direction along rows and columns."""
        right, down = np.sign(self.stop - self.start).T
        turn: Numbers = right + 3 * down
        return turn

    def inner(self, frame: NDArray[np.int16], row: int) -> Flags:
        """(E,) which lie where the strip ends and the same class goes on."""
        inner = np.zeros(len(self.ring), bool)
        low = np.minimum(self.start[:, 0], self.stop[:, 0])
        for line, one, other in ((row, 0, 1), (row + len(frame) - 2, -2, -1)):
            on = np.flatnonzero((self.start[:, 1] == line) & (self.stop[:, 1] == line))
            inner[on] = (frame[one] == frame[other])[1:-1][low[on]]
        return inner

    def crossings(self, values: Numbers, frame: NDArray[np.int16], row: int) -> Flags:
        """(E,) which start where another part of their class shares nothing but the corner."""
        column, line = self.start.T
        around = [frame[line - row + down, column + right] for down in (0, 1) for right in (0, 1)]
        own = values[self.part]
        left_up, right_up, left_down, right_down = (each == own for each in around)
        crossed: Flags = (left_up == right_down) & (right_up == left_down)
        crossed &= left_up != right_up
        beyond = (line == row) | (line == row + len(frame) - 2)
        inside = np.flatnonzero(crossed & ~beyond)
        key = (line[inside] * frame.shape[1] + column[inside]) * 256 + own[inside]
        order = np.lexsort((self.part[inside], key))
        key, part = key[order], self.part[inside][order]
        pair = np.flatnonzero((key[1:] == key[:-1]) & (part[1:] != part[:-1]))
        found: Flags = crossed & beyond
        found[inside[order[pair]]] = True
        found[inside[order[pair + 1]]] = True
        return found


def _rings(edges: _Edges, whole: Flags, keep_corners: bool) -> Lines:
    """The rings that nothing has cut."""
    shown = whole if keep_corners else whole & (edges.turn != edges.turn[edges.before])
    ring = edges.ring[shown]
    counts = np.bincount(ring, minlength=edges.rings)
    there = np.flatnonzero(counts)
    counts = counts[there]
    points, ends = edges.start[shown], counts.cumsum()
    part = edges.part[shown][ends - counts]
    closed = np.insert(points, ends, points[ends - counts], axis=0)
    return Lines(part, closed, counts + 1)


def _arcs(edges: _Edges, inner: Flags, begins: Flags, corners: int, keep_corners: bool) -> Arcs:
    """What lies between two cuts; `corners` is how many there are along a row."""
    order = _from_first_begin(edges, begins)
    order = order[~inner[order]]
    start, stop, turn = edges.start[order], edges.stop[order], edges.turn[order]
    new = begins[order]
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(order))[: len(first)] - 1
    shown = new if not keep_corners else np.ones(len(order), bool)
    shown = shown | np.r_[True, turn[1:] != turn[:-1]][: len(order)]
    arc = np.cumsum(new) - 1
    counts = np.bincount(arc[shown], minlength=len(first))
    points = np.insert(start[shown], counts.cumsum(), stop[last], axis=0)
    swept = np.add.reduceat(_swept(start, stop), first) if len(first) else first
    key = [at[:, 1] * corners + at[:, 0] for at in (start[first], stop[last])]
    part = edges.part[order][first]
    turns = np.column_stack([turn[first], turn[last]])
    return Arcs(part, points, counts + 1, np.column_stack(key), swept, turns)


def _from_first_begin(edges: _Edges, begins: Flags) -> Numbers:
    """The edges of rings with a begin, each ring from its first one on."""
    counts = edges.counts
    first = counts.cumsum() - counts
    at = np.flatnonzero(begins)
    ring, which = np.unique(edges.ring[at], return_index=True)
    offset = np.full(edges.rings, -1)
    offset[ring] = at[which] - first[ring]
    along = np.arange(len(edges.ring)) - first[edges.ring]
    order = first[edges.ring] + (along + offset[edges.ring]) % counts[edges.ring]
    found: Numbers = order[offset[edges.ring] >= 0]
    return found


def _swept(start: Numbers, stop: Numbers) -> Numbers:
    """Twice the areas between edges and the origin."""
    swept: Numbers = start[:, 0] * stop[:, 1] - stop[:, 0] * start[:, 1]
    return swept
