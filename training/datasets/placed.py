"""Rasters that lie on the ground, each on a grid of its own, read on the orthophoto's."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from model.classes import NODATA, ClassScheme
from model.errors import CrsMissing, DataMismatch, NoOverlap
from model.raster.align import MUCH_FINER, AlignedHeight, Placement, place
from model.raster.geotiff import CACHE_BYTES, GeoTiff, Role, gdal
from model.raster.grid import Grid
from model.raster.normalize import white_point
from model.raster.tags import walk
from training.datasets.encoding import UNKNOWN, Colours, Encoding, Numbers
from training.datasets.files import OpenFiles, open_raster
from training.datasets.labels import Findings, examine
from training.samples import Sample


class OpenPair:
    """An orthophoto with its heights, open for windows; `RasterPair` has checked them before."""

    def __init__(self, ortho: Path, height: Path, dtm: Path | None) -> None:
        self.ortho = GeoTiff(ortho, Role.ORTHO)
        self.heights = [
            AlignedHeight(GeoTiff(path, Role.HEIGHT), self.ortho.grid)
            for path in (height, dtm)
            if path is not None
        ]

    def close(self) -> None:
        """Closes the files."""
        for heights in self.heights:
            heights.close()
        self.ortho.close()

    def read(
        self, window: Window
    ) -> tuple[NDArray[np.generic], NDArray[np.bool_], NDArray[np.float32]]:
        """The orthophoto (3, h, w) and where it is valid (h, w); metres above ground (1, h, w)."""
        with gdal(self.ortho.path, CACHE_BYTES):
            values, valid = self.ortho.read(window)
            heights = self.heights[0].read(window)
            if len(self.heights) > 1:
                heights = heights - self.heights[1].read(window)
        return np.where(valid, values, values.dtype.type(0)), valid, heights[None]

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """Where the orthophoto is valid (h, w); it is not read where its file knows no gaps."""
        if not self.ortho.may_have_gaps:
            return np.ones((window.height, window.width), bool)
        with gdal(self.ortho.path, CACHE_BYTES):
            valid: NDArray[np.bool_] = self.ortho.read(window)[1]
        return valid


@dataclass(frozen=True)
class PairRasters:
    """An orthophoto and heights of any grids.

    Args:
        ortho: The orthophoto; its grid is the tile's.
        height: Metres above ground, or above the sea if there is a `dtm`.
        dtm: A terrain model.
        white: The digital number of full reflectance; the type's largest if None.
        files: Where they stay open.
    """

    ortho: Path
    height: Path
    dtm: Path | None
    white: float | None
    files: OpenFiles

    def read(self, window: Window, truth: NDArray[np.uint8]) -> Sample:
        """See `Rasters`; where there is no orthophoto, there is nothing to learn."""
        ortho, valid, heights = self._open().read(window)
        truth = np.where(valid, truth, np.uint8(NODATA))
        white = white_point(ortho.dtype) if self.white is None else self.white
        return Sample({"ortho": ortho, "ndsm": heights}, truth, white)

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """See `Rasters`."""
        return self._open().valid(window)

    def _open(self) -> OpenPair:
        key = (self.ortho, self.height, self.dtm)
        return self.files.get(key, lambda: OpenPair(*key))


class OpenLabels:
    """A label raster, open on another raster's grid.

    Args:
        path: A TIFF of class numbers, or of three bands of the scheme's colours.
        grid: What it is read on; where the two differ, the nearest pixel counts, and the most
            frequent one where labels are much finer.
        numbers: What class numbers mean.
        scheme: What colours mean.

    Raises:
        InputError: It cannot be opened.
        DataMismatch: It lies elsewhere, or nowhere and has another size.
    """

    def __init__(self, path: Path, grid: Grid, numbers: Numbers, scheme: ClassScheme) -> None:
        walk(path)
        self._path = path
        self._source = open_raster(path)
        self._warped: WarpedVRT | None = None
        try:
            self.encoding = _encoding(self._source, numbers, scheme)
            placement = _placement(self._source, path, grid)
            if placement is not None and not placement.same_grid:
                self._warped = self._warp(grid, placement)
        except BaseException:
            self._source.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        if self._warped is not None:
            self._warped.close()
        self._source.close()

    def read(self, window: Window) -> NDArray[np.generic]:
        """Stored values (bands, h, w)."""
        raster = self._warped or self._source
        with gdal(self._path, CACHE_BYTES):
            values: NDArray[np.generic] = raster.read(list(self.encoding.bands), window=window)
        return values

    def _warp(self, grid: Grid, placement: Placement) -> WarpedVRT:
        finer = placement.pixels_per_pixel >= MUCH_FINER
        colours = isinstance(self.encoding, Colours)
        crs = grid.crs or "EPSG:3857"  # without a CRS in both any one will do
        with gdal(self._path):
            return WarpedVRT(
                self._source,
                src_crs=crs if placement.same_crs else self._source.crs,
                crs=crs,
                transform=grid.transform,
                height=grid.height,
                width=grid.width,
                # what lies outside of the labels: black, or the number that is always ignored
                nodata=0 if colours else NODATA,
                src_nodata=None if colours else self._source.nodata,
                resampling=Resampling.mode if finer else Resampling.nearest,
            )


@dataclass(frozen=True)
class PlacedLabels:
    """A label raster of any grid as the truth of a tile.

    Args:
        path: The file.
        grid: The tile's.
        numbers: What class numbers mean.
        scheme: The classes.
        files: Where it stays open.
    """

    path: Path
    grid: Grid
    numbers: Numbers
    scheme: ClassScheme
    files: OpenFiles

    doubt = ""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Labels`."""
        labels = self._open()
        truth = labels.encoding.decode(labels.read(window))
        truth[truth == UNKNOWN] = NODATA
        return truth

    def examine(self, window: Window) -> Findings:
        """See `Labels`."""
        labels = self._open()
        return examine(labels.read(window), labels.encoding)

    def _open(self) -> OpenLabels:
        open_ = partial(OpenLabels, self.path, self.grid, self.numbers, self.scheme)
        return self.files.get((self.path, self.grid), open_)


def _encoding(raster: DatasetReader, numbers: Numbers, scheme: ClassScheme) -> Encoding:
    if raster.count >= 3:
        return Colours(scheme)
    if raster.nodata is None or not float(raster.nodata).is_integer():
        return numbers
    return replace(numbers, values={**numbers.values, int(raster.nodata): NODATA})


def _placement(raster: DatasetReader, path: Path, grid: Grid) -> Placement | None:
    """Where labels lie; None if they do not say so and have the grid's size."""
    if not raster.transform.determinant or raster.transform.is_identity:
        if raster.shape == (grid.height, grid.width):
            return None
        raise DataMismatch(
            f"{path.name} says nowhere where it lies and has {raster.height} × {raster.width} "
            f"pixels; expected the orthophoto's {grid.height} × {grid.width}, or a GeoTIFF",
            file=path.name,
        )
    try:
        return place(grid, Grid(raster.height, raster.width, raster.transform, raster.crs))
    except (CrsMissing, NoOverlap) as error:
        words = error.message.replace("height raster", f"label raster {path.name}")
        raise DataMismatch(words, file=path.name) from error
