"""Spikes among heights that nobody declared: birds, wires, errors of matching, echoes of a laser.

In a spike no square fits that is broader than a metre, and it stands more than 30 m above all that
is broader around it. Real things that are as thin and as high are masts and wires, whose few pixels
a map by colour serves as well: left among the heights, one such pixel changes the class of others
far from it. A spike beside something broad of its own height (a tower, a cliff, the rim of the
raster, a gap in it) is in doubt and stays.
"""

import numpy as np
from numpy.typing import NDArray

Heights = NDArray[np.float32]

_HIGHER_M = 30.0
_WIDTH_M = 1.0
_COARSEST_M = 2.0
"""Of coarser pixels a single one may be a chimney or a tower."""
_MOST_PX = 20


def widest_spike_px(pixel_m: float | None) -> int:
    """Pixels across of the widest spike; 0 where nothing can be told, and none is looked for.

    Args:
        pixel_m: Metres a pixel; None if nobody knows.
    """
    if pixel_m is None or not 0 < pixel_m <= _COARSEST_M:
        return 0
    return min(max(1, int(_WIDTH_M / pixel_m + 0.01)), _MOST_PX)


def margin_px(widest_px: int) -> int:
    """Pixels around a window that decide what is a spike in it."""
    return 3 * (widest_px + 1)


def find_spikes(metres: Heights, widest_px: int, *, below: bool = False) -> NDArray[np.bool_]:
    """Where a window of heights holds spikes.

    Args:
        metres: (h, w) with `margin_px` around what is asked about; NaN where nothing is known, and
            beyond the raster's rim.
        widest_px: Of `widest_spike_px`.
        below: Holes of the same shape, too, which a terrain model may have.

    Returns:
        (h, w), right but for the margin.
    """
    found = _above(metres, widest_px)
    return found | _above(-metres, widest_px) if below else found


def _above(metres: Heights, widest_px: int) -> NDArray[np.bool_]:
    nothing = np.zeros(metres.shape, bool)
    known = np.isfinite(metres)
    if not known.any() or np.ptp(metres[known]) <= _HIGHER_M:
        return nothing
    # A gap hides how broad things are that reach into it: it is as high as they need.
    high = np.where(known, metres, np.float32(np.inf))
    side = widest_px + 1
    low = -_highest(-high, 0, side - 1)
    if not (metres - -_highest(-high, side // 2, side // 2) > _HIGHER_M).any():
        return nothing
    broad = _highest(low, side - 1, 0)  # a grey opening: what a square of this side fits under
    broad[~np.isfinite(broad)] = -np.inf
    near = _highest(broad, 2 * side, 2 * side)
    return np.asarray(known & (metres > near + _HIGHER_M))


def _highest(values: Heights, before: int, after: int) -> Heights:
    """The highest of so many pixels before and after each, along both axes."""
    for axis in (0, 1):
        length = values.shape[axis]
        edge = [(0, 0), (0, 0)]
        edge[axis] = (before, after)
        padded = np.pad(values, edge, constant_values=-np.inf)
        reach, side = 1, before + after + 1
        while reach < side:  # the highest of 1, 2, 4, … in a row
            step = min(reach, side - reach)
            count = padded.shape[axis] - step
            padded = np.maximum(_cut(padded, axis, 0, count), _cut(padded, axis, step, count))
            reach += step
        values = _cut(padded, axis, 0, length)
    return values


def _cut(values: Heights, axis: int, first: int, count: int) -> Heights:
    return values[first : first + count] if axis == 0 else values[:, first : first + count]
