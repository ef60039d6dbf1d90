"""Heights of the pixels of polygons: mean and percentiles, of any number of pixels.

What is kept of a polygon is how many of its pixels have each height, to the centimetre: a polygon
that goes on from strip to strip takes no more memory than there are centimetres in its heights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PER_M = 100


@dataclass(frozen=True)
class HeightCounts:
    """How many pixels have which height.

    Attributes:
        cm: Heights that occur, rising.
        pixels: How many have each.
    """

    cm: NDArray[np.int64]
    pixels: NDArray[np.int64]

    @property
    def mean_m(self) -> float | None:
        """Metres; None if no height is known."""
        if not len(self.cm):
            return None
        return float(self.cm @ self.pixels / self.pixels.sum()) / _PER_M

    def percentile_m(self, percent: int) -> float | None:
        """The lowest height, in metres, that `percent` of the pixels do not exceed."""
        if not len(self.cm):
            return None
        up_to = self.pixels.cumsum()
        return float(self.cm[np.searchsorted(up_to * 100, percent * up_to[-1])]) / _PER_M


def joined(parts: Sequence[HeightCounts]) -> HeightCounts:
    """The heights of several parts of one polygon."""
    cm, which = np.unique(np.concatenate([part.cm for part in parts]), return_inverse=True)
    pixels = np.zeros(len(cm), np.int64)
    np.add.at(pixels, which, np.concatenate([part.pixels for part in parts]))
    return HeightCounts(cm, pixels)


def count_heights(
    areas_HW: NDArray[np.int32], heights_HW: NDArray[np.float32], areas: int
) -> list[HeightCounts]:
    """The heights in each area of some rows.

    Args:
        areas_HW: (H, W) the area of each pixel, 0 to `areas` - 1.
        heights_HW: (H, W) metres; NaN where none is known.
        areas: How many there are.
    """
    known = np.isfinite(heights_HW)
    cm = np.rint(heights_HW[known] * _PER_M).astype(np.int64)
    lowest = int(cm.min()) if len(cm) else 0
    span = int(cm.max()) - lowest + 1 if len(cm) else 1
    keys = areas_HW[known] * np.int64(span) + (cm - lowest)
    keys.sort()
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    pixels = np.diff(starts, append=len(keys))
    keys = keys[starts]
    cuts = np.searchsorted(keys, np.arange(1, areas) * np.int64(span))
    by_area = zip(np.split(keys % span + lowest, cuts), np.split(pixels, cuts), strict=True)
    return [HeightCounts(*each) for each in by_area]
