"""What stands beside a GeoTIFF: world file, .prj, .aux.xml, .msk; parsed by ourselves.

GDAL would open them, and what they name. Here they are read as text of a bounded size, known
elements alone count, and nothing that they name is opened. The mask is a TIFF, and goes through the
same screening as the raster.
"""

import math
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from affine import Affine
from rasterio.crs import CRS

from mfnet.model.errors import BadSidecar
from mfnet.model.raster.files.tags import open_regular
from mfnet.model.raster.georeferencing.crs_text import names_files

WORLD_ENDINGS = (".tfw", ".tifw", ".tfwx", ".wld")
_MOST_BYTES = {"world": 4 << 10, "prj": 64 << 10, "pam": 1 << 20}
_MAKE_AGAIN = {
    "world": "six numbers, a line each: gdal_translate -co TFW=YES writes it",
    "prj": "the WKT of a coordinate reference system, or EPSG:25832",
    "pam": "GDAL's PAMDataset: gdalinfo -stats writes it",
}


@dataclass(frozen=True)
class BandNotes:
    """What a .aux.xml says of a band; None where it says nothing.

    Attributes:
        nodata: Value of a missing pixel.
        scale: From stored values to the unit.
        offset: Added after it.
        unit: Of the values then.
        colour: GDAL's colour interpretation, lower case.
        description: Free text.
    """

    nodata: float | None = None
    scale: float | None = None
    offset: float | None = None
    unit: str | None = None
    colour: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class Sidecars:
    """The sidecars of one raster.

    Attributes:
        world_file: A world file; `world` reads it where nothing else says the transform.
        prj_file: A .prj; `prj` reads it likewise.
        pam_transform: Of the .aux.xml.
        pam_crs: Likewise.
        bands: Likewise, by band, counted from 1.
        pam_file: Its file.
        mask_file: A .msk, 0 where there are no data.
        foreign_file: Named like a .aux.xml, and a document of another kind: ESRI's metadata.
    """

    world_file: Path | None = None
    prj_file: Path | None = None
    pam_transform: Affine | None = None
    pam_crs: CRS | None = None
    bands: dict[int, BandNotes] = field(default_factory=dict)
    pam_file: Path | None = None
    mask_file: Path | None = None
    foreign_file: Path | None = None

    @cached_property
    def world(self) -> Affine | None:
        """Transform of the world file, of pixels' upper left corners.

        Raises:
            BadSidecar: It cannot be understood.
        """
        return None if self.world_file is None else read_world(self.world_file)

    @cached_property
    def prj(self) -> CRS | None:
        """Coordinate reference system (CRS) of the .prj.

        Raises:
            BadSidecar: It cannot be understood.
        """
        return None if self.prj_file is None else read_prj(self.prj_file)

    @property
    def files(self) -> tuple[Path, ...]:
        """Those that there are."""
        all_ = (self.world_file, self.prj_file, self.pam_file, self.mask_file)
        return tuple(path for path in all_ if path is not None)

    @classmethod
    def beside(cls, path: Path) -> "Sidecars":
        """Those that stand beside a file, under the names that GDAL and ESRI give them.

        Raises:
            BadSidecar: One cannot be understood.
        """
        files = {}
        for kind, names in names_of(path.name).items():
            beside = (path.with_name(name) for name in names)
            if (file := next((each for each in beside if each.is_file()), None)) is not None:
                files[kind] = file
        return cls.of(files)

    @classmethod
    def of(cls, files: dict[str, Path]) -> "Sidecars":
        """Those in files of any name, by kind: world, prj, pam, mask.

        Raises:
            BadSidecar: One cannot be understood.
        """
        found = cls(
            mask_file=files.get("mask"), world_file=files.get("world"), prj_file=files.get("prj")
        )
        if (path := files.get("pam")) is not None:
            try:
                transform, crs, bands = read_pam(path)
            except OtherDocument:
                return replace(found, foreign_file=path)
            found = replace(found, pam_transform=transform, pam_crs=crs, bands=bands, pam_file=path)
        return found


def names_of(name: str) -> dict[str, list[str]]:
    """Names that sidecars of a raster have, by kind, the usual one first."""
    stem = name.rpartition(".")[0] or name
    found = {
        "world": [stem + ending for ending in WORLD_ENDINGS],
        "prj": [f"{stem}.prj"],
        "pam": [f"{name}.aux.xml", f"{stem}.aux.xml"],
        "mask": [f"{name}.msk"],
    }
    return {kind: [*names, *map(_loud, names)] for kind, names in found.items()}


def _loud(name: str) -> str:
    """The name with its last ending in capitals, as some programs write it."""
    stem, _, ending = name.rpartition(".")
    return f"{stem}.{ending.upper()}"


def kind_of(name: str) -> str | None:
    """What kind of sidecar a file of this name is; None if it is none."""
    lower = name.casefold()
    if lower.endswith(WORLD_ENDINGS):
        return "world"
    endings = {".prj": "prj", ".aux.xml": "pam", ".msk": "mask"}
    return next((kind for ending, kind in endings.items() if lower.endswith(ending)), None)


def read_world(path: Path) -> Affine:
    """The transform of a world file, which counts from the middle of the upper left pixel.

    Raises:
        BadSidecar: It does not hold six numbers that make a transform.
    """
    words = _text(path, "world").replace(",", ".").split()
    try:
        a, d, b, e, x, y = (float(word) for word in words)
    except ValueError:
        raise _bad(path, "world", f"holds {' '.join(words)[:60]!r}") from None
    if not all(map(math.isfinite, (a, b, d, e, x, y))) or a * e - b * d == 0:
        raise _bad(path, "world", "holds numbers that place no pixel")
    return Affine(a, b, x, d, e, y) * Affine.translation(-0.5, -0.5)


def read_prj(path: Path) -> CRS:
    """The CRS of a .prj: WKT of any age, ESRI's too, or an authority's code.

    Raises:
        BadSidecar: It is none.
    """
    return _crs(_text(path, "prj"), path, "prj")


def read_pam(path: Path) -> tuple[Affine | None, CRS | None, dict[int, BandNotes]]:
    """Transform, CRS, and notes by band of a .aux.xml.

    Everything else in it (statistics, histograms, names of other files) is passed over.

    Raises:
        OtherDocument: It is XML of another kind.
        BadSidecar: It is no XML, or says what makes no sense.
    """
    text = _text(path, "pam")
    try:
        root = ET.fromstring(text, ET.XMLParser(target=_Undeclared()))
    except _Declaration:
        raise _bad(path, "pam", "holds a declaration") from None
    except ET.ParseError as error:
        raise _bad(path, "pam", f"cannot be parsed ({error})") from None
    if root.tag != "PAMDataset":
        raise OtherDocument(_bad(path, "pam", f"is a {root.tag[:40]}").message, file=path.name)
    srs = (root.findtext("SRS") or "").strip()
    bands = {}
    for band in root.findall("PAMRasterBand"):
        number = (band.get("band") or "").strip()
        if re.fullmatch(r"[0-9]{1,5}", number):
            bands[int(number)] = _band_notes(band, path)
    return (
        _pam_transform(root.findtext("GeoTransform"), path),
        _crs(srs, path, "pam") if srs else None,
        bands,
    )


class OtherDocument(BadSidecar):
    """XML of another kind than its name says."""


class _Declaration(Exception):
    """A document type is declared."""


class _Undeclared(ET.TreeBuilder):
    """Ends where a document type begins: without one there are no entities to expand or fetch."""

    def doctype(self, *_: str | None) -> None:
        """Called by the parser, which alone knows what is a comment, before it reads what is in."""
        raise _Declaration


def _band_notes(band: ET.Element, path: Path) -> BandNotes:
    def number(name: str) -> float | None:
        return _number(band.findtext(name), path)

    def text(name: str) -> str | None:
        found = (band.findtext(name) or "").strip()
        return found[:200] or None

    colour = text("ColorInterp")
    scale, offset = number("Scale"), number("Offset")
    if scale == 0 or not all(math.isfinite(each) for each in (scale, offset) if each is not None):
        raise _bad(path, "pam", f"has the scale {scale} and the offset {offset}")
    return BandNotes(
        nodata=number("NoDataValue"),
        scale=scale,
        offset=offset,
        unit=text("UnitType"),
        colour=None if colour is None else colour.casefold(),
        description=text("Description"),
    )


def _number(text: str | None, path: Path) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise _bad(path, "pam", f"has {text.strip()[:40]!r} for a number") from None


def _pam_transform(text: str | None, path: Path) -> Affine | None:
    if text is None or not text.strip():
        return None
    words = text.replace(",", " ").split()
    try:
        c, a, b, f, d, e = (float(word) for word in words)
    except ValueError:
        raise _bad(path, "pam", f"has {text.strip()[:60]!r} for a GeoTransform") from None
    return Affine(a, b, c, d, e, f)


def _crs(text: str, path: Path, kind: str) -> CRS:
    plain = text.strip().lstrip("\ufeff")
    # As in model/raster/georeferencing/crs_agreement.py: nothing that GDAL would take for a path or
    # an address.
    is_code = re.fullmatch(r"(EPSG|ESRI|OGC|IGNF|IAU_2015):[A-Za-z0-9_.+]+", plain, re.I)
    is_wkt = re.match(r"(PROJ|GEOG|GEOD|GEOC|LOCAL_|ENG|COMP|BOUND|VERT)[A-Z_]*\s*\[", plain)
    if (is_code or is_wkt) and not names_files(plain):
        try:
            if is_code:
                return CRS.from_user_input(plain)
            return CRS.from_wkt(plain, morph_from_esri_dialect=True)
        except Exception:  # CRSError, and bare CPLE errors of GDAL
            pass
    raise _bad(path, kind, f"names the coordinate reference system {plain[:60]!r}")


def _text(path: Path, kind: str) -> str:
    """The contents of a small text file; nothing else is opened in its place."""
    try:
        with open_regular(path) as file:
            raw = file.read(_MOST_BYTES[kind] + 1)
    except Exception as error:
        raise _bad(path, kind, f"cannot be read ({error})") from error
    if len(raw) > _MOST_BYTES[kind]:
        raise _bad(path, kind, f"has more than {_MOST_BYTES[kind]:,} bytes")
    return raw.decode("utf-8-sig", "replace").replace("\0", "")


def _bad(path: Path, kind: str, found: str) -> BadSidecar:
    return BadSidecar(
        f"{path.name}: {found}; expected {_MAKE_AGAIN[kind]}; remove the file if the raster needs "
        "none",
        file=path.name,
    )
