"""Label rasters as they are stored, and which of their pixels are unlabelled: one rule for all.

The legend decides. A value that it names is that class, whatever the file declares as nodata: 0 is
the first class of many schemes, and what many programs declare unasked. A declared value that the
legend does not name is unlabelled, and so are what a mask or alpha hides, and NaN.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from mfnet.model.classes import NODATA
from mfnet.model.errors import DataMismatch
from mfnet.model.raster.files.alpha_masks import find_mask
from mfnet.model.raster.files.declared_metadata import Declared
from mfnet.model.raster.files.gdal_access import CACHE_BYTES, gdal
from mfnet.model.raster.files.mask_file import MaskFile
from mfnet.model.raster.files.screening import screen
from mfnet.model.raster.files.sidecars import Sidecars
from mfnet.model.raster.files.tags import walk
from mfnet.model.raster.values.height_values import is_value
from mfnet.training.datasets.readers.label_encoding import UNKNOWN, Encoding
from mfnet.training.datasets.readers.open_files import open_raster


@dataclass(frozen=True)
class Stored:
    """A window of a label raster.

    Attributes:
        values: (bands, h, w) as in the file.
        shown: (h, w) bool; False where a mask or alpha hides a pixel.
        nodata: Declared, of each band.
    """

    values: NDArray[Any]
    shown: NDArray[np.bool_]
    nodata: tuple[float | None, ...]


@dataclass(frozen=True)
class Decoded:
    """What a window says.

    Attributes:
        truth: (h, w) values of the scheme, 255 unlabelled, `UNKNOWN`.
        declared: (h, w) bool; a class by the legend, and nodata by the file.
    """

    truth: NDArray[np.uint8]
    declared: NDArray[np.bool_]


def decode(stored: Stored, encoding: Encoding) -> Decoded:
    """Applies the rule of this module; `encoding` holds the legend."""
    values, shown = stored.values, stored.shown
    truth = encoding.decode(values)
    bands = zip(values, stored.nodata, strict=True)
    empty = np.logical_and.reduce([is_value(band, nodata) for band, nodata in bands])
    if np.issubdtype(values.dtype, np.floating):
        shown = shown & np.isfinite(values).all(axis=0)
    truth[(empty & (truth == UNKNOWN)) | ~shown] = NODATA
    return Decoded(truth, empty & (truth < UNKNOWN))


class LabelFile:
    """A label raster, open, with what stands beside it.

    Attributes:
        path: Of the file.
        shape: Rows and columns.
        transform: Of pixels' upper left corners; None where nobody says it.
        crs: None likewise.
        bands: Those that are no alpha, counted from 1.
    """

    def __init__(self, path: Path) -> None:
        """Opens it.

        Raises:
            InputError: It is no TIFF, or damaged; or a sidecar is.
        """
        self.path = path
        has_transform = walk(path)[0].has_transform
        sidecars = Sidecars.beside(path)
        self._mask: MaskFile | None = None
        if sidecars.mask_file is not None:
            self._mask = MaskFile(sidecars.mask_file, screen(path, palette=True))
        self._dataset = open_raster(path)
        with gdal(path):
            self._declared = Declared(
                path.name, self._dataset, sidecars, has_transform=has_transform
            )
            every = self._dataset.indexes
            alphas = self._declared.alphas() if len(every) > 1 else []
            mask = find_mask(self._dataset, alphas, ())
            flags = self._dataset.mask_flag_enums[0]
        self._alpha = next(iter(alphas), None) if mask is None else mask.band
        self._masked = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        self.bands = tuple(band for band in every if band not in alphas)
        self.shape: tuple[int, int] = self._dataset.shape
        self.transform: Affine | None = self._declared.transform
        self.crs: CRS | None = self._declared.crs

    def read(self, window: Window, wanted: tuple[int, ...]) -> Stored:
        """A window of the bands that an encoding wants, counted from 1 among `bands`.

        Raises:
            DataMismatch: There are not as many.
        """
        bands = self._chosen(wanted)
        with gdal(self.path, CACHE_BYTES):
            values = self._dataset.read(bands, window=window)
            shown = np.ones(values.shape[1:], bool)
            if self._alpha is not None:
                shown &= self._dataset.read(self._alpha, window=window) > 0
            if self._masked:
                shown &= self._dataset.read_masks(bands[0], window=window) > 0
        if self._mask is not None:
            shown &= self._mask.read(window)
        return Stored(values, shown, self.nodata(wanted))

    def nodata(self, wanted: tuple[int, ...]) -> tuple[float | None, ...]:
        """Declared values of the bands that an encoding wants."""
        return tuple(map(self._declared.nodata, self._chosen(wanted)))

    def close(self) -> None:
        """Closes the file and its mask."""
        self._dataset.close()
        if self._mask is not None:
            self._mask.close()

    def _chosen(self, wanted: tuple[int, ...]) -> list[int]:
        if len(self.bands) < max(wanted):
            raise DataMismatch(
                f"{self.path.name} has {len(self.bands)} bands beside alpha; expected "
                f"{max(wanted)} at least",
                file=self.path.name,
            )
        return [self.bands[band - 1] for band in wanted]
