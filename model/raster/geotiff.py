"""Opens one GeoTIFF of a stranger and reads it: pixels, and which of them are valid."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from model.errors import (
    MfnetError,
    NotGeoreferenced,
    RasterTooLarge,
    RasterUnreadable,
    WrongBands,
    WrongType,
)
from model.raster.grid import Grid
from model.raster.screening import Layout, screen

# What GDAL may look at beside the file itself: nothing. Sidecars (.aux.xml, .ovr, .msk, .tfw) can
# be XML that other drivers open.
GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "/vsimem/none",
    "GTIFF_VIRTUAL_MEM_IO": "NO",
}
OPEN_OPTIONS = {"OVERVIEW_LEVEL": "NONE", "GEOREF_SOURCES": "INTERNAL"}
CACHE_BYTES = 16 << 20

ORTHO_DTYPES = ("uint8", "uint16", "float32")
HEIGHT_DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


class Role(StrEnum):
    """What a raster is to the program."""

    ORTHO = "orthophoto"
    HEIGHT = "height raster"
    LABELS = "class raster"


_EXPECTED = {
    Role.ORTHO: "red, green, blue",
    Role.HEIGHT: "one band of heights",
    Role.LABELS: "one band of class numbers",
}


@contextmanager
def gdal(path: Path, cache_bytes: int | None = None) -> Iterator[None]:
    """The border to GDAL: our options inside, coded errors outside.

    rasterio lets through more than its own errors (TypeErrors, bare CPLE errors), so everything
    that is raised while a stranger's file is touched counts as that file's fault.

    Args:
        path: Of the file, for the message.
        cache_bytes: New size of GDAL's block cache, which the process has one of.
    """
    cache = {} if cache_bytes is None else {"GDAL_CACHEMAX": cache_bytes}
    try:
        with rasterio.Env(**GDAL_OPTIONS, **cache):
            yield
    except MfnetError:
        raise
    except MemoryError:
        raise RasterTooLarge(
            f"{path.name}: reading it needs more memory than this process may take; rewrite it "
            "with smaller tiles (gdal_translate -co TILED=YES)",
            file=path.name,
        ) from None
    except Exception as error:
        reason = " ".join(str(error.__cause__ or error).split()).replace(str(path), path.name)
        raise RasterUnreadable(
            f"{path.name}: truncated, damaged or not decodable ({reason[:300]}); copy it again "
            "from its source or rewrite it with gdal_translate",
            file=path.name,
        ) from error


class GeoTiff:
    """An open GeoTIFF in one of the two roles.

    Attributes:
        path: As given.
        role: What it is used as.
        layout: How it is stored.
        grid: Where its pixels lie.
        bands: The bands in use, counted from 1: three of an orthophoto, else one.
        alpha: The alpha band, counted from 1, if there is one.
        dtype: Of the bands in use.
        dataset: rasterio's; touch it inside `gdal(path)` alone.
    """

    def __init__(self, path: Path, role: Role) -> None:
        """Screen the tags, open the file and check that it can play its role.

        Raises:
            InputError: RasterMissing, NotGeoTiff, RasterForbidden, RasterTooLarge,
                RasterUnreadable, WrongBands, WrongType, NotGeoreferenced.
        """
        self.path = path
        self.role = role
        self.layout: Layout = screen(path, palette=role is Role.LABELS)
        with gdal(path, CACHE_BYTES), warnings.catch_warnings():
            # A file without a transform is refused below, in our words.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            self.dataset = rasterio.open(path, driver="GTiff", **OPEN_OPTIONS)
        try:
            with gdal(path):
                self._choose_bands()
                self.grid = self._read_grid()
                self.nodata = tuple(self.dataset.nodatavals[band - 1] for band in self.bands)
                flags = self.dataset.mask_flag_enums[self.bands[0] - 1]
                self._masked = MaskFlags.per_dataset in flags and self.alpha is None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self.dataset.close()

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Read the bands in use.

        Args:
            window: Inside the raster.

        Returns:
            Values (bands, h, w) as stored, and validity (h, w): False where alpha or the internal
            mask is 0, where every band is nodata, and where any band is NaN or infinite.
        """
        with gdal(self.path):
            values = self.dataset.read(indexes=list(self.bands), window=window)
            valid = np.ones(values.shape[1:], bool)
            if self.alpha is not None:
                valid &= self.dataset.read(self.alpha, window=window) > 0
            if self._masked:
                valid &= self.dataset.read_masks(self.bands[0], window=window) > 0
        # One saturated band is no hole: nodata is what all bands agree on.
        empty = [is_nodata(band, value) for band, value in zip(values, self.nodata, strict=True)]
        valid &= ~np.logical_and.reduce(empty)
        if np.issubdtype(values.dtype, np.floating):
            valid &= np.isfinite(values).all(axis=0)
        return values, valid

    @property
    def may_have_gaps(self) -> bool:
        """Whether the file can say that a pixel is not valid: by alpha, mask, nodata or NaN."""
        declared = self._masked or self.alpha is not None or None not in self.nodata
        return declared or bool(np.issubdtype(self.dtype, np.floating))

    def metres(self, values: np.ndarray) -> np.ndarray:
        """Heights as float32 metres, by the band's scale and offset."""
        band = self.bands[0] - 1
        scale, offset = self.dataset.scales[band], self.dataset.offsets[band]
        with np.errstate(over="ignore", invalid="ignore"):
            metres = values if (scale, offset) == (1.0, 0.0) else values * scale + offset
            return np.asarray(metres, np.float32)

    def _choose_bands(self) -> None:
        name, dataset = self.path.name, self.dataset
        colours = dataset.colorinterp
        plain = [i for i, c in enumerate(colours, start=1) if c is not ColorInterp.alpha]
        alphas = [i for i, c in enumerate(colours, start=1) if c is ColorInterp.alpha]
        self.alpha: int | None = alphas[0] if alphas else None
        wanted = 3 if self.role is Role.ORTHO else 1
        enough = len(plain) >= 3 if self.role is Role.ORTHO else len(plain) == 1
        if not enough:
            raise WrongBands(
                f"{name}: {len(plain)} bands beside alpha; expected {_EXPECTED[self.role]} in the "
                f"{self.role}: check the order of the files on the command line",
                file=name,
                bands=len(plain),
                expected=wanted,
            )
        self.bands = tuple(plain[:wanted])
        self.dtype = np.dtype(_one_dtype([dataset.dtypes[band - 1] for band in self.bands], name))
        allowed = ORTHO_DTYPES if self.role is Role.ORTHO else HEIGHT_DTYPES
        # Of classes a palette is no more than how they look.
        palette = ColorInterp.palette in colours and self.role is not Role.LABELS
        if self.dtype.name not in allowed or palette:
            found = "a palette" if palette else self.dtype.name
            raise WrongType(
                f"{name}: pixels of type {found}; expected {', '.join(allowed)} in the "
                f"{self.role}: convert it with gdal_translate -ot",
                file=name,
                found=found,
                expected=list(allowed),
            )

    def _read_grid(self) -> Grid:
        dataset, name = self.dataset, self.path.name
        transform: Affine = dataset.transform
        degenerate = not np.isfinite(tuple(transform)).all() or transform.determinant == 0
        if transform.is_identity or degenerate:
            found = "ground control points alone" if dataset.gcps[0] else "no transform"
            raise NotGeoreferenced(
                f"{name}: {found} to the ground; expected a GeoTIFF with a transform inside: "
                "gdalwarp makes one from control points, gdal_edit.py -a_ullr writes one",
                file=name,
            )
        return Grid(dataset.height, dataset.width, transform, dataset.crs)


def is_nodata(values: np.ndarray, nodata: float | None) -> np.ndarray:
    """Where values equal a declared nodata value, which may lie outside their type's range.

    Args:
        values: Of any shape and real type.
        nodata: As GDAL reports it; NaN and None match nothing (NaN pixels are told by themselves).

    Returns:
        bool of the values' shape.
    """
    if nodata is None or np.isnan(nodata):
        return np.zeros(values.shape, bool)
    if np.issubdtype(values.dtype, np.floating):
        # Writers print float32 extremes with a last digit too many; GDAL clamps them, and so do we.
        limits = np.finfo(values.dtype)
        clamped = min(max(nodata, float(limits.min)), float(limits.max))
        return np.asarray(values == values.dtype.type(clamped))
    if not float(nodata).is_integer():
        return np.zeros(values.shape, bool)
    return np.asarray(values == int(nodata))


def _one_dtype(dtypes: list[Any], name: str) -> str:
    if len(set(dtypes)) > 1:
        raise WrongType(f"{name}: bands of types {sorted(set(dtypes))}; expected one", file=name)
    return str(dtypes[0])
