"""How well a map agrees with the truth: one confusion matrix, and what follows from it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfnet.model.classes import NODATA, ClassScheme
from mfnet.model.errors import WrongClasses


class Confusion:
    """Counts of pixels by true class (row) and mapped class (column), int64.

    Args:
        scheme: The classes. Pixels whose truth or map is nodata (255) are left out.

    Attributes:
        counts: (K, K) pixels.
        area_m2: (K, K) square metres; None once pixels of an unknown size came in.
    """

    def __init__(self, scheme: ClassScheme) -> None:
        self.scheme = scheme
        self.counts = np.zeros((len(scheme), len(scheme)), np.int64)
        self.area_m2: NDArray[np.float64] | None = np.zeros(self.counts.shape)

    def add(
        self,
        truth: NDArray[np.integer[Any]],
        mapped: NDArray[np.integer[Any]],
        pixel_m2: float | None = None,
    ) -> None:
        """Counts the pixels of two class rasters of the same shape.

        Args:
            truth: Values of the scheme, 255 where there is none.
            mapped: The same of the map.
            pixel_m2: Square metres of a pixel, if they are known.

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
        counts = cells.reshape(classes, classes)
        self.counts += counts
        if pixel_m2 is None:
            self.area_m2 = None
        elif self.area_m2 is not None:
            self.area_m2 += counts * pixel_m2

    def merge(self, other: "Confusion") -> None:
        """Adds the counts of other pixels, of the same scheme."""
        self.counts += other.counts
        known = self.area_m2 is not None and other.area_m2 is not None
        self.area_m2 = self.area_m2 + other.area_m2 if known else None  # type: ignore[operator]

    def summary(self) -> dict[str, Any]:
        """What is said of a map, JSON values.

        Returns:
            `pixels`; over all classes `oa` (overall accuracy), `kappa` (Cohen's) and `confusion`;
            over the foreground `mf1` and `miou`; and `classes`, of each class by name what
            `_class_figures` says. A class with no pixel in truth and map has None, and counts in
            no mean.
        """
        classes = {name: self._class_figures(i) for i, name in enumerate(self.scheme.names)}
        total = int(self.counts.sum())
        return {
            "pixels": total,
            "oa": _share(int(np.trace(self.counts)), total),
            "kappa": self._kappa(),
            "mf1": self._foreground_mean([figures["f1"] for figures in classes.values()]),
            "miou": self._foreground_mean([figures["iou"] for figures in classes.values()]),
            "classes": classes,
            "confusion": self.counts.tolist(),
        }

    def _class_figures(self, value: int) -> dict[str, Any]:
        """Of one class.

        Returns:
            `accuracy`: the share of its true pixels that the map finds, which is what the paper's
            tables give under "OA" for a class. `f1` and `iou`. `pixels`: its true ones.
            `area_error`: mapped less true area over true area. `area_error_m2`: the difference in
            square metres, where they are known.
        """
        hits, true, mapped = _margins(self.counts, value)
        known = self.area_m2 is not None
        _, true_area, mapped_area = _margins(self.area_m2 if known else self.counts, value)
        return {
            "accuracy": _share(hits, true),
            "f1": _share(2 * hits, true + mapped),
            "iou": _share(hits, true + mapped - hits),
            "pixels": true,
            "area_error": _share(mapped_area - true_area, true_area),
            "area_error_m2": mapped_area - true_area if known else None,
        }

    def _kappa(self) -> float | None:
        """Agreement beyond what the two shares of each class would give by chance."""
        total = int(self.counts.sum())
        if not total:
            return None
        true_K, mapped_K = (self.counts.sum(axis) / total for axis in (1, 0))
        by_chance = float(true_K @ mapped_K)
        agreed = float(np.trace(self.counts)) / total
        return None if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)

    def _foreground_mean(self, values: list[float | None]) -> float | None:
        classes = zip(self.scheme.classes, values, strict=True)
        counted = [v for c, v in classes if c.foreground and v is not None]
        return sum(counted) / len(counted) if counted else None


def _margins(counts_KK: Any, value: int) -> tuple[Any, Any, Any]:
    """What of a class agrees, is true, is mapped."""
    row, column = counts_KK[value].sum(), counts_KK[:, value].sum()
    return counts_KK[value, value].item(), row.item(), column.item()


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
