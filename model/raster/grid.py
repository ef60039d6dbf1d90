"""Where a raster's pixels lie on the ground."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS


@dataclass(frozen=True)
class Grid:
    """Size, transform and coordinate reference system (CRS) of a raster.

    Attributes:
        height: Rows.
        width: Columns.
        transform: From (column, row), of pixels' upper left corners, to x, y of the CRS. It may
            be south-up or rotated.
        crs: None if the raster names none; its areas are then unknown.
    """

    height: int
    width: int
    transform: Affine
    crs: CRS | None

    def pixel_area_m2(self, row: int) -> float | None:
        """Square metres of a pixel of a row; None without a CRS, or off the ellipsoid.

        In a projected CRS all pixels have the same area, by the CRS's unit of length; the
        projection's own distortion is not undone. In a geographic CRS it is the area on the
        ellipsoid of the row's middle pixel.
        """
        if self._metres_per_unit is not None:
            area = float(abs(self.transform.determinant) * self._metres_per_unit**2)
        elif self._geod is not None:
            area = self._ellipsoidal_area(row)
        else:
            return None
        return area if math.isfinite(area) else None

    @cached_property
    def gsd_m(self) -> float | None:
        """Ground sampling distance: the side of a square as large as the central pixel."""
        area = self.pixel_area_m2(self.height // 2)
        return None if area is None else math.sqrt(area)

    def to_ground(self, pixels: np.ndarray) -> np.ndarray:
        """Points (2, n), columns then rows, to x and y of the CRS."""
        return _apply(self.transform, pixels)

    def to_pixels(self, ground: np.ndarray) -> np.ndarray:
        """Points (2, n), x then y of the CRS, to columns and rows."""
        return _apply(~self.transform, ground)

    def pixel_corners(self, row: int, column: int) -> np.ndarray:
        """The corners (2, 4) of a pixel on the ground, in order around it."""
        steps = np.array([[0, 1, 1, 0], [0, 0, 1, 1]])
        return self.to_ground(np.array([[column], [row]]) + steps)

    @cached_property
    def _metres_per_unit(self) -> float | None:
        if self.crs is None or self.crs.is_geographic:
            return None
        try:
            return float(self.crs.linear_units_factor[1])
        except Exception:  # rasterio raises CRSError or CPLE errors for a CRS without a unit
            return None

    @cached_property
    def _radians_per_unit(self) -> float:
        try:
            return float(self.crs.units_factor[1])  # type: ignore[union-attr]
        except Exception:  # as above
            return math.radians(1)

    @cached_property
    def _geod(self) -> Any:
        """The geographic CRS's ellipsoid, of whatever celestial body; None where there is none."""
        if self.crs is None or not self.crs.is_geographic:
            return None
        import pyproj

        try:
            return pyproj.CRS.from_wkt(self.crs.to_wkt()).get_geod()
        except pyproj.exceptions.CRSError:
            return None

    def _ellipsoidal_area(self, row: int) -> float:
        lon, lat = self.pixel_corners(row, self.width // 2) * math.degrees(self._radians_per_unit)
        area, _ = self._geod.polygon_area_perimeter(lon, lat)
        return abs(float(area))


@dataclass(frozen=True)
class Rows:
    """Full-width consecutive rows of a pair, on the orthophoto's grid.

    Attributes:
        row: The first of them.
        arrays: `ortho`: (3, h, w) in the file's own type, digital numbers. `ndsm`: (1, h, w)
            float32, metres above ground. Invalid pixels hold 0.
        valid: (h, w) bool for each of the arrays.
    """

    row: int
    arrays: dict[str, np.ndarray]
    valid: dict[str, np.ndarray]


def _apply(affine: Affine, points: np.ndarray) -> np.ndarray:
    x, y = points
    with np.errstate(invalid="ignore", over="ignore"):  # points that no CRS could place
        return np.stack(
            [affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f]
        )
