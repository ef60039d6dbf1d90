"""One height that is repeated to the last digit among heights that are not: asked about.

Measured heights hardly repeat, not on level roofs either. A number that many pixels share, within
the range of the others, may be a gap that somebody has filled, or a thing that somebody has made
level. (Where it lies apart from the others it is a fill value: `fill_values`.)
"""

import numpy as np
from numpy.typing import NDArray

from mfnet.model.errors import UnclearNodata
from mfnet.model.raster.values.fill_values import Fill, stands_out
from mfnet.model.raster.values.height_values import HeightTags, HeightValues

_SHARE = 0.005
"""Of the heights; fewer change little."""
_NEAR_M = 1.0
_MOST = 0.9
_CUT_PX = 8
"""Heights so near below the highest one: it is where somebody has cut them off."""

Heights = NDArray[np.float32]


def check_plateau(tags: HeightTags, values: HeightValues, metres: Heights, above: Heights) -> None:
    """Asks about a repeated height that is no water and no ground.

    Args:
        tags: The raster's.
        values: What its numbers mean.
        metres: (n,) a sample of it on the orthophoto's grid; NaN where unknown.
        above: (n,) the heights above ground there.

    Raises:
        UnclearNodata: There is one.
    """
    found = _find(metres, above)
    if found is None:
        return
    stored = (found.value - values.offset_m) / values.scale
    declared = tags.nodata is not None and np.isfinite(tags.nodata)
    other = f"{tags.nodata:g}" if declared else "none"
    raise UnclearNodata(
        f"{tags.file}: {100 * found.share:.2g} % of the heights are {stored:.7g} to the last "
        "digit, and no other height is repeated so; expected to know whether they are heights: "
        f"--height-nodata {stored:.7g} if nothing is known there, --height-nodata {other} if "
        "they are heights",
        file=tags.file,
        value=stored,
        option="height_nodata",
    )


def _find(metres: Heights, above: Heights) -> Fill | None:
    known = np.isfinite(metres) & np.isfinite(above)
    off_ground = metres[known & (abs(above) > _NEAR_M)]
    if not off_ground.size:
        return None
    values, counts = np.unique(off_ground, return_counts=True)
    at = int(counts.argmax())
    value, pixels = values[at], int((metres[known] == values[at]).sum())
    # A lake is level in both models.
    if counts[at] < max(_SHARE * known.sum(), _MOST * pixels):
        return None
    near = (values < value) & (values > value - _NEAR_M)
    cut_off = at == len(values) - 1 and counts[near].sum() >= _CUT_PX
    if cut_off or not stands_out(values.astype(np.float64), counts, at, 1.0):
        return None
    return Fill(float(value), float(counts[at] / known.sum()))
