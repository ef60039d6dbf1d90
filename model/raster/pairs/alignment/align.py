"""Brings a height raster of any CRS, resolution, extent and origin onto the orthophoto's grid."""

from dataclasses import dataclass, replace

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import transform
from rasterio.windows import Window

from mfnet.model.errors import CrsMissing, NoOverlap
from mfnet.model.raster.files.gdal_access import gdal
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.georeferencing.vertical_axis import horizontal
from mfnet.model.raster.pairs.alignment.warp import Warp
from mfnet.model.raster.repair_commands import write_crs
from mfnet.model.raster.values.damage.noise import find_noise
from mfnet.model.raster.values.height_values import HeightValues
from mfnet.model.raster.values.spikes import find_spikes, margin_px

MIN_OVERLAP_PERCENT = 10.0
SAME_PLACE_PX = 0.1
SAME_GRID_PX = 0.001
MUCH_FINER = 2.0
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


def place(ortho: Grid, height: Grid, name: str = "the height raster") -> Placement:
    """Find out where the height raster lies on the orthophoto.

    CRSs are compared by what they do to points: many files carry the right CRS under a broken name
    or without an authority's code.

    Args:
        ortho: The orthophoto's grid.
        height: The height raster's.
        name: What the height raster is called in messages.

    Raises:
        CrsMissing: One grid has a CRS, the other has none.
        NoOverlap: The height raster covers less than `MIN_OVERLAP_PERCENT` of the orthophoto.
    """
    if (ortho.crs is None) != (height.crs is None):
        lacking = "orthophoto" if ortho.crs is None else "height raster"
        raise CrsMissing(
            f"the {lacking} has no coordinate reference system, the other has one; expected one "
            f"in both or in none: {write_crs()} writes it",
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
            f"{name} covers {overlap_percent:.1f} % of the orthophoto; expected at least "
            f"{MIN_OVERLAP_PERCENT:.0f} %: are both of the same place? mfnet inspect shows where "
            f"each lies, {write_crs()} mends a wrong coordinate reference system",
            overlap_percent=round(overlap_percent, 1),
            minimum_percent=MIN_OVERLAP_PERCENT,
        )
    same_size = (ortho.height, ortho.width) == (height.height, height.width)
    same_grid = same_crs and same_size and float(np.abs(seen - points).max()) < SAME_GRID_PX
    return Placement(overlap_percent, same_crs, same_grid, _fineness(seen, points))


class AlignedHeight:
    """A height raster on the orthophoto's grid.

    Attributes:
        source: Its file.
        grid: The orthophoto's, without the vertical part of a CRS.
        source_grid: Its own, likewise: heights must not change where a point lies.
        placement: How it lies there.
        values: What its numbers mean; `interpret` sets it.
    """

    def __init__(self, source: GeoTiff, grid: Grid) -> None:
        """Prepare the reading; no pixel is read yet.

        Raises:
            InputError: As `place`.
        """
        self.source = source
        self.grid = _flat(grid)
        self.source_grid = _flat(source.grid)
        self.placement = place(self.grid, self.source_grid, source.path.name)
        self.values = HeightValues(scale=1.0)
        self._warp: Warp | None = None
        if not self.placement.same_grid:
            self._warp = Warp(
                self.read_source,
                self.source_grid,
                self.grid,
                self.to_source,
                same_crs=self.placement.same_crs,
                resampling=_resampling(self.placement),
            )

    def interpret(self, values: HeightValues) -> None:
        """Read its numbers so from now on."""
        self.values = values
        if self._warp is not None:
            self._warp.forget()

    def close(self) -> None:
        """Close the file."""
        self.source.close()

    def read(self, window: Window) -> np.ndarray:
        """Read a window of the orthophoto's grid.

        Returns:
            (h, w) float32, metres by the raster's own zero; NaN where nothing is known.
        """
        if self._warp is None:
            return self.read_source(window)
        with gdal(self.source.path):
            return self._warp.read(window)

    def read_source(self, window: Window) -> np.ndarray:
        """Read a window of the raster's own grid; the rest as `read`."""
        if not self.values.spike_px:
            return self._metres(window)
        metres, spikes, noise = self._with_spikes(window)
        metres[spikes | noise] = np.nan
        return metres

    def count_spikes(self, window: Window) -> int:
        """How many spikes lie in a window of the raster's own grid, which `read` gives as NaN."""
        return int(self._with_spikes(window)[1].sum()) if self.values.spike_px else 0

    def _metres(self, window: Window) -> np.ndarray:
        stored, valid = self.source.read_stored(window)
        return self.values.metres(stored[0], valid)

    def _with_spikes(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Metres with the spikes in them, where those are, and where noise is; (h, w) each."""
        margin = margin_px(self.values.spike_px)
        top, left = max(0, window.row_off - margin), max(0, window.col_off - margin)
        bottom = min(self.source_grid.height, window.row_off + window.height + margin)
        right = min(self.source_grid.width, window.col_off + window.width + margin)
        around = self._metres(Window(left, top, right - left, bottom - top))
        row, column = window.row_off - top, window.col_off - left
        inside = (slice(row, row + window.height), slice(column, column + window.width))
        lacks = (
            (margin - row, margin - (bottom - window.row_off - window.height)),
            (margin - column, margin - (right - window.col_off - window.width)),
        )
        padded = np.pad(around, lacks, constant_values=np.nan)
        is_dtm = self.source.role is Role.DTM
        spikes = find_spikes(padded, self.values.spike_px, below=is_dtm)
        noise = np.zeros_like(spikes)
        if self.values.noisy:
            noise = find_noise(padded, below=is_dtm)
        kept = slice(margin, -margin)
        return around[inside], spikes[kept, kept], noise[kept, kept]

    def to_source(self, pixels: np.ndarray) -> np.ndarray:
        """Columns and rows (2, n) of the orthophoto's grid to those of the raster's own."""
        ground = self.grid.to_ground(pixels)
        if not self.placement.same_crs:
            ground = _reproject(self.grid.crs, self.source_grid.crs, ground)
        return self.source_grid.to_pixels(ground)

    def part_below(self) -> Window:
        """The part of the raster's own grid that lies under the orthophoto, whole pixels."""
        height, width = self.source.grid.height, self.source.grid.width
        rows = np.linspace(0, self.grid.height, 9)
        columns = np.linspace(0, self.grid.width, 9)
        points = np.stack([axis.ravel() for axis in np.meshgrid(columns, rows)])
        seen = self.to_source(points)
        seen = seen[:, np.isfinite(seen).all(axis=0)]
        low = np.clip(np.floor(seen.min(axis=1)), 0, [width - 1, height - 1]).astype(int)
        high = np.clip(np.ceil(seen.max(axis=1)), low + 1, [width, height]).astype(int)
        (left, top), (right, bottom) = low.tolist(), high.tolist()
        return Window(left, top, right - left, bottom - top)


def _flat(grid: Grid) -> Grid:
    return replace(grid, crs=horizontal(grid.crs))


def _resampling(placement: Placement) -> Resampling:
    """Bilinear; the mean where a pixel of the orthophoto spans several of the heights'."""
    finer = placement.pixels_per_pixel >= MUCH_FINER
    return Resampling.average if finer else Resampling.bilinear


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
