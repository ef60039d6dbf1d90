"""The plan: where windows lie on a raster.

Rows and columns are counted from the upper left pixel; a window is named by its upper left corner.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from mfnet.model.errors import BadOption


@dataclass(frozen=True)
class WindowPlan:
    """Square windows in rows and columns that cover a raster, none twice.

    Windows are `stride` apart; the last of each row and column is moved back to end at the
    raster's rim. A raster smaller than a window has one, which reaches beyond the rim.

    Args:
        height: Of the raster, pixels.
        width: Of the raster, pixels.
        window: Side of a window, pixels.
        stride: Distance between windows, pixels, 1 to `window`.
        rows: The raster rows that are wanted; all of them if not given.

    Raises:
        BadOption: The stride would leave gaps.
    """

    height: int
    width: int
    window: int
    stride: int
    rows: range = range(0)

    def __post_init__(self) -> None:
        if not self.rows:
            object.__setattr__(self, "rows", range(self.height))
        if not 1 <= self.stride <= self.window:
            raise BadOption(
                f"the stride is {self.stride}; expected 1 to {self.window}, the window's side",
                stride=self.stride,
                window=self.window,
            )

    def __len__(self) -> int:
        """The number of windows that touch the wanted rows."""
        return len(self.wanted_tops) * len(self.lefts)

    def part(self, rows: range) -> "WindowPlan":
        """The same windows, as far as they touch `rows`: rows come out as of the whole plan."""
        return replace(self, rows=rows)

    @cached_property
    def tops(self) -> tuple[int, ...]:
        """First row of each row of windows, ascending; of all, wanted or not."""
        return _offsets(self.height, self.window, self.stride)

    @cached_property
    def wanted_tops(self) -> tuple[int, ...]:
        """Those whose windows touch a wanted row."""
        first, stop = self.rows.start, self.rows.stop
        return tuple(top for top in self.tops if top < stop and top + self.window > first)

    @cached_property
    def lefts(self) -> tuple[int, ...]:
        """First column of each column of windows, ascending."""
        return _offsets(self.width, self.window, self.stride)

    def lefts_for(self, columns: range) -> tuple[int, ...]:
        """First columns of the windows that touch some."""
        first, stop = columns.start, columns.stop
        return tuple(left for left in self.lefts if left < stop and left + self.window > first)

    def columns_for(self, columns: range) -> range:
        """Columns of all windows that touch some."""
        touched = self.lefts_for(columns)
        return range(touched[0], min(touched[-1] + self.window, self.width))

    def batch(self, most: int) -> int:
        """Windows a batch, at most so many: a row of windows in equal shares."""
        return math.ceil(len(self.lefts) / math.ceil(len(self.lefts) / most))

    def steps(self) -> Iterator["Step"]:
        """The rows of windows from the top, each with the raster rows that it needs and ends."""
        tops = self.wanted_tops
        read = tops[0]
        for top, following in zip(tops, (*tops[1:], self.rows.stop), strict=True):
            stop = min(top + self.window, self.height)
            final = min(following, self.rows.stop)
            wanted = range(max(top, self.rows.start), final)
            yield Step(top=top, read=read, read_rows=stop - read, final=final, wanted=wanted)
            read = stop


@dataclass(frozen=True)
class Step:
    """One row of windows.

    Args:
        top: Its first raster row.
        read: First raster row that no earlier step has read.
        read_rows: How many rows this step adds to those read.
        final: Rows before this one can be touched by no later step.
        wanted: The wanted ones among the rows from `top` to before `final`; may be empty.
    """

    top: int
    read: int
    read_rows: int
    final: int
    wanted: range


def count_windows(plan: WindowPlan, rows: range | None = None, columns: range | None = None) -> int:
    """How many windows touch a part of a raster.

    Args:
        plan: Of the whole raster.
        rows: Of the part; all if not given.
        columns: Of the part; all if not given.
    """
    lefts = plan.lefts if columns is None else plan.lefts_for(columns)
    return len(plan.part(rows or range(0)).wanted_tops) * len(lefts)


def _offsets(size: int, window: int, stride: int) -> tuple[int, ...]:
    last = max(size - window, 0)
    return (*range(0, last, stride), last)
