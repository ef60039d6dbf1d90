"""How well a map agrees with the truth: one confusion matrix, and what follows from it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.classes import NODATA, ClassScheme
from model.errors import WrongClasses


class Confusion:
    """Counts of pixels by true class (row) and mapped class (column), int64.

    Args:
        scheme: The classes. Pixels whose truth or map is nodata (255) are left out.
    """

    def __init__(self, scheme: ClassScheme) -> None:
        self.scheme = scheme
        self.counts = np.zeros((len(scheme), len(scheme)), np.int64)

    def add(self, truth: NDArray[np.integer[Any]], mapped: NDArray[np.integer[Any]]) -> None:
        """Counts the pixels of two class rasters of the same shape.

        Raises:
            WrongClasses: A value is neither a class nor nodata.
        """
        known = (truth != NODATA) & (mapped != NODATA)
        pairs = truth[known].astype(np.int64), mapped[known].astype(np.int64)
        classes = len(self.scheme)
        for role, values in zip(("truth", "map"), pairs, strict=True):
            if values.size and not 0 <= values.min() <= values.max() < classes:
                raise WrongClasses(
                    f"the {role}'s values run from {values.min()} to {values.max()}; expected the "
                    f"classes {self.scheme.name!r}, 0 to {classes - 1}, or {NODATA} for nodata",
                    role=role,
                )
        cells = np.bincount(pairs[0] * classes + pairs[1], minlength=classes * classes)
        self.counts += cells.reshape(classes, classes)

    def summary(self) -> dict[str, Any]:
        """Overall accuracy, and F1 and IoU of each class and over the foreground; JSON values.

        A class with no pixel in truth and map has None, and counts in no mean. The overall
        accuracy is over all classes.
        """
        hits: list[int] = np.diag(self.counts).tolist()
        true: list[int] = self.counts.sum(1).tolist()
        mapped: list[int] = self.counts.sum(0).tolist()
        total = int(self.counts.sum())
        f1 = [_share(2 * h, t + m) for h, t, m in zip(hits, true, mapped, strict=True)]
        iou = [_share(h, t + m - h) for h, t, m in zip(hits, true, mapped, strict=True)]
        return {
            "pixels": total,
            "oa": _share(sum(hits), total),
            "mf1": self._foreground_mean(f1),
            "miou": self._foreground_mean(iou),
            "classes": {
                name: {"f1": f1[i], "iou": iou[i], "pixels": true[i]}
                for i, name in enumerate(self.scheme.names)
            },
        }

    def _foreground_mean(self, values: list[float | None]) -> float | None:
        classes = zip(self.scheme.classes, values, strict=True)
        counted = [v for c, v in classes if c.foreground and v is not None]
        return sum(counted) / len(counted) if counted else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
