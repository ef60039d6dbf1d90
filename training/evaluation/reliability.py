"""Whether a map's confidence means what it says: of pixels that are 80 % sure, are 80 % right?

Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equations 2 to 5.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfnet.model.classes import NODATA

BINS = 20
"""Of equal width; the diagram's, and those over which the error is summed."""


class Reliability:
    """Pixels by how sure the map is of them, in bins that hold their upper edge.

    Attributes:
        pixels: (BINS,) int64.
        right: (BINS,) int64, those whose class is the true one.
        sure: (BINS,) float64, the sum of their confidence.
    """

    def __init__(self) -> None:
        self.pixels = np.zeros(BINS, np.int64)
        self.right = np.zeros(BINS, np.int64)
        self.sure = np.zeros(BINS)

    def add(
        self,
        truth: NDArray[np.integer[Any]],
        mapped: NDArray[np.integer[Any]],
        confidence: NDArray[np.floating[Any]],
    ) -> None:
        """Counts the pixels whose truth and map are known.

        Args:
            truth: Class values, 255 where there is none.
            mapped: The same of the map.
            confidence: Of the map, 0 to 1.
        """
        known = (truth != NODATA) & (mapped != NODATA)
        sure, right = confidence[known], (truth == mapped)[known]
        bins = np.searchsorted(_EDGES, sure)
        self.pixels += np.bincount(bins, minlength=BINS)
        self.right += np.bincount(bins[right], minlength=BINS)
        self.sure += np.bincount(bins, sure, minlength=BINS)

    def summary(self) -> dict[str, Any]:
        """The expected calibration error and the bins that it is made of, JSON values.

        Returns:
            `ece`: the mean over pixels of how far a bin's confidence and accuracy lie apart; None
            without pixels. `reliability`: of each bin that has pixels `confidence` and `accuracy`
            (means, 0 to 1) and `pixels`.
        """
        bins = [
            {
                "confidence": sure / pixels,
                "accuracy": right / pixels,
                "pixels": pixels,
            }
            for sure, right, pixels in zip(
                self.sure.tolist(), self.right.tolist(), self.pixels.tolist(), strict=True
            )
            if pixels
        ]
        total = sum(found["pixels"] for found in bins)
        apart = (abs(b["confidence"] - b["accuracy"]) * b["pixels"] for b in bins)
        return {"ece": sum(apart) / total if total else None, "reliability": bins}


# Upper edges, of all bins but the last: the very numbers that whole percents become.
_EDGES = np.arange(1, BINS) * (100 // BINS) / 100
