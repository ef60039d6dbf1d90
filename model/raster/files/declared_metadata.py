"""What a raster's tags and its sidecars say together, in the order in which GDAL believes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from affine import Affine
from rasterio.abc import FileContainer
from rasterio.crs import CRS
from rasterio.io import DatasetReader

from mfnet.model.raster.files.gdal_access import OPEN_OPTIONS
from mfnet.model.raster.files.sidecars import BandNotes, Sidecars
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.values.band_names import BandTags


@dataclass(frozen=True)
class HiddenTags:
    """What GDAL tells of a file only if it is opened otherwise than we read its pixels.

    Attributes:
        crs: With its vertical part, which GDAL keeps back from a file of GeoTIFF 1.0; where it
            tells it, it also multiplies the values by the third pixel size.
        descriptions: Of the bands; with OVERVIEW_LEVEL there are none.
        domains: Of its metadata, where names of other files could stand; likewise.
    """

    crs: CRS | None
    descriptions: tuple[str | None, ...]
    domains: tuple[str, ...]

    @classmethod
    def of(cls, path: Path | str, opener: FileContainer | None = None) -> "HiddenTags":
        """Those of a GeoTIFF, by a handle of its own, through which no pixel is read."""
        options = {key: value for key, value in OPEN_OPTIONS.items() if key != "OVERVIEW_LEVEL"}
        with (
            rasterio.Env(GTIFF_REPORT_COMPD_CS="YES"),
            rasterio.open(path, driver="GTiff", opener=opener, **options) as raster,
        ):
            return cls(raster.crs, raster.descriptions, tuple(raster.tag_namespaces()))


class Declared:
    """The tags of an open raster, completed by what stands beside it.

    Place and CRS: a .aux.xml before the file itself before a world file or .prj. Numbers of a band:
    the file itself before a .aux.xml.

    Attributes:
        transform: Of pixels' upper left corners; None where nobody says it.
        crs: None likewise.
        remarks: What was taken from a sidecar.
    """

    def __init__(
        self,
        name: str,
        dataset: DatasetReader,
        sidecars: Sidecars,
        *,
        has_transform: bool,
        descriptions: Sequence[str | None] | None = None,
    ) -> None:
        """Take note.

        Args:
            name: Of the file, for messages.
            dataset: rasterio's.
            sidecars: The file's.
            has_transform: The file's tags hold one; beside an RPC model and no transform, rasterio
                gives numbers out of unset memory.
            descriptions: Of its bands, where `dataset` does not have them.
        """
        self._descriptions = descriptions or dataset.descriptions
        self._name, self._dataset, self._sidecars = name, dataset, sidecars
        self.remarks: list[Remark] = []
        placed = has_transform and not dataset.transform.is_identity
        own = dataset.transform if placed else None
        # What is not needed is not read: many a .prj lies beside a raster that has its CRS inside.
        needs_world = own is None and sidecars.pam_transform is None
        needs_prj = not dataset.crs and sidecars.pam_crs is None
        self.transform: Affine | None = self._first(
            "the transform",
            (sidecars.pam_transform, sidecars.pam_file),
            (own, None),
            (sidecars.world if needs_world else None, sidecars.world_file),
        )
        self.crs: CRS | None = self._first(
            "the coordinate reference system",
            (sidecars.pam_crs, sidecars.pam_file),
            (dataset.crs or None, None),
            (sidecars.prj if needs_prj else None, sidecars.prj_file),
        )
        if (foreign := sidecars.foreign_file) is not None:
            message = f"{name}: {foreign.name} is no PAMDataset of GDAL's and is not read"
            self.remarks.append(Remark(code="sidecar.ignored", message=message))
        if sidecars.mask_file is not None:
            self._tell(sidecars.mask_file, "the mask")

    def band_tags(self) -> list[BandTags]:
        """What each band is called."""
        dataset = self._dataset
        described = zip(dataset.indexes, dataset.colorinterp, self._descriptions, strict=True)
        return [
            BandTags(self._notes(band).colour or colour.name, text or self._notes(band).description)
            for band, colour, text in described
        ]

    def alphas(self) -> list[int]:
        """Bands that are called alpha, counted from 1."""
        return [i for i, tags in enumerate(self.band_tags(), 1) if tags.interpretation == "alpha"]

    def nodata(self, band: int) -> float | None:
        """Value of a missing pixel of a band, counted from 1."""
        own: float | None = self._dataset.nodatavals[band - 1]
        return self._notes(band).nodata if own is None else own

    def scale(self, band: int) -> float:
        """From a band's stored values to its unit."""
        noted = self._notes(band).scale
        own = float(self._dataset.scales[band - 1])
        return noted if noted is not None and not self._is_scaled(band) else own

    def offset(self, band: int) -> float:
        """Added after the scale."""
        noted = self._notes(band).offset
        own = float(self._dataset.offsets[band - 1])
        return noted if noted is not None and not self._is_scaled(band) else own

    def unit(self, band: int) -> str | None:
        """A band's unit, as it is written there."""
        return self._dataset.units[band - 1] or self._notes(band).unit

    def tell_of_numbers(self, band: int) -> None:
        """Adds to the remarks what of a band's numbers a .aux.xml says."""
        notes, own, scaled = self._notes(band), self._dataset, self._is_scaled(band)
        taken = {
            f"nodata {notes.nodata}": notes.nodata is not None and own.nodatavals[band - 1] is None,
            f"scale {notes.scale}": notes.scale not in (None, 1.0) and not scaled,
            f"offset {notes.offset}": notes.offset not in (None, 0.0) and not scaled,
            f"unit {notes.unit!r}": notes.unit is not None and not own.units[band - 1],
        }
        told = ", ".join(what for what, is_taken in taken.items() if is_taken)
        if told and self._sidecars.pam_file is not None:
            self._tell(self._sidecars.pam_file, told)

    def tell_of_names(self) -> None:
        """Adds to the remarks that a .aux.xml calls bands otherwise than the file does."""
        own = self._dataset.colorinterp
        noted = [self._notes(band).colour for band in self._dataset.indexes]
        named = any(name not in (None, was.name) for name, was in zip(noted, own, strict=True))
        if named and self._sidecars.pam_file is not None:
            self._tell(self._sidecars.pam_file, "what its bands are")

    def _notes(self, band: int) -> BandNotes:
        return self._sidecars.bands.get(band, BandNotes())

    def _is_scaled(self, band: int) -> bool:
        """Whether the file itself has a scale or an offset."""
        return (self._dataset.scales[band - 1], self._dataset.offsets[band - 1]) != (1.0, 0.0)

    def _first(self, what: str, *known: tuple[Any, Path | None]) -> Any:
        """The first of what is known, each with the sidecar that says it, or None for the file."""
        told = [(value, file) for value, file in known if value is not None]
        if not told:
            return None
        value, file = told[0]
        if file is not None:
            own = next((value for value, file in told if file is None), None)
            if own is None:
                self._tell(file, what)
            elif not _same(own, value):
                message = (
                    f"{self._name}: {what} comes from {file.name}, as in GDAL and QGIS; the file "
                    f"itself has another: remove {file.name} if that is right"
                )
                self.remarks.append(Remark(code="sidecar.differs", message=message))
        return value

    def _tell(self, file: Path, what: str) -> None:
        message = f"{self._name}: {what} comes from {file.name}"
        self.remarks.append(Remark(code="sidecar.used", message=message))


def _same(one: Any, other: Any) -> bool:
    """Whether two transforms, or two CRSs, are the same."""
    if isinstance(one, Affine):
        return bool(one.almost_equals(other, precision=1e-9 * max(1.0, *map(abs, one))))
    return bool(one == other)
