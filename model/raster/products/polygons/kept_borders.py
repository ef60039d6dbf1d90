"""Borders that wait in a file until their polygon ends, and the polygon as it is written then.

A street network is one polygon, with a hole for each block: of a city it does not fit into memory.
Its borders are written down strip by strip, as they will stand in the polygon. What is in memory of
each arc is where it lies and which corners it joins; its points go from file to file.

The polygon is well-known binary (WKB), little-endian: 1, 3, the number of rings; of each ring the
number of its points, and the points.
"""

import os
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from mfnet.model.raster.products.polygons.cut_borders import Arcs, Lines, Numbers

_POINT_BYTES = 16
_CHUNK_BYTES = 1 << 20
_HEAD = struct.pack("<BI", 1, 3)
_COUNT = struct.Struct("<I")
_COLUMNS = 8
"""Of an arc: its first byte, points, begin, end, twice its area, part, directions (2)."""


@dataclass
class Borders:
    """What is known of a polygon's border until it ends.

    Attributes:
        arcs: Numbers of each, `_COLUMNS` of them.
        rings: First byte, bytes and number of whole rings that lie together.
        bounds: Least and most, x and y.
    """

    arcs: "array[int]"
    rings: "array[int]"
    bounds: tuple[float, float, float, float]

    def take(self, other: "Borders") -> None:
        """The other's are this one's."""
        self.arcs.extend(other.arcs)
        self.rings.extend(other.rings)
        left, low, right, high = other.bounds
        own_left, own_low, own_right, own_high = self.bounds
        self.bounds = (
            *(min(own_left, left), min(own_low, low)),
            *(max(own_right, right), max(own_high, high)),
        )


class BorderFile:
    """A file of borders, as they will be written.

    Args:
        file: Open, without a name.
        transform: From pixels to the coordinates that are written.
        keep_corners: Also those at which a border does not turn.
    """

    def __init__(self, file: IO[bytes], transform: Affine, *, keep_corners: bool) -> None:
        self._file, self._transform, self._keep_corners = file, transform, keep_corners

    def keep(self, rings: Lines, arcs: Arcs, parts: int, first: int) -> list[Borders | None]:
        """Writes the borders of a strip down.

        Args:
            rings: Of its polygons that go on.
            arcs: Likewise.
            parts: How many polygons the strip has.
            first: The number of its first one among all strips'.

        Returns:
            For each polygon what is known of its border now; None of those without any.
        """
        table, xy = self._keep_arcs(arcs, first)
        of_part = np.searchsorted(arcs.part, np.arange(parts + 1)).tolist()
        points_of = np.r_[0, arcs.counts.cumsum()]
        whole = self._keep_rings(rings)
        found: list[Borders | None] = []
        for part in range(parts):
            start, stop = of_part[part], of_part[part + 1]
            if start == stop:
                found.append(None)
                continue
            own = xy[points_of[start] : points_of[stop]]
            bounds = (*own.min(axis=0).tolist(), *own.max(axis=0).tolist())
            own_arcs = array("q", table[start:stop].tobytes())
            found.append(Borders(own_arcs, array("q", whole.get(part, ())), bounds))
        return found

    def _keep_arcs(self, arcs: Arcs, first: int) -> tuple[Numbers, NDArray[np.float64]]:
        xy = self._placed(arcs.points)
        at = self._file.seek(0, os.SEEK_END)
        self._file.write(xy.data)
        offsets = at + _POINT_BYTES * (arcs.counts.cumsum() - arcs.counts)
        columns = (offsets, arcs.counts, arcs.ends, arcs.swept, arcs.part + first, arcs.turns)
        return np.column_stack(columns).astype(np.int64), xy

    def _keep_rings(self, rings: Lines) -> dict[int, tuple[int, int, int]]:
        """Of each polygon with whole rings where they are, their bytes and their number."""
        xy, kept = self._placed(rings.points), {}
        stops = rings.counts.cumsum().tolist()
        starts = [0, *stops]
        parts, which = np.unique(rings.part, return_index=True)
        ends = np.searchsorted(rings.part, parts, side="right").tolist()
        at = self._file.seek(0, os.SEEK_END)
        for part, first, end in zip(parts.tolist(), which.tolist(), ends, strict=True):
            pieces = [
                piece
                for ring in range(first, end)
                for piece in (
                    _COUNT.pack(stops[ring] - starts[ring]),
                    xy[starts[ring] : stops[ring]].data,
                )
            ]
            raw = b"".join(pieces)
            self._file.write(raw)
            kept[part] = at, len(raw), end - first
            at += len(raw)
        return kept

    def _placed(self, points: Numbers) -> NDArray[np.float64]:
        x, y = self._transform * (points[:, 0].astype(float), points[:, 1].astype(float))
        return np.column_stack([x, y])

    def polygon(self, borders: Borders) -> "KeptPolygon":
        """The polygon whose border is whole now."""
        self._file.flush()
        arcs = np.frombuffer(borders.arcs, np.int64).reshape(-1, _COLUMNS)
        linked = [_Ring(self._file, arcs, ring, self._keep_corners) for ring in _ring_arcs(arcs)]
        linked.sort(key=lambda ring: -ring.swept)  # the outline first
        rings = np.frombuffer(borders.rings, np.int64).reshape(-1, 3)
        return KeptPolygon(self._file, linked, rings, borders.bounds)


class KeptPolygon:
    """A polygon in a file.

    Attributes:
        size_bytes: Of its WKB.
        bounds: Least x and y, most x and y.
    """

    def __init__(
        self,
        file: IO[bytes],
        linked: list["_Ring"],
        rings: Numbers,
        bounds: tuple[float, float, float, float],
    ) -> None:
        self.bounds = bounds
        self._file, self._linked, self._rings = file, linked, rings
        points = sum(ring.points for ring in linked)
        self.size_bytes = len(_HEAD) + _COUNT.size * (1 + len(linked)) + _POINT_BYTES * points
        self.size_bytes += int(rings[:, 1].sum())

    def chunks(self) -> Iterator[bytes]:
        """Its WKB, piece after piece."""
        yield _HEAD + _COUNT.pack(len(self._linked) + int(self._rings[:, 2].sum()))
        for ring in self._linked:
            yield from ring.chunks()
        for start, size, _ in self._rings.tolist():
            for at in range(start, start + size, _CHUNK_BYTES):
                yield _read(self._file, at, min(_CHUNK_BYTES, start + size - at))

    def shape(self) -> shapely.Polygon:
        """In memory."""
        found: shapely.Polygon = shapely.from_wkb(b"".join(self.chunks()))
        return found


class _Ring:
    """A ring of arcs.

    Attributes:
        points: How many it has, its first one twice.
        swept: Twice its area, negative around a hole.
    """

    def __init__(self, file: IO[bytes], arcs: Numbers, ring: list[int], keep_corners: bool) -> None:
        self._file, own = file, arcs[ring]
        self._places = own[:, :2]
        # A corner where two arcs meet, and go straight on, is left out.
        straight = (own[:, 6] == np.roll(own[:, 7], 1)) & (not keep_corners)
        self._skipped = straight.astype(np.int64)
        self.points = int((own[:, 1] - 1 - self._skipped).sum()) + 1
        self.swept = int(own[:, 4].sum())

    def chunks(self) -> Iterator[bytes]:
        """Its WKB, piece after piece."""
        pieces, size = [_COUNT.pack(self.points)], 0
        first = b""
        for (at, points), skipped in zip(
            self._places.tolist(), self._skipped.tolist(), strict=True
        ):
            raw = _read(
                self._file, at + skipped * _POINT_BYTES, (points - 1 - skipped) * _POINT_BYTES
            )
            first = first or raw[:_POINT_BYTES]
            pieces.append(raw)
            size += len(raw)
            if size >= _CHUNK_BYTES:
                yield b"".join(pieces)
                pieces, size = [], 0
        yield b"".join((*pieces, first))


def _ring_arcs(arcs: Numbers) -> Iterator[list[int]]:
    """The arcs of each ring, in their order."""
    out = np.lexsort((arcs[:, 5], arcs[:, 2]))
    into = np.lexsort((arcs[:, 5], arcs[:, 3]))
    corner = arcs[out, 2]
    twice = np.flatnonzero(corner[1:] == corner[:-1])
    out[twice], out[twice + 1] = out[twice + 1], out[twice]  # along the other part
    following = np.empty(len(arcs), np.int64)
    following[into] = out
    follows, seen = following.tolist(), bytearray(len(arcs))
    for start in range(len(arcs)):
        if seen[start]:
            continue
        ring = []
        arc = start
        while not seen[arc]:
            seen[arc] = 1
            ring.append(arc)
            arc = follows[arc]
        yield ring


def _read(file: IO[bytes], at: int, count: int) -> bytes:
    return os.pread(file.fileno(), count, at)
