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
        """Square metres of a pixel of a row; None without a CRS.

        In a projected CRS all pixels have the same area, by the CRS's unit of length; the
        projection's own distortion is not undone. In a geographic CRS it is the area on the
        ellipsoid of the row's middle pixel.
        """
        if self._metres_per_unit is not None:
            return float(abs(self.transform.determinant) * self._metres_per_unit**2)
        if self._geod is None:
            return None
        return self._ellipsoidal_area(row, self._radians_per_unit)

    @cached_property
    def gsd_m(self) -> float | None:
        """Ground sampling distance: the side of a square as large as the central pixel."""
        area = self.pixel_area_m2(self.height // 2)
        return None if area is None else math.sqrt(area)

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

    def _ellipsoidal_area(self, row: int, radians_per_unit: float) -> float:
        column = self.width // 2
        corners = [(column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1)]
        lon, lat = np.array([self.transform * corner for corner in corners]).T
        degrees = math.degrees(radians_per_unit)
        area, _ = self._geod.polygon_area_perimeter(lon * degrees, lat * degrees)
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
