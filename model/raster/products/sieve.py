"""Islands of a class raster under a number of pixels take the class of their largest neighbour.

An island's neighbours may reach across the whole raster, so its rows are kept in a file and read
again: once to find the areas of one class whose pixels share sides, once for the largest neighbour
of each small one, once to pass them on. A strip's areas are *pieces*; what is in memory is a strip
and a few numbers for each piece of the raster. Where it is cut into strips changes no byte.

H W pixels of a strip, P its pieces.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mfnet.model.atomic_files import not_writable
from mfnet.model.classes import NODATA
from mfnet.model.raster.products.connected_areas import label_areas
from mfnet.model.raster.values.linked_runs import ends_of, lowest_linked

_STRIP_PIXELS = 1 << 20
_NONE = -1

Numbers = NDArray[np.int64]


@dataclass
class Sieved:
    """What a sieve has done.

    Attributes:
        islands: Areas that have taken another's class.
        pixels: Theirs.
    """

    islands: int = 0
    pixels: int = 0


def sieve(
    rows: Iterable[tuple[int, NDArray[np.uint8]]],
    width: int,
    under_px: int,
    out: Path,
    *,
    strip_pixels: int = _STRIP_PIXELS,
    working: Callable[[], None] = lambda: None,
    done: Sieved | None = None,
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Passes a class raster on without its islands.

    An area of one class with fewer pixels than `under_px` takes the class of its largest neighbour,
    of two as large the one that begins first, from the top left. Where that one is small itself,
    they go on together, until none is left but those without a neighbour. Nodata stays, and is
    nobody's neighbour.

    This is what `gdal_sieve.py -4` does, which leaves those alone that go on together to no area
    of `under_px` pixels at once.

    Args:
        rows: Of the raster, from the top: the first one's number, and (h, W) classes.
        width: Of the raster, pixels.
        under_px: As above.
        out: The rows wait in its folder, in a file that nobody sees.
        strip_pixels: Of what is looked at together.
        working: Called after each strip.
        done: Told what was done, once the first rows come.

    Yields:
        The rows, from the top, as `rows` gives them.

    Raises:
        OutputNotWritable: The folder is missing, not writable or full.
    """
    try:
        with TemporaryFile(dir=out.parent, prefix=f".{out.name}-") as file:
            for _, classes_HW in rows:
                file.write(np.ascontiguousarray(classes_HW).data)
            file.flush()
            strips = _Strips(file, width, max(1, strip_pixels // width), working)
            areas = _find_areas(strips)
            islands = _merge(areas, strips, under_px)
            if done is not None:
                done.islands, done.pixels = len(islands), int(areas.pixels[islands].sum())
            values = areas.values[areas.group]
            for row, classes_HW in strips:
                pieces_HW, found = label_areas(classes_HW)
                first = areas.first[row]
                yield row, values[first : first + len(found)][pieces_HW]
    except OSError as error:
        raise not_writable(out, error) from error


def beyond_sieve(classes_HW: NDArray[np.uint8], under_px: int) -> NDArray[np.bool_]:
    """(H, W) where some rows of a raster stay as they are, whatever lies above and below them.

    Args:
        classes_HW: The rows, before a sieve.
        under_px: The sieve's.
    """
    pieces_HW, classes = label_areas(classes_HW)
    stays: NDArray[np.bool_] = np.bincount(pieces_HW.ravel()) >= under_px
    stays_HW: NDArray[np.bool_] = (stays | (classes == NODATA))[pieces_HW]
    return stays_HW


@dataclass(frozen=True)
class _Strips:
    """Rows in a file, some at once."""

    file: IO[bytes]
    width: int
    rows: int
    working: Callable[[], None]

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        height = os.fstat(self.file.fileno()).st_size // self.width
        for row in range(0, height, self.rows):
            count = min(self.rows, height - row) * self.width
            self.file.seek(row * self.width)
            yield row, np.frombuffer(self.file.read(count), np.uint8).reshape(-1, self.width)
            self.working()


@dataclass
class _Areas:
    """The areas of a raster, each known by its first piece; P is all pieces.

    Attributes:
        group: (P,) the area of each piece, later the one that it has joined.
        values: (P,) class of an area, at its first piece.
        pixels: (P,) of an area, at its first piece; 0 of other pieces.
        first: Number of the first piece of the strip that begins with a row.
    """

    group: Numbers
    values: NDArray[np.uint8]
    pixels: Numbers
    first: dict[int, int]


def _find_areas(strips: _Strips) -> _Areas:
    first, total = {}, 0
    values, pixels, links = [], [], [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    above: tuple[NDArray[np.uint8], Numbers] | None = None
    for row, classes_HW in strips:
        pieces_HW, found = label_areas(classes_HW)
        first[row] = total
        values.append(found)
        pixels.append(np.bincount(pieces_HW.ravel(), minlength=len(found)))
        if above is not None:
            here = total + pieces_HW[0].astype(np.int64)
            starts = (np.diff(here, prepend=_NONE) != 0) | (np.diff(above[1], prepend=_NONE) != 0)
            touches = starts & (above[0] == classes_HW[0])
            links.append((above[1][touches], here[touches]))
        above = classes_HW[-1], total + pieces_HW[-1].astype(np.int64)
        total += len(found)
    group = lowest_linked(total, *map(np.concatenate, zip(*links, strict=True)))
    counts = np.zeros(total, np.int64)
    np.add.at(counts, group, np.concatenate(pixels))
    return _Areas(group, np.concatenate(values), counts, first)


def _merge(areas: _Areas, strips: _Strips, under_px: int) -> Numbers:
    """Lets small areas join their largest neighbours; returns those that did."""
    own, values, pixels = areas.group, areas.values, areas.pixels.copy()
    small = np.flatnonzero((pixels > 0) & (pixels < under_px) & (values != NODATA))
    while len(small):
        target = _largest_neighbours(areas, strips, pixels, under_px)
        # Of two that are each other's largest neighbour, the larger one stays.
        mutual = np.flatnonzero((target != _NONE) & (target[target] == np.arange(len(target))))
        other = target[mutual]
        larger = pixels[mutual] > pixels[other]
        stays = mutual[larger | ((pixels[mutual] == pixels[other]) & (mutual < other))]
        target[stays] = _NONE
        moved = np.flatnonzero(target != _NONE)
        target = ends_of(np.where(target == _NONE, np.arange(len(target)), target))
        np.add.at(pixels, target[moved], pixels[moved])
        pixels[moved] = 0
        areas.group = target[areas.group]
        small = stays[pixels[stays] < under_px]
    return np.flatnonzero((own == np.arange(len(own))) & (values[areas.group] != values))


def _largest_neighbours(areas: _Areas, strips: _Strips, pixels: Numbers, under_px: int) -> Numbers:
    """(P,) for each area under `under_px` its largest neighbour, or none."""
    best = np.full(len(pixels), _NONE, np.int64)
    below = np.zeros(0, np.int64)
    for row, classes_HW in strips:
        pieces_HW, found = label_areas(classes_HW)
        first = areas.first[row]
        # Nodata is nobody's neighbour.
        group = np.where(found == NODATA, _NONE, areas.group[first : first + len(found)])
        areas_HW = group[pieces_HW]
        above = below if row else areas_HW[0]
        below = areas_HW[-1]
        for one, other in (
            (above, areas_HW[0]),
            (areas_HW[:-1], areas_HW[1:]),
            (areas_HW[:, :-1], areas_HW[:, 1:]),
        ):
            apart = (one != other) & (one != _NONE) & (other != _NONE)
            _improve(best, one[apart], other[apart], pixels, under_px)
    return best


def _improve(best: Numbers, one: Numbers, other: Numbers, pixels: Numbers, under_px: int) -> None:
    """Takes note of neighbours that are larger than those known so far."""
    one, other = np.concatenate([one, other]), np.concatenate([other, one])
    small = pixels[one] < under_px
    one, other = one[small], other[small]
    order = np.lexsort((other, -pixels[other], one))
    one, other = one[order], other[order]
    largest = np.flatnonzero(np.diff(one, prepend=_NONE))
    one, other = one[largest], other[largest]
    known = best[one]
    size = np.where(known == _NONE, 0, pixels[known])
    better = (pixels[other] > size) | ((pixels[other] == size) & (other < known))
    best[one[better]] = other[better]
