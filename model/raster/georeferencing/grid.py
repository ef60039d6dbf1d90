"""Where a raster's pixels lie on the ground."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from mfnet.model.raster.georeferencing.pixel_areas import PixelAreas, pixel_areas


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

    @cached_property
    def areas(self) -> PixelAreas:
        """Square metres of the pixels."""
        return pixel_areas(self.height, self.width, self.transform, self.crs)

    def pixel_area_m2(self, row: int, column: int | None = None) -> float | None:
        """Square metres of a pixel, of the middle one of a row if no column is given.

        Returns:
            None without a CRS, or off the ellipsoid.
        """
        return self.areas.of_pixel(row, self.width // 2 if column is None else column)

    @cached_property
    def gsd_m(self) -> float | None:
        """Ground sampling distance: the side of a square as large as the central pixel."""
        area = self.pixel_area_m2(self.height // 2)
        return None if area is None else math.sqrt(area)

    def moved(self, columns: float, rows: float) -> "Grid":
        """The same grid, so many of its pixels to the right and down."""
        if columns == rows == 0:
            return self
        return replace(self, transform=self.transform * Affine.translation(columns, rows))

    def to_ground(self, pixels: np.ndarray) -> np.ndarray:
        """Points (2, n), columns then rows, to x and y of the CRS."""
        return _apply(self.transform, pixels)

    def to_pixels(self, ground: np.ndarray) -> np.ndarray:
        """Points (2, n), x then y of the CRS, to columns and rows."""
        return _apply(~self.transform, ground)


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

    def widened(self, columns: range, width: int) -> "Rows":
        """These columns as part of rows of a width; the others are 0, and not valid."""
        if len(columns) == width:
            return self

        def wide(values: np.ndarray) -> np.ndarray:
            whole = np.zeros((*values.shape[:-1], width), values.dtype)
            whole[..., columns.start : columns.stop] = values
            return whole

        return replace(
            self,
            arrays={name: wide(values) for name, values in self.arrays.items()},
            valid={name: wide(values) for name, values in self.valid.items()},
        )


def _apply(affine: Affine, points: np.ndarray) -> np.ndarray:
    x, y = points
    with np.errstate(invalid="ignore", over="ignore"):  # points that no CRS could place
        return np.stack(
            [affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f]
        )
