"""Pixels, square metres and share of each class."""

from typing import Any

import numpy as np

from model.classes import NODATA, ClassScheme
from model.raster.grid import Grid


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
        self._area_known = True

    def add(self, row: int, classes_hW: np.ndarray) -> None:
        """Count full-width rows.

        Args:
            row: The first of them.
            classes_hW: (h, W) uint8, values of the scheme or 255.
        """
        for offset, classes_W in enumerate(classes_hW):
            pixels = np.bincount(classes_W, minlength=NODATA + 1)
            self._pixels += pixels
            # In a geographic CRS each row of pixels has another size.
            area_m2 = self.grid.pixel_area_m2(row + offset)
            self._area_known &= area_m2 is not None
            self._area_m2 += pixels * (area_m2 or 0.0)
        strange = self._pixels[len(self.scheme) : NODATA].sum()
        assert strange == 0, f"{strange} pixels of no class of {self.scheme.name}"

    def summary(self) -> dict[str, Any]:
        """What `statistics.json` says of the classes, as JSON values.

        Returns:
            `scheme`, `classes` (name, title, color, foreground, pixels, area_m2, share of the
            pixels that have a class), `nodata` and `total` (pixels, area_m2). Areas are None where
            the grid knows none.
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
            "classes": classes,
            "nodata": self._count(slice(NODATA, None)),
            "total": self._count(slice(None)),
        }

    def _count(self, values: slice) -> dict[str, Any]:
        area = float(self._area_m2[values].sum()) if self._area_known else None
        return {"pixels": int(self._pixels[values].sum()), "area_m2": area}
