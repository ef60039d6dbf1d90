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
from model.raster.align import MUCH_FINER, Placement, place
from model.raster.gdal import CACHE_BYTES, gdal
from model.raster.grid import Grid
from model.raster.pair import RasterPair
from model.raster.reading import Decisions
from model.raster.tags import walk
from model.raster.values.options import ReadingOptions
from training.datasets.encoding import UNKNOWN, Colours, Encoding, Numbers
from training.datasets.files import OpenFiles, open_raster
from training.datasets.labels import Findings, examine
from training.samples import Sample


@dataclass(frozen=True)
class PairRasters:
    """An orthophoto and heights of any grids, read as a map's are.

    Args:
        ortho: The orthophoto; its grid is the tile's.
        height: Heights above ground, or above the sea if there is a `dtm`.
        dtm: A terrain model.
        options: What the caller knows better than the files.
        decisions: What the numbers mean, found out once for all threads and processes.
        files: Where they stay open.
    """

    ortho: Path
    height: Path
    dtm: Path | None
    options: ReadingOptions
    decisions: Decisions
    files: OpenFiles

    def read(self, window: Window, truth: NDArray[np.uint8]) -> Sample:
        """See `Rasters`; where there is no orthophoto, there is nothing to learn."""
        ortho, valid, heights = self._open().read_window(window)
        truth = np.where(valid, truth, np.uint8(NODATA))
        rasters = {"ortho": ortho, "ndsm": heights[None]}
        gap = None if valid.all() else ~valid
        return Sample(rasters, truth, self.decisions.reading.white, no_ortho=gap)

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """See `Rasters`."""
        return self._open().valid(window)

    def _open(self) -> RasterPair:
        key = (self.ortho, self.height, self.dtm)
        return self.files.get(
            key,
            lambda: RasterPair.open(
                *key[:2], dtm=self.dtm, options=self.options, decisions=self.decisions
            ),
        )


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
