"""Lines that hold no measurement: copies of the line beside them, zeros, one band of three alone.

A file that was cut short, a scanner or a download that lost lines leave such stripes behind.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfnet.model.raster.remark import Remark

Windows = Sequence[tuple[NDArray[Any], NDArray[np.bool_]]]
"""Values (bands, h, w) and validity (h, w) of some windows."""

_COPIES, _SHORT, _LEAST_WINDOWS = 9, 3, 2
"""Lines in succession that are copies of each other, in so many windows. Blocks of a lossy
compression and pixels that were made larger have shorter runs, in most windows."""
_STEPS = 0.25
"""Of a row's pixels, that differ from the one before: it shows something measured."""
_EVERYWHERE = 0.7
"""Of the windows: with copies of rows and of columns there, the pixels were made larger."""
_HIGH_M, _HIGH_SHARE, _WIDEST = 1.0, 0.1, 0.75
"""On both sides of a stripe of zeros something is so high in such a share of its columns; it takes
so much of a window at most."""
_BAND_LINES, _BAND_VARIES, _SATURATED = 4, 8 / 255, 0.98


@dataclass(frozen=True)
class CopiedLines:
    """Copies among the windows of a sample.

    Attributes:
        kind: rows or columns.
        longest: In succession, in a window.
    """

    kind: str
    longest: int


def find_copied_lines(windows: Windows, least: int = _LEAST_WINDOWS) -> CopiedLines | None:
    """Rows or columns that are copies of each other, though what is in them differs.

    Args:
        windows: Of the sample.
        least: Of them, that show so.
    """
    if not windows:
        return None
    found = {
        "rows": np.array([_copies(*window) for window in windows]),
        "columns": np.array([_copies(*_turned(*window)) for window in windows]),
    }
    if all((runs >= _SHORT).mean() >= _EVERYWHERE for runs in found.values()):
        return None
    for kind, runs in found.items():
        long = int((runs >= _COPIES).sum())
        short = int(((runs >= _SHORT) & (runs < _COPIES)).sum())
        if long >= least and 2 * long >= short:
            return CopiedLines(kind, int(runs.max()) + 1)
    return None


def tell_of_copied_lines(file: str, code: str, found: CopiedLines | None) -> Iterator[Remark]:
    """Tells of them.

    Args:
        file: The raster's name.
        code: ortho, height or dtm.
        found: What was found.
    """
    if found is not None:
        message = (
            f"{file}: up to {found.longest} {found.kind} in succession are copies of each other: "
            "lines were lost there; write the raster anew from its source, or leave that part out "
            "(--aoi)"
        )
        yield Remark(code=f"{code}.copied_lines", message=message)


def tell_of_copied_parts(file: str, code: str, windows: Windows) -> Iterator[Remark]:
    """Tells of windows that are copies of each other: a tile that stands in place of another.

    Args:
        file: The raster's name.
        code: ortho, height or dtm.
        windows: Of its sample.
    """
    seen: Counter[bytes] = Counter(
        np.ascontiguousarray(values).tobytes()
        for values, valid in windows
        if valid.all() and _changes(values) >= _STEPS
    )
    again = sum(count - 1 for count in seen.values())
    if again >= _LEAST_WINDOWS:
        message = (
            f"{file}: {again} of {len(windows)} sampled windows are copies of others to the last "
            "digit: tiles stand in place of others; write the raster anew from its source, or "
            "leave that part out (--aoi)"
        )
        yield Remark(code=f"{code}.copied_parts", message=message)


def _changes(values: NDArray[Any]) -> float:
    """Share of pixels that differ from the one before in their row; 0 of a single column."""
    changed = values[..., 1:] != values[..., :-1]
    return float(changed.mean()) if changed.size else 0.0


def tell_of_zero_lines(
    file: str, above: Sequence[NDArray[np.float32]], least: int = _LEAST_WINDOWS
) -> Iterator[Remark]:
    """Tells of stripes of zeros through what stands on both sides of them.

    Args:
        file: The height raster's name.
        above: Heights above ground of windows, (h, w) each; NaN where unknown.
        least: Windows that show such a stripe.
    """
    for kind, windows in (("rows", above), ("columns", [each.T for each in above])):
        found = [count_zero_lines(window) for window in windows]
        if sum(count > 0 for count in found) >= least:
            message = (
                f"{file}: {sum(found)} {kind} and more are 0 from end to end between heights on "
                "both sides: lines without data? --height-nodata 0 if nothing is known there"
            )
            yield Remark(code="height.zero_lines", message=message)
            return


def count_zero_lines(heights: NDArray[np.float32]) -> int:
    """Rows of a window of heights (h, w) that are 0 throughout, with a step on both sides.

    Above and below a stripe of them the same columns are high, as no street and no lawn has it
    that goes through the whole window.
    """
    zero = (heights == 0).all(axis=1)
    if not zero.any() or zero.mean() > _WIDEST:
        return 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], zero, [False]]).astype(np.int8)))
    lines = 0
    for first, stop in edges.reshape(-1, 2).tolist():
        if first > 0 and stop < len(heights):
            both = (heights[first - 1] > _HIGH_M) & (heights[stop] > _HIGH_M)
            lines += (stop - first) * bool(both.mean() >= _HIGH_SHARE)
    return lines


def tell_of_lost_bands(
    file: str, windows: Windows, bands: Sequence[int], white: float
) -> Iterator[Remark]:
    """Tells of lines in which one band of an orthophoto says nothing, and the others do.

    Args:
        file: Its name.
        windows: Of its sample.
        bands: Of the file, that are red, green, blue.
        white: The digital number of white.
    """
    counts = np.zeros(len(bands), int)
    for values, valid in windows:
        if not valid.all():
            continue
        for each in (values, values.transpose(0, 2, 1)):
            low, high = each.min(axis=2), each.max(axis=2)  # of each line
            flat = (low == high) & (low < _SATURATED * white)
            varies = (high.astype(np.float64) - low > _BAND_VARIES * white).any(axis=0)
            counts += (flat & varies).sum(axis=1) >= _BAND_LINES
    if len(set(bands)) == len(bands) and 0 < counts.max() < _EVERYWHERE * len(windows):
        at = int(counts.argmax())
        if counts[at] >= _LEAST_WINDOWS:
            message = (
                f"{file}: band {bands[at]} is one number in whole lines of {counts[at]} of "
                f"{len(windows)} sampled windows where the other bands show a picture: lines of it "
                "were lost; write the raster anew from its source, or leave that part out (--aoi)"
            )
            yield Remark(code="ortho.lost_band", message=message)


def _copies(values: NDArray[Any], valid: NDArray[np.bool_]) -> int:
    """The longest succession of rows that are copies of the row above, and not flat."""
    same = (values[:, 1:] == values[:, :-1]).all(axis=(0, 2))
    if values.shape[2] < 2 or not same.any():
        return 0
    steps = (values[:, 1:, 1:] != values[:, 1:, :-1]).any(axis=0).mean(axis=1)
    same &= (steps >= _STEPS) & valid[1:].all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return int(runs.max()) if len(runs) else 0


def _turned(values: NDArray[Any], valid: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[Any]]:
    return values.transpose(0, 2, 1), valid.T
