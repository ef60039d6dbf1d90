"""Runs of pixels along rows, and the pieces that they make where they touch by a side."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

_LEAST_RUN_PX, _MANY_RUNS = 4, 500
"""In rows of so many runs, shorter ones are noise of a dark picture, and not followed."""


@dataclass(frozen=True)
class Line:
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


def line_of(plain: NDArray[np.bool_], exact: NDArray[np.bool_], valid: NDArray[np.bool_]) -> Line:
    """The runs of a row of pixels (w,)."""
    starts, stops = runs_of(plain | ~valid)
    if len(starts) > _MANY_RUNS:
        kept = (stops - starts >= _LEAST_RUN_PX) | (starts == 0) | (stops == len(plain))
        starts, stops = starts[kept], stops[kept]

    def counted(pixels: NDArray[np.bool_]) -> NDArray[np.int32]:
        before = np.concatenate([[0], np.cumsum(pixels, dtype=np.int32)])
        return np.asarray(before[stops] - before[starts], np.int32)

    return Line(starts, stops, counted(plain), counted(exact))


def runs_of(line: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """First columns of the runs of True in a line (n,), and the columns behind their last."""
    edges = np.diff(np.concatenate([[False], line, [False]]).astype(np.int8))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return starts.astype(np.int32), stops.astype(np.int32)


def number_pieces(lines: Sequence[Line]) -> Numbers:
    """The piece of each run of all rows, in their order: the number of its first run."""
    first = np.concatenate([[0], np.cumsum([len(line.starts) for line in lines])])
    upper, lower = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for row, (above, below) in enumerate(pairwise(lines)):
        begin = np.searchsorted(above.stops, below.starts, "right")
        count = np.maximum(np.searchsorted(above.starts, below.stops, "left") - begin, 0)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        upper.append(first[row] + np.repeat(begin, count) + within)
        lower.append(first[row + 1] + np.repeat(np.arange(len(count)), count))
    return lowest_linked(int(first[-1]), np.concatenate(upper), np.concatenate(lower))


def lowest_linked(count: int, one: NDArray[np.integer], other: NDArray[np.integer]) -> Numbers:
    """The lowest number that each of `count` numbers is linked to, over any number of links.

    Args:
        count: Numbers from 0 on.
        one: An end of each link.
        other: Its other end.
    """
    lowest = np.arange(count)
    while True:
        ends, others = lowest[one], lowest[other]
        apart = ends != others
        if not apart.any():
            return lowest
        one, other, ends, others = one[apart], other[apart], ends[apart], others[apart]
        np.minimum.at(lowest, np.maximum(ends, others), np.minimum(ends, others))
        lowest = ends_of(lowest)


def ends_of(target: Numbers) -> Numbers:
    """Where each arrives that goes from target to target; those who stay are their own."""
    while not np.array_equal(further := target[target], target):
        target = further
    return target
