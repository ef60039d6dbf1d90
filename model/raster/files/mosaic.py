"""Rasters that are kept in tiles: which files they are, and the VRTs that join them.

The only VRTs that are ever opened are those that this process has written itself, of tiles that
were screened one by one: a VRT may name any file or address.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mfnet.model.errors import RasterForbidden, RasterMissing
from mfnet.model.raster.files.screening import Layout

ENDINGS = (".tif", ".tiff")
_MOST_BYTES = 64 << 20
_SOURCES = ("SimpleSource", "ComplexSource")


@dataclass(frozen=True)
class Mosaic:
    """Tiles as one raster.

    Attributes:
        tiles: The files; of two that overlap, the later one counts.
        layout: How they are stored, taken together.
    """

    tiles: tuple[Path, ...]
    layout: Layout


_written: dict[Path, Mosaic] = {}


def remember(vrt: Path, mosaic: Mosaic) -> None:
    """Takes a VRT for what it is: one that we wrote."""
    _written[vrt] = mosaic


def forget(vrt: Path) -> None:
    """The VRT is gone."""
    _written.pop(vrt, None)


def known(path: Path) -> Mosaic | None:
    """The tiles of a VRT that we wrote."""
    return _written.get(path)


def files_of(path: Path) -> tuple[Path, ...]:
    """The files that a raster's pixels come from."""
    mosaic = known(path)
    return (path,) if mosaic is None else mosaic.tiles


def is_tiled(path: Path) -> bool:
    """Whether a path names tiles: a folder, a pattern such as `tiles/*.tif`, or a VRT."""
    if path.is_file():
        return path.suffix.lower() == ".vrt"
    return path.is_dir() or any(sign in path.name for sign in "*?[")


def tile_paths(path: Path) -> list[Path]:
    """The files that a folder, a pattern or a VRT names, in the order in which they are laid.

    Raises:
        RasterMissing: There is none, or one of a VRT's is not there.
        RasterForbidden: A VRT names what lies outside of its folder, or does more than join files.
    """
    if path.is_file():
        return _of_vrt(path)
    folder, pattern = (path, "*") if path.is_dir() else (path.parent, path.name)
    found = sorted(
        each for each in folder.glob(pattern) if each.suffix.lower() in ENDINGS and each.is_file()
    )
    if not found:
        raise RasterMissing(
            f"{path}: no GeoTIFF in it; expected tiles with the ending .tif or .tiff",
            file=path.name,
        )
    return found


def _of_vrt(path: Path) -> list[Path]:
    if path.stat().st_size > _MOST_BYTES:
        raise _forbidden(path, f"has more than {_MOST_BYTES:,} bytes")
    text = path.read_bytes()
    if b"<!" in text.replace(b"<!--", b""):
        raise _forbidden(path, "declares a document type or entities")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise _forbidden(path, f"is no XML ({error})") from error
    found = list(dict.fromkeys(_sources(path, root)))
    if not found:
        raise _forbidden(path, "names no file")
    return found


def _sources(path: Path, root: ET.Element) -> Iterator[Path]:
    """The files of all bands; what is not a plain mosaic is refused."""
    if root.tag != "VRTDataset" or root.get("subClass"):
        raise _forbidden(path, f"is no mosaic ({root.get('subClass') or root.tag})")
    folder = path.parent.resolve()
    for band in root.iter("VRTRasterBand"):
        if band.get("subClass"):
            raise _forbidden(path, f"has a band of the kind {band.get('subClass')}")
        for source in band:
            name = source.find("SourceFilename")
            if source.tag in _SOURCES and name is not None:
                yield _inside(path, folder, name)
            elif source.tag.endswith("Source"):
                raise _forbidden(path, f"has a source of the kind {source.tag}")


def _inside(path: Path, folder: Path, name: ET.Element) -> Path:
    text = (name.text or "").strip()
    # An address or a path of GDAL's own is no file here, and so is refused below.
    file = (folder / text).resolve()
    if not file.is_relative_to(folder) or file == path.resolve():
        raise _forbidden(path, f"names {text!r}, which is not another file in its folder")
    if not file.is_file():
        raise RasterMissing(f"{path.name} names {text!r}, which is not there", file=path.name)
    return file


def _forbidden(path: Path, found: str) -> RasterForbidden:
    return RasterForbidden(
        f"{path.name} {found}; expected a VRT as gdalbuildvrt writes it, of GeoTIFFs in its own "
        "folder or below: name that folder, or a pattern such as 'tiles/*.tif'",
        file=path.name,
    )
