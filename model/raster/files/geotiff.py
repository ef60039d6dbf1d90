"""Opens one GeoTIFF of a stranger and reads it: pixels, and which of them are valid."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader
from rasterio.windows import Window

from mfnet.model.errors import NotGeoreferenced, WrongBands, WrongType
from mfnet.model.raster.files import remote
from mfnet.model.raster.files.alpha_masks import divided, find_mask
from mfnet.model.raster.files.declared_metadata import Declared, HiddenTags
from mfnet.model.raster.files.fetched_blocks import FetchedBlocks
from mfnet.model.raster.files.gdal_access import (
    CACHE_BYTES,
    MOST_CACHE_BYTES,
    OPEN_OPTIONS,
    gdal,
)
from mfnet.model.raster.files.mask_file import MaskFile
from mfnet.model.raster.files.mosaic import files_of, known
from mfnet.model.raster.files.screening import Layout, layout_of, screen
from mfnet.model.raster.files.sidecars import Sidecars
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.georeferencing.transform_checks import senseless
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.repair_commands import write_crs
from mfnet.model.raster.values.colour_bands import NO_COLOUR, choose_colour_bands
from mfnet.model.raster.values.height_values import is_value
from mfnet.model.raster.values.reading_options import ReadingOptions

ORTHO_DTYPES = ("uint8", "uint16", "float32")
HEIGHT_DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


class Role(StrEnum):
    """What a raster is to the program."""

    ORTHO = "orthophoto"
    HEIGHT = "height raster"
    DTM = "terrain model"
    LABELS = "class raster"


_EXPECTED = {
    Role.HEIGHT: "one band of heights",
    Role.DTM: "one band of heights",
    Role.LABELS: "one band of class numbers",
}


class GeoTiff:
    """An open GeoTIFF in one of the two roles.

    Attributes:
        path: As given.
        role: What it is used as.
        layout: How it is stored.
        crs: As the file says; `grid` may have that of the other raster of a pair.
        grid: Where its pixels lie.
        bands: The bands in use, counted from 1: three of an orthophoto, else one.
        alpha: The alpha band that says which pixels are valid, counted from 1, if there is one.
        premultiplied: Colours are stored times alpha; `read` divides them again.
        dtype: Of the bands in use.
        nodata: Declared, of each band in use.
        scale: Declared, of the first band in use: from stored values to the unit.
        offset: Likewise, added after the scale.
        unit: Likewise, as it is written there.
        remarks: What was decided about its bands.
        dataset: rasterio's; touch it inside `gdal(path)` alone.
    """

    def __init__(
        self,
        path: Path,
        role: Role,
        options: ReadingOptions | None = None,
        sidecars: Sidecars | None = None,
    ) -> None:
        """Screen the tags, open the file and check that it can play its role.

        Args:
            path: Of the file.
            role: What it is used as.
            options: Which bands to use, where the caller knows better.
            sidecars: The file's; those that stand beside it if not given.

        Raises:
            InputError: BadSidecar, RasterMissing, NotGeoTiff, RasterForbidden, RasterTooLarge,
                RasterUnreadable, WrongBands, WrongType, NotGeoreferenced.
        """
        self.path = path
        self.role = role
        self.remarks: list[Remark] = []
        mosaic = known(path)
        behind = remote.known(path)
        if behind is None:
            palette = role is Role.LABELS
            self.layout: Layout = mosaic.layout if mosaic else screen(path, palette=palette)
        if mosaic is not None or behind is not None:
            sidecars = Sidecars()  # the tiles' were heeded when they were joined
        self.sidecars = Sidecars.beside(path) if sidecars is None else sidecars
        self._mask: MaskFile | None = None
        with gdal(path, CACHE_BYTES):
            driver, opening = ("VRT", {}) if mosaic else ("GTiff", OPEN_OPTIONS)
            opened = path if behind is None else behind.gdal_name
            opener = None if behind is None else behind.opener
            self.dataset = rasterio.open(opened, driver=driver, opener=opener, **opening)
        self._pixels: DatasetReader | FetchedBlocks = self.dataset
        try:
            with gdal(path):
                hidden = HiddenTags.of(
                    files_of(path)[0] if behind is None else behind.gdal_name, opener
                )
            if behind is not None:
                layout = layout_of(self.dataset, hidden.domains, path.name)
                self.layout = replace(layout, stored_bytes=behind.content.bytes)
                self._pixels = FetchedBlocks(self.dataset, behind.blocks, behind.fetched)
            self._cache_bytes = min(CACHE_BYTES + self.layout.row_bytes, MOST_CACHE_BYTES)
            self._mask = MaskFile.of(self.sidecars, self.layout)
            with gdal(path):
                self._declared = Declared(
                    path.name,
                    self.dataset,
                    self.sidecars,
                    has_transform=self.layout.has_transform,
                    descriptions=hidden.descriptions,
                )
                self._choose_bands(options or ReadingOptions())
                self.grid = self._read_grid()
                # A sidecar's, or the file's own with its vertical part.
                own = self.grid.crs is not None and self.grid.crs == self.dataset.crs
                self.crs = hidden.crs if own else self.grid.crs
                self._declared.tell_of_numbers(self.bands[0])
                self.remarks += self._declared.remarks
                self.nodata = tuple(map(self._declared.nodata, self.bands))
                self.scale = self._declared.scale(self.bands[0])
                self.offset = self._declared.offset(self.bands[0])
                self._drop_senseless_scale()
                self.unit = self._declared.unit(self.bands[0])
                flags = self.dataset.mask_flag_enums[self.bands[0] - 1]
                self._masked = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
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
        if isinstance(self._pixels, FetchedBlocks):
            self._pixels.close()
        if self._mask is not None:
            self._mask.close()

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Read the bands in use.

        Args:
            window: Inside the raster.

        Returns:
            Values (bands, h, w) as stored, and validity (h, w): as `read_stored`, and False where
            every band is nodata.
        """
        values, valid = self.read_stored(window)
        # One saturated band is no hole: nodata is what all bands agree on.
        empty = [is_value(band, value) for band, value in zip(values, self.nodata, strict=True)]
        return values, valid & ~np.logical_and.reduce(empty)

    def read_stored(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Read the bands in use, a declared nodata value being a value like others.

        Args:
            window: Inside the raster.

        Returns:
            Values (bands, h, w) as stored, and validity (h, w): False where alpha or the internal
            mask is 0, and where any band is NaN or infinite, or no colour of any camera.
        """
        with gdal(self.path, self._cache_bytes):
            values = self._pixels.read(indexes=list(self.bands), window=window)
            valid = np.ones(values.shape[1:], bool)
            if self.alpha is not None:
                alpha = self._pixels.read(self.alpha, window=window)
                valid &= alpha > 0
                if self.premultiplied:
                    values = divided(values, alpha)
            if self._masked:
                valid &= self._pixels.read_masks(self.bands[0], window=window) > 0
        if self._mask is not None:
            valid &= self._mask.read(window)
        if np.issubdtype(values.dtype, np.floating):
            valid &= np.isfinite(values).all(axis=0)
            if self.role is Role.ORTHO:
                valid &= (np.abs(values) < NO_COLOUR).all(axis=0)
        return values, valid

    @property
    def may_have_gaps(self) -> bool:
        """Whether the file can say that a pixel is not valid: by alpha, mask, nodata or NaN."""
        declared = self._masked or self.alpha is not None or None not in self.nodata
        declared = declared or self._mask is not None
        return declared or bool(np.issubdtype(self.dtype, np.floating))

    def _drop_senseless_scale(self) -> None:
        """A scale that makes all values one, or none: the numbers are taken as they are stored."""
        if self.scale == 0 or not np.isfinite([self.scale, self.offset]).all():
            message = (
                f"{self.path.name}: scale {self.scale:g} and offset {self.offset:g} make no sense "
                "and are not applied"
            )
            self.remarks.append(Remark(code="raster.scale", message=message))
            self.scale, self.offset = 1.0, 0.0

    def _choose_bands(self, options: ReadingOptions) -> None:
        name, dataset = self.path.name, self.dataset
        colours = dataset.colorinterp
        alphas = self._declared.alphas()
        self.alpha: int | None
        self.premultiplied = False
        if self.role is Role.ORTHO:
            tags = self._declared.band_tags()
            self._declared.tell_of_names()
            self.bands: tuple[int, ...]
            self.bands, remarks = choose_colour_bands(name, tags, options)
            mask = find_mask(self._pixels, alphas, self.bands)
            self.alpha = None if mask is None else mask.band
            self.premultiplied = mask is not None and mask.premultiplied and options.unmultiply
            self.remarks += [*remarks, *self._pictures(alphas), *self._multiplied()]
        else:
            mask = find_mask(self._pixels, alphas, ())
            self.alpha = next(iter(alphas), None) if mask is None else mask.band
            self.bands = (self._only_band(options, alphas),)
        self.dtype = np.dtype(_one_dtype([dataset.dtypes[band - 1] for band in self.bands], name))
        allowed = ORTHO_DTYPES if self.role is Role.ORTHO else HEIGHT_DTYPES
        # Of classes a palette is no more than how they look.
        palette = ColorInterp.palette in colours and self.role is not Role.LABELS
        if self.dtype.name not in allowed or palette:
            found = "a palette" if palette else self.dtype.name
            raise WrongType(
                f"{name}: pixels of type {found}; expected {', '.join(allowed)} in the "
                f"{self.role}: {_convert(found, self.role)}",
                file=name,
                found=found,
                expected=list(allowed),
            )

    def _only_band(self, options: ReadingOptions, alphas: Sequence[int]) -> int:
        """The band of heights or classes: the one given, or the only one beside alpha."""
        given = {Role.HEIGHT: options.height_band, Role.DTM: options.dtm_band}.get(self.role)
        count, name = self.dataset.count, self.path.name
        plain = [band for band in range(1, count + 1) if band not in alphas]
        if given is not None and given <= count:
            return given
        if given is None and len(plain) == 1:
            return plain[0]
        option = "dtm_band" if self.role is Role.DTM else "height_band"
        choose = {
            Role.LABELS: "extract it with gdal_translate -b 1",
            Role.HEIGHT: "choose one with --height-band 1; is the order of the files right?",
            Role.DTM: "choose one with --dtm-band 1",
        }
        raise WrongBands(
            f"{name}: {len(plain)} bands beside alpha; expected {_EXPECTED[self.role]} in the "
            f"{self.role}: {choose[self.role]}",
            file=name,
            bands=len(plain),
            expected=1,
            option=option,
        )

    def _pictures(self, alphas: Sequence[int]) -> Iterator[Remark]:
        """Tells of alpha bands that are no mask, where none is or they come before it."""
        for band in alphas[: alphas.index(self.alpha) if self.alpha is not None else None]:
            yield Remark(
                code="ortho.alpha",
                message=f"{self.path.name}: band {band} is flagged as alpha and holds a picture "
                "(near infrared?): it hides no pixel; --bands chooses the three bands to map",
            )

    def _multiplied(self) -> Iterator[Remark]:
        """Tells of colours that are stored times their alpha."""
        if self.premultiplied:
            yield Remark(
                code="ortho.premultiplied",
                message=f"{self.path.name}: where it is partly transparent no colour is brighter "
                f"than alpha (band {self.alpha}): colours were multiplied by it, and are divided "
                "again; --no-unmultiply if they are as they should be",
            )

    def _read_grid(self) -> Grid:
        dataset, name = self.dataset, self.path.name
        transform, crs = self._declared.transform, self._declared.crs
        if transform is None:
            found = "no transform"
            if dataset.gcps[0] or dataset.rpcs:
                found = f"{'ground control points' if dataset.gcps[0] else 'an RPC model'} alone"
            raise NotGeoreferenced(
                f"{name}: {found} to the ground; expected a GeoTIFF with a transform inside, or a "
                f"world file beside it ({self.path.stem}.tfw): gdalwarp makes one from control "
                "points or an RPC model, gdal_edit.py -a_ullr LEFT TOP RIGHT BOTTOM writes one",
                file=name,
            )
        if wrong := senseless(transform, dataset.height, dataset.width, crs):
            raise NotGeoreferenced(
                f"{name}: {wrong}: gdal_edit.py -a_ullr LEFT TOP RIGHT BOTTOM writes the corners, "
                f"{write_crs(name)} the coordinate reference system",
                file=name,
            )
        return Grid(dataset.height, dataset.width, transform, crs)


def _one_dtype(dtypes: list[Any], name: str) -> str:
    if len(set(dtypes)) > 1:
        raise WrongType(
            f"{name}: bands of types {', '.join(sorted(set(dtypes)))}; expected one type: "
            "gdal_translate -b takes some bands out, -ot converts them",
            file=name,
        )
    return str(dtypes[0])


def _convert(found: str, role: Role) -> str:
    """What makes pixels of an accepted type."""
    integers = role is Role.ORTHO and not found.startswith("float")
    kind = "-expand rgb" if found == "a palette" else f"-ot {'UInt16' if integers else 'Float32'}"
    return f"gdal_translate {kind} IN.tif OUT.tif converts it"
