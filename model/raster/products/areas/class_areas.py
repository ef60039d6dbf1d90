"""Pixels, square metres and share of each class."""

from typing import Any

import numpy as np

from mfnet.model.classes import NODATA, ClassScheme
from mfnet.model.raster.georeferencing.grid import Grid


class ClassAreas:
    """Counts a class raster while it is written."""

    def __init__(self, grid: Grid, scheme: ClassScheme) -> None:
        """Start from nothing.

        Args:
            grid: The class raster's.
            scheme: What its values mean.
        """
        self.grid = grid
        self.scheme = scheme
        self._pixels = np.zeros(NODATA + 1, np.int64)
        self._area_m2 = np.zeros(NODATA + 1)
        segments = grid.areas.edges
        self._first = np.repeat(np.arange(len(segments) - 1) * (NODATA + 1), np.diff(segments))

    def add(self, row: int, classes_hW: np.ndarray) -> None:
        """Count full-width rows.

        Args:
            row: The first of them.
            classes_hW: (h, W) uint8, values of the scheme or 255.
        """
        segments = len(self.grid.areas.edges) - 1
        for offset, classes_W in enumerate(classes_hW):
            # Pixels of one row differ in size where the raster is wide: each segment by itself.
            found = np.bincount(classes_W + self._first, minlength=segments * (NODATA + 1))
            pixels = found.reshape(segments, NODATA + 1)
            self._pixels += pixels.sum(axis=0)
            with np.errstate(invalid="ignore"):  # areas that are not known are NaN
                self._area_m2 += self.grid.areas.at(row + offset) @ pixels
        strange = self._pixels[len(self.scheme) : NODATA].sum()
        assert strange == 0, f"{strange} pixels of no class of {self.scheme.name}"

    def summary(self) -> dict[str, Any]:
        """What `statistics.json` says of the classes, as JSON values.

        Returns:
            `scheme`, `classes` (name, title, color, foreground, pixels, area_m2, share of the
            pixels that have a class), `nodata` and `total` (pixels, area_m2), `area` (geodesic,
            planar, or None where the grid knows no areas, which are then None) and `distortion`
            (area in the projection's plane by that on the ellipsoid).
        """
        classified = int(self._pixels[:NODATA].sum())
        classes = [
            {
                "name": item.name,
                "title": item.title,
                "color": item.color,
                "foreground": item.foreground,
                **self._count(slice(value, value + 1)),
                "share": float(self._pixels[value] / classified) if classified else 0.0,
            }
            for value, item in enumerate(self.scheme.classes)
        ]
        return {
            "scheme": self.scheme.name,
            "area": self.grid.areas.kind if np.isfinite(self._area_m2).all() else None,
            "distortion": self.grid.areas.distortion,
            "classes": classes,
            "nodata": self._count(slice(NODATA, None)),
            "total": self._count(slice(None)),
        }

    def _count(self, values: slice) -> dict[str, Any]:
        area = float(self._area_m2[values].sum())
        known = area if np.isfinite(area) else None
        return {"pixels": int(self._pixels[values].sum()), "area_m2": known}
