"""Where an orthophoto holds one flat colour in place of data, and its file does not say so.

A mosaic of flight lines is a ragged shape in a rectangle; without alpha, mask or nodata the rest is
plain black or white, or the colour of a frame. Such a collar is found by colour and by connection:
pixels of one plain colour that are joined, side by side, to a corner of the raster or to a plain
stretch along a good part of a side. A shadow or a bright roof at the rim is neither as a rule.

A hole inside is found by colour and by its border: black or white to the last digit over some
width, and the picture begins at once around it. A shadow that is black to the last digit has dark
pixels beside it, a roof that is saturated has nearly white ones. `--no-collar` is for those that
are ground all the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.raster.values.flat_colours import (
    Flat,
    Windows,
    black,
    flat_of,
    frames,
    is_painted,
    may_be_hole,
    pure_colours,
    white_of,
)
from mfnet.model.raster.values.linked_runs import Line, Numbers, line_of, number_pieces, runs_of

Read = Callable[[Window], tuple[NDArray[Any], NDArray[np.bool_]]]
"""Values (3, h, w) and validity (h, w) of a window."""

_EXACT_SHARE = 0.8
"""Of a collar that is plain to the last digit all the same."""
_LIKELY_SHARE = 0.02
"""Of the raster, that is worth telling where it is nearly plain."""
_LEAST_PX = {"black": 256, "white": 1024}
_SIDE_SHARE = {"black": 0.02, "white": 0.1}
"""Of a side, and 16 pixels, that a collar takes which lies in no corner. Pixels that are black to
the last digit are hardly ever shadows; white ones may be a roof."""
_RIM_RUN_PX = 8
_SOFT_EXACT, _SOFT_NEARLY, _SOFT_HOLE, _SOFT_NOISE = 0.35, 0.25, 0.1, 0.02
"""Of the picture beside it, that may be such shades around a collar that is plain to the last
digit, one that is nearly plain, a hole, and one of noise."""
_HOLE_EXACT, _HOLE_WIDTH_PX, _MOST_HOLES = 0.7, 8, 256
_HOLE_FLAT, _LEAST_PLAIN_PX = 0.9, 128
"""Of a hole that is plain to the last digit throughout, and how small it may be. A hole of another
colour than black and white has to be so: what is near it may be ground."""
_BORDER_PX, _BORDER_RUNS = 8, 64
_CHUNK_PX = 4 << 20


@dataclass(frozen=True)
class Collar:
    """Pixels without data, as runs along rows.

    Attributes:
        colour: As it is called in messages.
        pixels: In all.
        rows: First run of each row, and one more: row r has runs `rows[r]` to `rows[r + 1]`.
        starts: First columns.
        stops: Columns behind the last.
        certain: It is plain, or its border is sharp; else it may as well be water or shadow.
        inside: Holes, not joined to the rim.
    """

    colour: str
    pixels: int
    certain: bool
    inside: bool
    rows: NDArray[np.int64] = field(repr=False)
    starts: NDArray[np.int32] = field(repr=False)
    stops: NDArray[np.int32] = field(repr=False)

    def clear(self, valid: NDArray[np.bool_], window: Window) -> None:
        """Sets `valid` (h, w) of a window to False within the collar."""
        for row in range(window.height):
            first, stop = self.rows[window.row_off + row], self.rows[window.row_off + row + 1]
            for start, end in zip(self.starts[first:stop], self.stops[first:stop], strict=True):
                left, right = start - window.col_off, end - window.col_off
                if right > 0 and left < window.width:
                    valid[row, max(left, 0) : right] = False


def find_collars(
    read: Read,
    height: int,
    width: int,
    white: float,
    *,
    columns_are_cheap: bool,
    sample: Windows = (),
) -> list[Collar]:
    """Looks for a collar of each colour, and for holes of black and white.

    The rim is looked at first; the rest is read once a colour, and only where the rim or the sample
    shows a plain one.

    Args:
        read: Of the raster.
        height: Its rows.
        width: Its columns.
        white: The digital number of white.
        columns_are_cheap: It is tiled, so that a column is read without the rest of its rows.
        sample: Windows of the raster.
    """
    rim = [read(window) for window in _rim(height, width, columns_are_cheap)]
    found: list[Collar] = []
    greys, pure = (black(rim, white), white_of(rim, white)), tuple(pure_colours(rim, white))
    for flat in (*greys, *pure):
        at_rim = any(_suspicious(flat.plain(*line)) for line in rim)
        if at_rim or any(may_be_hole(flat, *window) for window in sample):
            photographed = not is_painted(flat, sample)
            if photographed or flat in greys:
                found += _find(read, height, width, flat, holes=photographed)
    for flat in frames(rim, (*greys, *pure), white):
        if not is_painted(flat, sample):
            found += _find(read, height, width, flat, holes=False)
    return found


def find_collars_of(
    read: Read, height: int, width: int, colour: NDArray[Any], white: float
) -> list[Collar]:
    """Collars and holes of one colour, (3,), that stands out in the sample.

    What is found so is plain to the last digit, whatever the colour; of near black and near white
    its border is sharp, too.
    """
    flat = flat_of(colour, white)
    return [each for each in _find(read, height, width, flat, holes=True) if each.certain]


# ---- the rim ----------------------------------------------------------------------------------


def _rim(height: int, width: int, columns_are_cheap: bool) -> Iterator[Window]:
    yield Window(0, 0, width, 1)
    yield Window(0, height - 1, width, 1)
    if columns_are_cheap:
        yield Window(0, 0, 1, height)
        yield Window(width - 1, 0, 1, height)
        return
    for row in np.linspace(0, height - 1, 10).astype(int)[1:-1].tolist():
        yield Window(0, row, width, 1)


def _suspicious(plain: NDArray[np.bool_]) -> bool:
    """Whether a line of pixels, (1, n) or (n, 1), begins or ends plain, or is so for a while."""
    line = plain.ravel()
    starts, stops = runs_of(line)
    if not len(starts):
        return False
    return bool(line[0] or line[-1] or (stops - starts).max() >= _RIM_RUN_PX)


def _seeds(lines: Sequence[Line], width: int, side_share: float) -> NDArray[np.bool_]:
    """Of the runs of all rows, those in a corner, and those along a good part of a side."""
    seeds = [np.zeros(len(line.starts), bool) for line in lines]
    for row in (0, len(lines) - 1):
        line = lines[row]
        corner = (line.starts == 0) | (line.stops == width)
        seeds[row] |= corner | (line.stops - line.starts >= max(16, side_share * width))
    for at_side in (
        [line.starts == 0 for line in lines],
        [line.stops == width for line in lines],
    ):
        touching = np.array([bool(runs.any()) for runs in at_side])
        for first, stop in zip(*runs_of(touching), strict=True):
            if stop - first >= max(16, side_share * len(lines)):
                for row in range(first, stop):
                    seeds[row] |= at_side[row]
    return np.concatenate(seeds)


# ---- pieces -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Runs:
    """All runs of a colour, row by row: (n,) each, and the raster that they are of."""

    row: Numbers
    starts: NDArray[np.int32]
    stops: NDArray[np.int32]
    pixels: NDArray[np.int32]
    exact: NDArray[np.int32]
    piece: Numbers
    height: int
    width: int


def _find(read: Read, height: int, width: int, flat: Flat, *, holes: bool) -> list[Collar]:
    lines: list[Line] = []
    rows = max(1, _CHUNK_PX // width)
    for row in range(0, height, rows):
        values, valid = read(Window(0, row, width, min(rows, height - row)))
        plain = flat.plain(values, valid)
        exact = flat.is_exact(values, plain)
        lines += [line_of(*each) for each in zip(plain, exact, valid, strict=True)]
    runs = _Runs(
        row=np.repeat(np.arange(height), [len(line.starts) for line in lines]),
        starts=np.concatenate([line.starts for line in lines]),
        stops=np.concatenate([line.stops for line in lines]),
        pixels=np.concatenate([line.pixels for line in lines]),
        exact=np.concatenate([line.exact for line in lines]),
        piece=number_pieces(lines),
        height=height,
        width=width,
    )
    at_rim = np.zeros(len(runs.piece), bool)
    at_rim[runs.piece[_seeds(lines, width, _SIDE_SHARE[flat.like])]] = True
    at_rim = at_rim[runs.piece]
    found = [_collar(read, runs, at_rim, flat)]
    if holes:
        found += [_holes(read, runs, ~at_rim, flat)]
    return [collar for collar in found if collar is not None]


def _collar(read: Read, runs: _Runs, kept: NDArray[np.bool_], flat: Flat) -> Collar | None:
    """What is joined to the rim, where it is large enough."""
    pixels = int(runs.pixels[kept].sum())
    exact = int(runs.exact[kept].sum()) >= _EXACT_SHARE * pixels
    likely = _LIKELY_SHARE * runs.width * runs.height
    if pixels < (_LEAST_PX[flat.like] if exact else likely):
        return None
    most = _SOFT_EXACT if exact else _SOFT_NEARLY
    soft = _soft_share(read, runs, kept, flat) if flat.shaded else None
    certain = exact if soft is None else soft <= most
    if not certain and pixels < likely:
        return None
    return _as_collar(runs, kept, flat, certain=certain, inside=False)


def _holes(read: Read, runs: _Runs, kept: NDArray[np.bool_], flat: Flat) -> Collar | None:
    """Pieces inside that are plain to the last digit, broad, and sharp at their borders."""
    count = len(runs.piece)
    pixels = np.bincount(runs.piece[kept], runs.pixels[kept], count)
    exact = np.bincount(runs.piece[kept], runs.exact[kept], count)
    number = np.bincount(runs.piece[kept], minlength=count)
    broad = (number >= _HOLE_WIDTH_PX) & (pixels >= _HOLE_WIDTH_PX * number)
    plain = exact >= _HOLE_FLAT * pixels
    least = np.where(plain & (flat.like == "black"), _LEAST_PLAIN_PX, _LEAST_PX[flat.like])
    pieces = np.flatnonzero(broad & (pixels >= least) & (plain | flat.shaded))
    pieces = pieces[np.argsort(-pixels[pieces], kind="stable")][:_MOST_HOLES]
    sharp = []
    for piece in pieces.tolist():
        if not flat.shaded:
            sharp.append(piece)
            continue
        most = _SOFT_HOLE if exact[piece] >= _HOLE_EXACT * pixels[piece] else _SOFT_NOISE
        if (_soft_share(read, runs, runs.piece == piece, flat) or 0) <= most:
            sharp.append(piece)
    if not sharp:
        return None
    return _as_collar(runs, np.isin(runs.piece, sharp), flat, certain=True, inside=True)


def _soft_share(read: Read, runs: _Runs, kept: NDArray[np.bool_], flat: Flat) -> float | None:
    """Of the picture around some runs, the share of shades of the colour; None without one."""
    chosen = np.flatnonzero(kept)
    chosen = chosen[np.linspace(0, len(chosen) - 1, _BORDER_RUNS).astype(int)]
    shades = others = 0
    for run in np.unique(chosen).tolist():
        row, start, stop = int(runs.row[run]), int(runs.starts[run]), int(runs.stops[run])
        for column in {start, (start + stop) // 2, stop - 1}:
            values, valid = read(_around(row, column, runs.height, runs.width))
            other = valid & ~flat.plain(values, valid)
            others += int(other.sum())
            shades += int((other & flat.shades(values, valid)).sum())
    return shades / others if others else None


def _around(row: int, column: int, height: int, width: int) -> Window:
    top, left = max(0, row - _BORDER_PX), max(0, column - _BORDER_PX)
    bottom, right = min(height, row + _BORDER_PX + 1), min(width, column + _BORDER_PX + 1)
    return Window(left, top, right - left, bottom - top)


def _as_collar(
    runs: _Runs, kept: NDArray[np.bool_], flat: Flat, *, certain: bool, inside: bool
) -> Collar:
    counts = np.bincount(runs.row[kept], minlength=runs.height)
    return Collar(
        colour=flat.name,
        pixels=int(runs.pixels[kept].sum()),
        certain=certain,
        inside=inside,
        rows=np.concatenate([[0], np.cumsum(counts)]),
        starts=runs.starts[kept],
        stops=runs.stops[kept],
    )
