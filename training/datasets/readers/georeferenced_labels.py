"""Label rasters that lie on the ground, read on the orthophoto's grid."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.warp import transform
from rasterio.windows import Window

from mfnet.model.classes import NODATA, ClassScheme
from mfnet.model.errors import CrsMissing, DataMismatch, NoOverlap
from mfnet.model.raster.files.gdal_access import gdal
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.georeferencing.vertical_axis import horizontal
from mfnet.model.raster.pairs.alignment.align import MUCH_FINER, Placement, place
from mfnet.model.raster.pairs.alignment.warp import Warp
from mfnet.training.datasets.readers.label_encoding import UNKNOWN, Colours, Encoding, Numbers
from mfnet.training.datasets.readers.label_rasters import (
    Findings,
    as_text,
    declared_note,
    examine,
    expected,
    labelled,
)
from mfnet.training.datasets.readers.open_files import OpenFiles
from mfnet.training.datasets.readers.stored_labels import LabelFile, Stored, decode

_DECLARED = 256
"""Is added to a class whose stored value the file declares as nodata while it is warped."""
_STRANGE = 2 * _DECLARED
"""Is added to the place of an unknown stored value among those that were met."""
_MOST_STRANGE = 10_000


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

    def expected(self, found: str) -> str:
        """See `Labels`."""
        return expected(found, self._open().encoding, self.scheme)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Labels`."""
        return self._open().read(window)

    def examine(self, window: Window) -> Findings:
        """See `Labels`."""
        return self._open().examine(window)

    def _open(self) -> "OpenLabels":
        open_ = partial(OpenLabels, self.path, self.grid, self.numbers, self.scheme)
        return self.files.get((self.path, self.grid), open_)


class OpenLabels:
    """A label raster, open on another raster's grid.

    Args:
        path: A TIFF of class numbers, or of three bands of the scheme's colours.
        grid: What it is read on; where the two differ, the nearest pixel counts, and the most
            frequent class where labels are much finer. Unlabelled pixels take no part.
        numbers: What class numbers mean.
        scheme: What colours mean.

    Raises:
        InputError: It cannot be opened.
        DataMismatch: It lies elsewhere, or nowhere and has another size.
    """

    def __init__(self, path: Path, grid: Grid, numbers: Numbers, scheme: ClassScheme) -> None:
        self._file = LabelFile(path)
        self._scheme = scheme
        self.encoding: Encoding = Colours(scheme) if len(self._file.bands) >= 3 else numbers
        self._warp: Warp | None = None
        self._strange: dict[str, int] = {}  # by unknown stored value: its place among them
        try:
            flat = replace(grid, crs=horizontal(grid.crs))
            own = _own_grid(self._file, flat)
            placement = _placement(own, flat, path)
            if not placement.same_grid:
                self._warp = self._warped(own, flat, placement)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def read(self, window: Window) -> NDArray[np.uint8]:
        """(h, w) values of the scheme, 255 to be ignored."""
        if self._warp is None:
            return labelled(decode(self._stored(window), self.encoding).truth)
        return _classes(self._warp_read(window))

    def examine(self, window: Window) -> Findings:
        """The same, with what is odd about it."""
        if self._warp is None:
            return examine(self._stored(window), self.encoding, self._scheme)
        codes = self._warp_read(window)
        odd, unknown = Counter[str](), Counter[str]()
        values, counts = np.unique(codes[codes >= _DECLARED], return_counts=True)
        named = list(self._strange)
        nodata = self._file.nodata(self.encoding.bands)
        for code, count in zip(values.astype(int).tolist(), counts.tolist(), strict=True):
            if code >= _STRANGE:
                unknown[named[code - _STRANGE]] += count
            else:
                note = declared_note(nodata, code - _DECLARED, self.encoding, self._scheme)
                odd[note] += count
        return Findings(_classes(codes), unknown, odd)

    def _stored(self, window: Window) -> Stored:
        return self._file.read(window, self.encoding.bands)

    def _warp_read(self, window: Window) -> NDArray[np.float32]:
        assert self._warp is not None
        with gdal(self._file.path):
            return self._warp.read(window)

    def _warped(self, own: Grid, grid: Grid, placement: Placement) -> Warp:
        def to_source(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
            ground = grid.to_ground(pixels)
            if not placement.same_crs:
                ground = np.array(transform(grid.crs, own.crs, ground[0], ground[1]))
            return own.to_pixels(ground)

        finer = placement.pixels_per_pixel >= MUCH_FINER
        return Warp(
            self._codes,
            own,
            grid,
            to_source,
            same_crs=placement.same_crs,
            resampling=Resampling.mode if finer else Resampling.nearest,
        )

    def _codes(self, window: Window) -> NDArray[np.float32]:
        """What a window of the file's own grid says, to be warped; NaN where unlabelled.

        Of what was stored, what a person must be told of is kept apart: see the constants above.
        """
        stored = self._stored(window)
        decoded = decode(stored, self.encoding)
        codes = decoded.truth.astype(np.float32)
        codes[decoded.truth == NODATA] = np.nan
        codes[decoded.declared] += _DECLARED
        strange = decoded.truth == UNKNOWN
        if strange.any():
            values, which = np.unique(stored.values[:, strange], axis=1, return_inverse=True)
            places = np.array([self._place(as_text(value)) for value in values.T], np.float32)
            codes[strange] = _STRANGE + places[which.ravel()]
        return codes

    def _place(self, value: str) -> int:
        """Of an unknown stored value among those that were met."""
        if len(self._strange) >= _MOST_STRANGE:
            value = "others" if value not in self._strange else value
        return self._strange.setdefault(value, len(self._strange))


def _classes(codes: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Codes without what a person must be told of; 255 for NaN and unknown values."""
    known = codes < _STRANGE
    return np.where(known, codes % _DECLARED, NODATA).astype(np.uint8)


def _own_grid(file: LabelFile, grid: Grid) -> Grid:
    """Where labels lie; on the orthophoto's grid if they do not say so and have its size."""
    if file.transform is not None and file.transform.determinant:
        return Grid(*file.shape, file.transform, horizontal(file.crs))
    if file.shape == (grid.height, grid.width):
        return grid
    raise DataMismatch(
        f"{file.path.name} says nowhere where it lies and has {file.shape[0]} × {file.shape[1]} "
        f"pixels; expected the orthophoto's {grid.height} × {grid.width}, or a GeoTIFF with a "
        "transform: gdal_edit.py -a_ullr LEFT TOP RIGHT BOTTOM writes one",
        file=file.path.name,
    )


def _placement(own: Grid, grid: Grid, path: Path) -> Placement:
    try:
        return place(grid, own)
    except (CrsMissing, NoOverlap) as error:
        words = error.message.replace("height raster", f"label raster {path.name}")
        raise DataMismatch(words, file=path.name) from error
