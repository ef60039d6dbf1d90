"""Whether a map's confidence means what it says: of pixels that are 80 % sure, are 80 % right?

Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equations 2 to 5.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.classes import NODATA

BINS = 20
"""Of equal width; the diagram's, and those over which the error is summed."""

_PERCENTS = 101


class Reliability:
    """Counts of pixels, and of those that are right, by the percent of confidence that they have.

    Attributes:
        pixels: (101,) int64.
        right: (101,) int64.
    """

    def __init__(self) -> None:
        self.pixels = np.zeros(_PERCENTS, np.int64)
        self.right = np.zeros(_PERCENTS, np.int64)

    def add(
        self,
        truth: NDArray[np.integer[Any]],
        mapped: NDArray[np.integer[Any]],
        percent: NDArray[np.uint8],
    ) -> None:
        """Counts the pixels whose truth and map are known.

        Args:
            truth: Class values, 255 where there is none.
            mapped: The same of the map.
            percent: The map's confidence as the engine writes it, 0 to 100.
        """
        known = (truth != NODATA) & (mapped != NODATA)
        sure, right = percent[known], (truth == mapped)[known]
        self.pixels += np.bincount(sure, minlength=_PERCENTS)
        self.right += np.bincount(sure[right], minlength=_PERCENTS)

    def summary(self) -> dict[str, Any]:
        """The expected calibration error and the bins that it is made of, JSON values.

        Returns:
            `ece`: the mean over pixels of how far a bin's confidence and accuracy lie apart; None
            without pixels. `reliability`: of each bin that has pixels `confidence` and `accuracy`
            (means, 0 to 1) and `pixels`.
        """
        bins = [
            {
                "confidence": float(_PERCENT[part] @ self.pixels[part]) / pixels / 100,
                "accuracy": int(self.right[part].sum()) / pixels,
                "pixels": pixels,
            }
            for part in _PARTS
            if (pixels := int(self.pixels[part].sum()))
        ]
        total = sum(found["pixels"] for found in bins)
        apart = (abs(b["confidence"] - b["accuracy"]) * b["pixels"] for b in bins)
        return {"ece": sum(apart) / total if total else None, "reliability": bins}


_PERCENT = np.arange(_PERCENTS)
_WIDTH = 100 // BINS
# A bin has the percents above its lower edge, up to its upper one; the first has 0, too.
_PARTS = [slice(low + 1 if low else 0, low + _WIDTH + 1) for low in range(0, 100, _WIDTH)]
