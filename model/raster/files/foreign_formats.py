"""What a path or a file is that is no GeoTIFF, and the command that makes one of it."""

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mfnet.model.raster.repair_commands import CONVERT

START_BYTES = 1024
"""Bytes of a file's start that `of_content` looks at."""

_TRANSLATE = f"{CONVERT} makes one"
_UNPACK = "unpack it and name the GeoTIFF that was inside"
_RASTERIZE = "grid it first, with PDAL's writers.gdal for instance"
_TIFF_ENDINGS = (".tif", ".tiff", ".gtiff")
_MOST_LISTED = 10_000


@dataclass(frozen=True)
class Kind:
    """Something that is no GeoTIFF.

    Attributes:
        found: What it is, in words.
        mend: What makes a GeoTIFF of it.
    """

    found: str
    mend: str


# By the first bytes. As in the formats' specifications and in libmagic.
_STARTS: tuple[tuple[bytes, Kind], ...] = (
    (b"PK\x03\x04", Kind("a ZIP archive", _UNPACK)),
    (b"\x1f\x8b", Kind("a gzip archive", _UNPACK)),
    (b"BZh", Kind("a bzip2 archive", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", _UNPACK)),
    (b"Rar!", Kind("a RAR archive", _UNPACK)),
    (b"\xfd7zXZ\x00", Kind("an xz archive", _UNPACK)),
    (b"\x00\x00\x00\x0cjP", Kind("a JPEG 2000 picture", _TRANSLATE)),
    (b"\xff\x4f\xff\x51", Kind("a JPEG 2000 picture", _TRANSLATE)),
    (b"EHFA_HEADER_TAG", Kind("an ERDAS IMAGINE raster", _TRANSLATE)),
    (b"msid", Kind("a MrSID picture", _TRANSLATE)),
    (b"\x89PNG", Kind("a PNG picture", f"{_TRANSLATE} if a world file lies beside it")),
    (b"\xff\xd8\xff", Kind("a JPEG picture", f"{_TRANSLATE} if a world file lies beside it")),
    (b"\x89HDF", Kind("an HDF5 or NetCDF file", _TRANSLATE)),
    (b"CDF", Kind("a NetCDF file", _TRANSLATE)),
    (b"GRIB", Kind("a GRIB file", _TRANSLATE)),
    (b"%PDF", Kind("a PDF", _TRANSLATE)),
    (b"LASF", Kind("a point cloud (LAS or LAZ)", _RASTERIZE)),
    (b"SQLite format 3", Kind("an SQLite database (a GeoPackage?)", f"{_TRANSLATE} of a raster")),
    (b"version https://git-lfs", Kind("a pointer of Git LFS", "git lfs pull fetches the file")),
)
_DOWNLOAD = "download it again: what was saved is an answer of the server, not the file"
# By the first characters of a text, without regard to case.
_TEXTS: tuple[tuple[str, Kind], ...] = (
    (r"<vrtdataset", Kind("a VRT, which names other files", _TRANSLATE)),
    (r"<(!doctype html|html|head|body)", Kind("a web page", _DOWNLOAD)),
    (r"<gdal_wm", Kind("the description of a web service", _TRANSLATE)),
    (r"<", Kind("XML", f"{_DOWNLOAD}; of a format that GDAL reads, {_TRANSLATE}")),
    (r"[{\[]", Kind("JSON", _DOWNLOAD)),
    (r"(ncols|nrows)\s", Kind("an ESRI ASCII grid", _TRANSLATE)),
    (r"ply\s", Kind("a point cloud (PLY)", _RASTERIZE)),
    (r"(-?\d[\d.eE+-]*[\s,;]+){2}-?\d", Kind("a list of numbers", f"{_TRANSLATE} of x, y, z")),
)
# By the name, where the content is like any other.
_ENDINGS = {
    **dict.fromkeys((".ecw", ".hgt", ".bil", ".dem", ".dt1", ".dt2", ".nitf", ".ntf"), _TRANSLATE),
    **dict.fromkeys((".img", ".jp2", ".j2k", ".sid", ".vrt", ".asc", ".xyz", ".nc"), _TRANSLATE),
    **dict.fromkeys((".las", ".laz", ".copc", ".e57", ".ply"), _RASTERIZE),
    **dict.fromkeys((".zip", ".gz", ".7z", ".rar", ".tar", ".tgz"), _UNPACK),
    **dict.fromkeys((".tfw", ".tifw", ".wld", ".prj", ".xml"), "name the raster that it describes"),
    **dict.fromkeys(
        (".shp", ".geojson", ".kml", ".dxf"), "gdal_rasterize makes a raster of shapes"
    ),
}
# Path writes https://a/b as https:/a/b. One letter and a colon is a drive.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.S)
_GDAL_NAME = re.compile(r"([A-Za-z][A-Za-z0-9_]+):.*", re.S)


def shown(path: Path) -> str:
    """A path's last part, without what may be a password: an address's user and query, and all
    that follows a name of GDAL's.
    """
    text = str(path)
    if address := _ADDRESS.fullmatch(text):
        _, slash, last = address[2].split("?")[0].rpartition("/")
        return last if slash and last else f"{address[1]}://…"
    if name := _GDAL_NAME.fullmatch(text):
        return f"{name[1]}:…"
    return path.name or text


def of_path(path: Path) -> Kind | None:
    """What a path is that names no file: an address, a name that only GDAL follows, a pattern.

    Nothing is opened, and nothing repeated that can hold a password (see `shown`).
    """
    text = str(path)
    if address := _ADDRESS.fullmatch(text):
        scheme, rest = address.groups()
        if scheme.lower() == "file":
            return Kind("an address of a local file", f"name its path: /{rest}")
        copies = {"s3": "aws s3 cp", "gs": "gcloud storage cp", "az": "azcopy copy"}
        command = copies.get(scheme.lower(), "curl -LO")
        return Kind(
            f"an address ({scheme}://…), and nothing is fetched from the network here",
            f"download it first: {command} {scheme}://…",
        )
    if text.replace("\\", "/").lstrip("/").startswith("vsi"):
        return Kind(
            "a path of GDAL's virtual file systems, which are not followed",
            "gdal_translate /vsi… OUT.tif makes a file of it",
        )
    if name := _GDAL_NAME.fullmatch(text):
        return Kind(
            f"a name of GDAL's ({name[1]}:…), not a file",
            f"gdal_translate {name[1]}:… OUT.tif makes a file of it",
        )
    if any(sign in text for sign in "*?"):
        return Kind("a pattern of names", f"name one file; {_merge(str(path))}")
    return None


def of_folder(path: Path) -> Kind:
    """A folder, and how many GeoTIFFs it holds by their names."""
    try:
        names = [entry.name for entry in islice(path.iterdir(), _MOST_LISTED)]
    except OSError:
        names = []
    tiffs = [name for name in names if name.lower().endswith(_TIFF_ENDINGS)]
    if len(tiffs) < 2:
        only = f"name {path.name or '.'}/{tiffs[0]}" if tiffs else "name a file"
        return Kind(f"a folder with {'one GeoTIFF' if tiffs else 'no GeoTIFF'}", only)
    merge = _merge(f"{path.name or '.'}/*.tif")
    return Kind(f"a folder with {len(tiffs)} GeoTIFFs", f"name one of them, or {merge}")


def of_content(name: str, start: bytes) -> Kind | None:
    """What a file is by its first `START_BYTES`, else by the ending of its name.

    Args:
        name: Of the file.
        start: Its first bytes.
    """
    if not start:
        return Kind("an empty file", "copy it again from its source")
    if not start.strip(b"\0"):
        return Kind("zeros (a download that broke off?)", "copy it again from its source")
    for magic, kind in _STARTS:
        if start.startswith(magic):
            return kind
    text = re.sub(r"^\s*<\?.*?\?>", "", start.decode("utf-8-sig", "replace"), flags=re.S)
    text = re.sub(r"^(\s*<!--.*?-->)+", "", text, flags=re.S).lstrip()
    for pattern, kind in _TEXTS:
        if re.match(pattern, text, re.I):
            return kind
    ending = Path(name).suffix.lower()
    return Kind(f"a file of kind {ending}", _ENDINGS[ending]) if ending in _ENDINGS else None


def _merge(names: str) -> str:
    return f"merge tiles with gdalbuildvrt ALL.vrt {names} and gdal_translate ALL.vrt ALL.tif"
