"""Heights whose edges match those of their orthophoto elsewhere, or nowhere: of another place.

`measure_shift` measures to half a pixel and needs quarters of a place that agree. A place of 50 m
has none; what all windows together say is enough for a word.
"""

from collections.abc import Sequence

import numpy as np

from mfnet.model.raster.pairs.alignment.measure_shift import LEAST_PEAK, MOST_PX, Plane, peak
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.remark import Remark

_FEWEST_WINDOWS = 8
_MATCHING, _SURE = LEAST_PEAK - 0.2, LEAST_PEAK + 0.5
"""Spreads that the best of displacements has, within three pixels and farther off, where it is
believed: 27 right pairs of like pixels have 5.6 and more, 32 wrong ones 5.2 at most."""
_NEAR_PX, _NEARLY = 3, 0.6
"""So near, and so high beside the highest, is where the heights are."""
_FINE = 0.5
"""Height pixels a pixel of the orthophoto: of coarser heights edges match too badly to tell."""


def mismatch_remarks(pair: RasterPair, found: Sequence[Plane]) -> list[Remark]:
    """Tells of heights that lie elsewhere, where they cannot be measured as a shift.

    Args:
        pair: Open.
        found: Of `correlations`.
    """
    if pair.height is None or len(found) < _FEWEST_WINDOWS:
        return []
    total = np.sum(found, axis=0)
    spreads = total / total.std()
    middle = slice(MOST_PX + 1 - _NEAR_PX, MOST_PX + 2 + _NEAR_PX)
    if spreads[middle, middle].max() >= max(_MATCHING, _NEARLY * spreads.max()):
        return []
    if pair.height.placement.pixels_per_pixel < _FINE:
        return []
    name = pair.height.source.path.name
    if spreads.max() >= _SURE:
        row, column = peak(total)
        message = (
            f"{name} seems to lie about {np.hypot(row, column):.0f} pixels beside the orthophoto "
            f"({column:+.0f} columns, {row:+.0f} rows), by its edges in all windows together; "
            f"--height-shift {column:.1f},{row:.1f} moves it"
        )
        return [Remark(code="pair.shifted", message=message)]
    message = (
        f"{name}: its edges match those of the orthophoto nowhere well, within {MOST_PX} pixels: "
        "right over forest and fields; else the heights are of another place or time, or lie "
        "farther off: --height-shift COLUMNS,ROWS moves them"
    )
    return [Remark(code="pair.unlike", message=message)]
