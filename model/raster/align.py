"""Brings a height raster of any CRS, resolution, extent and origin onto the orthophoto's grid."""

from dataclasses import dataclass

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform
from rasterio.windows import Window

from model.errors import CrsMissing, NoOverlap
from model.raster.geotiff import GeoTiff, gdal
from model.raster.grid import Grid

MIN_OVERLAP_PERCENT = 10.0
SAME_PLACE_PX = 0.1
SAME_GRID_PX = 0.001
MUCH_FINER = 2.0
WARP_TOLERANCE_PX = 0.01
_SAMPLES = 64


@dataclass(frozen=True)
class Placement:
    """How a height raster lies relative to the orthophoto.

    Attributes:
        overlap_percent: Share of the orthophoto's extent that the height raster's covers.
        same_crs: Coordinates mean the same place in both, whatever the two CRSs are called.
        same_grid: Moreover, the pixels coincide: nothing needs resampling.
        pixels_per_pixel: Height pixels a side of an orthophoto pixel; above 1, they are finer.
    """

    overlap_percent: float
    same_crs: bool
    same_grid: bool
    pixels_per_pixel: float


def place(ortho: Grid, height: Grid) -> Placement:
    """Find out where the height raster lies on the orthophoto.

    CRSs are compared by what they do to points: many files carry the right CRS under a broken name
    or without an authority's code.

    Raises:
        CrsMissing: One grid has a CRS, the other has none.
        NoOverlap: The height raster covers less than `MIN_OVERLAP_PERCENT` of the orthophoto.
    """
    if (ortho.crs is None) != (height.crs is None):
        lacking = "orthophoto" if ortho.crs is None else "height raster"
        raise CrsMissing(
            f"the {lacking} has no coordinate reference system, the other has one; expected one "
            "in both or in none: gdal_edit.py -a_srs writes it",
            lacking=lacking,
        )
    rows = (np.arange(_SAMPLES) + 0.5) * ortho.height / _SAMPLES
    columns = (np.arange(_SAMPLES) + 0.5) * ortho.width / _SAMPLES
    points = np.stack([axis.ravel() for axis in np.meshgrid(columns, rows)])
    ground = ortho.to_ground(points)
    moved = _reproject(ortho.crs, height.crs, ground)
    pixel = np.sqrt(abs(ortho.transform.determinant))
    same_crs = bool(np.abs(moved - ground).max() < SAME_PLACE_PX * pixel)
    seen = height.to_pixels(ground if same_crs else moved)
    inside = ((seen >= 0) & (seen <= [[height.width], [height.height]])).all(axis=0)
    overlap_percent = 100 * float(inside.mean())
    if overlap_percent < MIN_OVERLAP_PERCENT:
        raise NoOverlap(
            f"the height raster covers {overlap_percent:.1f} % of the orthophoto; expected at "
            f"least {MIN_OVERLAP_PERCENT:.0f} %: are both of the same place?",
            overlap_percent=round(overlap_percent, 1),
            minimum_percent=MIN_OVERLAP_PERCENT,
        )
    same_size = (ortho.height, ortho.width) == (height.height, height.width)
    same_grid = same_crs and same_size and float(np.abs(seen - points).max()) < SAME_GRID_PX
    return Placement(overlap_percent, same_crs, same_grid, _fineness(seen, points))


class AlignedHeight:
    """A height raster on the orthophoto's grid."""

    def __init__(self, source: GeoTiff, grid: Grid) -> None:
        """Prepare the reading; no pixel is read yet.

        Raises:
            InputError: As `place`.
        """
        self.source = source
        self.grid = grid
        self.placement = place(grid, source.grid)
        self._warped: WarpedVRT | None = None
        if not self.placement.same_grid:
            with gdal(source.path):
                self._warped = self._warp()

    def close(self) -> None:
        """Close the warp, then the file below it."""
        if self._warped is not None:
            self._warped.close()
        self.source.close()

    def read(self, window: Window) -> np.ndarray:
        """Read a window of the orthophoto's grid.

        Returns:
            (h, w) float32, metres as in the file; NaN where nothing is known.
        """
        if self._warped is None:
            values, valid = self.source.read(window)
            heights = self.source.metres(values[0])
            heights[~valid] = np.nan
        else:
            with gdal(self.source.path):
                heights = self.source.metres(self._warped.read(1, window=window))
        heights[~np.isfinite(heights)] = np.nan
        return heights

    def _warp(self) -> WarpedVRT:
        """Bilinear; the mean where a pixel of the orthophoto spans several of the heights'.

        GDAL leaves nodata, masked and transparent source pixels out of both. NaN stands for them
        where nothing else is declared, so that a hole does not eat its neighbours.
        """
        source, placement = self.source, self.placement
        finer = placement.pixels_per_pixel >= MUCH_FINER
        nodata = source.nodata[0]
        floating = np.issubdtype(source.dtype, np.floating)
        # With no CRS in both any one will do: points are then only moved within it.
        crs = self.grid.crs or CRS.from_epsg(3857)
        return WarpedVRT(
            source.dataset,
            src_crs=crs if placement.same_crs else source.grid.crs,
            src_nodata=np.nan if nodata is None and floating else nodata,
            src_alpha=source.alpha or 0,
            crs=crs,
            transform=self.grid.transform,
            height=self.grid.height,
            width=self.grid.width,
            nodata=np.nan,
            dtype="float32",
            resampling=Resampling.average if finer else Resampling.bilinear,
            tolerance=WARP_TOLERANCE_PX,
        )


def _reproject(source: CRS | None, target: CRS | None, points: np.ndarray) -> np.ndarray:
    """Points (2, n) from one CRS to another; infinite where there is no way."""
    if source is None or target is None or source == target:
        return points
    try:
        return np.array(transform(source, target, points[0], points[1]))
    except Exception:  # a bare CPLE error: no way between the two, the Moon and France for instance
        return np.full(points.shape, np.inf)


def _fineness(seen: np.ndarray, points: np.ndarray) -> float:
    """Height pixels a side of an orthophoto pixel, by the triangle around the middle sample."""
    middle = (_SAMPLES // 2) * _SAMPLES + _SAMPLES // 2
    triangle = [middle, middle + 1, middle + _SAMPLES]
    ours, theirs = (
        abs(float(np.linalg.det(corners[:, 1:] - corners[:, :1])))
        for corners in (points[:, triangle], seen[:, triangle])
    )
    return float(np.sqrt(theirs / ours))
