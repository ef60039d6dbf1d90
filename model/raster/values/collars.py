"""The black or white collar around an orthophoto whose file does not say where it has no data.

A mosaic of flight lines is a ragged shape in a rectangle; without alpha, mask or nodata the rest is
plain black or white. It is found by colour and by connection: pixels of one plain colour that are
joined, side by side, to a corner of the raster or to a plain stretch along a good part of a side.
A shadow or a bright roof at the rim is neither as a rule, and `--no-collar` is for those that are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.raster.values.colour_bands import largest_number

Read = Callable[[Window], tuple[NDArray[Any], NDArray[np.bool_]]]
"""Values (3, h, w) and validity (h, w) of a window."""

COLOURS = ("black", "white")
_LOSSY = 4
"""Lossy compression of 8 bits leaves so much beside black; wider types are plain or are not."""
_EXACT_SHARE = 0.8
"""Of a collar that is plain to the last digit all the same."""
_LIKELY_SHARE = 0.02
"""Of the raster, that is worth telling where it is nearly plain."""
_LEAST_PX = {"black": 256, "white": 1024}
_SIDE_SHARE = {"black": 0.02, "white": 0.1}
"""Of a side, and 16 pixels, that a collar takes which lies in no corner. Pixels that are black to
the last digit are hardly ever shadows; white ones may be a roof."""
_RIM_RUN_PX = 8
_LEAST_RUN_PX, _MANY_RUNS = 4, 500
"""In rows of so many runs, shorter ones are noise of a dark picture, and not followed."""
_CHUNK_PX = 4 << 20
_SWEEPS = 64


@dataclass(frozen=True)
class Collar:
    """Pixels without data, as runs along rows.

    Attributes:
        colour: `black` or `white`, as far as there is any.
        pixels: In all.
        rows: First run of each row, and one more: row r has runs `rows[r]` to `rows[r + 1]`.
        starts: First columns.
        stops: Columns behind the last.
        certain: It is plain; else it is nearly so, and may as well be water or shadow.
    """

    colour: str
    pixels: int
    certain: bool
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
    read: Read, height: int, width: int, white: float, *, columns_are_cheap: bool
) -> list[Collar]:
    """Looks for a collar of each colour.

    The rim is looked at first; the rest is read once, and only where the rim shows a plain colour.

    Args:
        read: Of the raster.
        height: Its rows.
        width: Its columns.
        white: The digital number of white.
        columns_are_cheap: It is tiled, so that a column is read without the rest of its rows.
    """
    rim = [read(window) for window in _rim(height, width, columns_are_cheap)]
    found = (
        _find(read, height, width, white, colour, _usual_level(rim, colour, white))
        for colour in COLOURS
        if any(_suspicious(_plain(*line, colour, white)) for line in rim)
    )
    return [collar for collar in found if collar is not None]


@dataclass(frozen=True)
class _Line:
    """Runs of one plain colour in a row of pixels; a gap of the file joins them, and counts not.

    Attributes:
        starts: First columns, ascending.
        stops: Columns behind the last.
        pixels: That are valid, in each run.
        exact: Of these, plain to the last digit.
    """

    starts: NDArray[np.int32]
    stops: NDArray[np.int32]
    pixels: NDArray[np.int32]
    exact: NDArray[np.int32]


def _plain(
    values: NDArray[Any],
    valid: NDArray[np.bool_],
    colour: str,
    white: float,
) -> NDArray[np.bool_]:
    """Where all bands of valid pixels (h, w) are black, or white."""
    edge = _LOSSY if values.dtype == np.uint8 else 0
    if colour == "black":
        plain = (values <= edge).all(axis=0)
    else:
        # Of 8 bits white is 255, whatever contrast the caller has asked for.
        levels = {largest_number(values.dtype)} | ({white} if values.dtype != np.uint8 else set())
        plain = np.logical_or.reduce(
            [(abs(values - np.float32(level)) <= edge).all(axis=0) for level in levels]
        )
    return np.asarray(plain & valid)


def _usual_level(
    rim: Sequence[tuple[NDArray[Any], NDArray[np.bool_]]], colour: str, white: float
) -> int | None:
    """The level that most plain pixels of the rim have, of 8 bits: a collar may be 1 or 254."""
    if rim[0][0].dtype != np.uint8:
        return None
    plain = [values[0][_plain(values, valid, colour, white)] for values, valid in rim]
    return int(np.bincount(np.concatenate(plain), minlength=1).argmax())


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
    starts, stops = _runs(line)
    if not len(starts):
        return False
    return bool(line[0] or line[-1] or (stops - starts).max() >= _RIM_RUN_PX)


def _find(
    read: Read, height: int, width: int, white: float, colour: str, level: int | None
) -> Collar | None:
    lines: list[_Line] = []
    rows = max(1, _CHUNK_PX // width)
    for row in range(0, height, rows):
        values, valid = read(Window(0, row, width, min(rows, height - row)))
        plain = _plain(values, valid, colour, white)
        exact = plain & (values == level).all(axis=0) if level is not None else plain
        lines += [_line(*each) for each in zip(plain, exact, valid, strict=True)]
    # Only black to the last digit is hardly ever a thing.
    like = "black" if colour == "black" and level in (0, None) else "white"
    joined = _joined(lines, _seeds(lines, width, _SIDE_SHARE[like]))
    pixels = sum(int(line.pixels[kept].sum()) for line, kept in zip(lines, joined, strict=True))
    exact_px = sum(int(line.exact[kept].sum()) for line, kept in zip(lines, joined, strict=True))
    certain = exact_px >= _EXACT_SHARE * pixels
    if pixels < (_LEAST_PX[like] if certain else _LIKELY_SHARE * width * height):
        return None
    counts = np.array([int(kept.sum()) for kept in joined])
    return Collar(
        colour=colour,
        pixels=pixels,
        certain=certain,
        rows=np.concatenate([[0], np.cumsum(counts)]),
        starts=np.concatenate([ln.starts[kept] for ln, kept in zip(lines, joined, strict=True)]),
        stops=np.concatenate([ln.stops[kept] for ln, kept in zip(lines, joined, strict=True)]),
    )


def _line(plain: NDArray[np.bool_], exact: NDArray[np.bool_], valid: NDArray[np.bool_]) -> _Line:
    """The runs of a row of pixels (w,)."""
    starts, stops = _runs(plain | ~valid)
    if len(starts) > _MANY_RUNS:
        kept = (stops - starts >= _LEAST_RUN_PX) | (starts == 0) | (stops == len(plain))
        starts, stops = starts[kept], stops[kept]

    def counted(pixels: NDArray[np.bool_]) -> NDArray[np.int32]:
        before = np.concatenate([[0], np.cumsum(pixels, dtype=np.int32)])
        return np.asarray(before[stops] - before[starts], np.int32)

    return _Line(starts, stops, counted(plain), counted(exact))


def _joined(lines: Sequence[_Line], reached: list[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    """For each row, which runs are joined to a seed: swept down and up until nothing is new."""
    order = list(range(len(lines)))
    for _ in range(_SWEEPS):
        news = 0
        for down in (1, -1):
            for row in order[down:] if down == 1 else order[-2::-1]:
                news += _spread(lines[row - down], reached[row - down], lines[row], reached[row])
        if not news:
            break
    return reached


def _spread(of: _Line, reached: NDArray[np.bool_], to: _Line, reaches: NDArray[np.bool_]) -> int:
    """Reaches the runs of `to` that lie beside a reached run of `of`; how many are new."""
    if not len(to.starts) or not reached.any():
        return 0
    before = np.concatenate([[0], np.cumsum(reached)])
    first = np.searchsorted(of.stops, to.starts, "right")
    stop = np.searchsorted(of.starts, to.stops, "left")
    new = (before[np.maximum(stop, first)] > before[first]) & ~reaches
    reaches |= new
    return int(new.sum())


def _seeds(lines: Sequence[_Line], width: int, side_share: float) -> list[NDArray[np.bool_]]:
    """For each row, the runs in a corner, and those along a good part of a side of the raster."""
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
        for first, stop in zip(*_runs(touching), strict=True):
            if stop - first >= max(16, side_share * len(lines)):
                for row in range(first, stop):
                    seeds[row] |= at_side[row]
    return seeds


def _runs(line: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """First columns of the runs of True in a line (n,), and the columns behind their last."""
    edges = np.diff(np.concatenate([[False], line, [False]]).astype(np.int8))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return starts.astype(np.int32), stops.astype(np.int32)
