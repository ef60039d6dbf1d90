"""What we accept from strangers: rules on a TIFF's tags, checked before GDAL opens the file.

Each limit is there because a small file can make GDAL do something large: allocate what a few
bytes declare, or follow a name in its metadata to another file, to the network, or to a deletion.
"""

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader

from mfnet.model.errors import RasterForbidden, RasterTooLarge, RasterUnreadable, WrongType
from mfnet.model.raster.files import tags
from mfnet.model.raster.files.tags import Directory, walk
from mfnet.model.raster.georeferencing.crs_text import names_files
from mfnet.model.raster.repair_commands import write_crs


@dataclass(frozen=True)
class Limits:
    """Upper bounds on what a file may declare.

    Attributes:
        side_px: Rows, and columns. Memory grows with the columns.
        pixels: Rows times columns: 16 gigapixels are beyond any orthophoto that we know of.
        bands: Of the file; three of them are used.
        block_bytes: Of one decoded tile or strip; GDAL decodes whole blocks.
        blocks: Tiles or strips; GDAL holds two integers for each.
        expansion: Decoded to stored bytes. Deflate cannot exceed 1032.
        always_bytes: Decoded size up to which the expansion does not matter.
    """

    side_px: int = 1_000_000
    pixels: int = 1 << 34
    bands: int = 64
    block_bytes: int = 64 << 20
    blocks: int = 1 << 22
    expansion: int = 1100
    always_bytes: int = 256 << 20


@dataclass(frozen=True)
class Layout:
    """How a TIFF's main image is stored, as declared by its tags.

    Attributes:
        height: Rows.
        width: Columns.
        bands: Of the file.
        bits: Of a decoded value.
        block_height: Rows of a tile or strip.
        block_width: Columns of a tile or strip.
        declared_bytes: Decoded size.
        stored_bytes: Size of the file; 0 where nobody knows it.
        has_transform: A transform to the ground is among the tags.
    """

    height: int
    width: int
    bands: int
    bits: int
    block_height: int
    block_width: int
    declared_bytes: int
    stored_bytes: int
    has_transform: bool

    @property
    def row_bytes(self) -> int:
        """Of two rows of blocks, decoded: with a cache so large, rows in turn are decoded once."""
        rows = min(self.block_height, self.height) + self.block_height
        return rows * (self.width + self.block_width) * self.bits * self.bands // 8


# As in libtiff's tiff.h. Left out: fax codes (a bilevel image is neither picture nor height), old
# JPEG (6), and everything that GDAL's own builds do not decode.
COMPRESSIONS = {
    1: "none",
    5: "LZW",
    7: "JPEG",
    8: "deflate",
    32773: "packbits",
    32946: "deflate",
    34887: "LERC",
    34925: "LZMA",
    50000: "ZSTD",
    50001: "WebP",
    50002: "JPEG XL",
}
# Domains of GDAL's metadata that nothing follows: how a COG was tiled, and what satellites, cameras
# and other formats say of themselves (gdal_translate takes it along from whatever it converts).
METADATA_DOMAINS = frozenset(
    {"", "IMAGE_STRUCTURE", "COLOR_PROFILE", "TILING_SCHEME", "ENVI", "EXIF", "IMAGERY", "IMD"}
)
_OF_GDAL = frozenset({"DERIVED_SUBDATASETS"})
# Whole documents, of any name but the one that is a data set by itself.
_DOCUMENT_DOMAINS = re.compile(r"(?!xml:VRT$)(xml|json):[\w.-]+", re.I)
_ATTRIBUTE_TABLE = {"GDALRasterAttributeTable", "FieldDefn", "Name", "Type", "Usage", "Row", "F"}
_TABLE_ATTRIBUTES = {"tableType", "index", "Row0Min", "BinSize"}
_PALETTE = 3
_PHOTOMETRIC_REFUSED = {_PALETTE: "a palette", 5: "CMYK", 8: "CIELab", 9: "ICCLab", 10: "ITULab"}
_COMPLEX = (5, 6)

_CUT = "gdal_translate -srcwin 0 0 50000 50000 IN.tif OUT.tif cuts a part out"
_CHOOSE = "gdal_translate -b 1 -b 2 -b 3 IN.tif OUT.tif takes three out"
_TILE = "gdal_translate -co TILED=YES IN.tif OUT.tif writes smaller blocks or fewer"
_PAINT = "convert it to red, green and blue in the program that made it"
_CONVERT = {
    "a palette": "gdal_translate -expand rgb IN.tif OUT.tif converts it",
    "complex numbers": "gdal_translate -ot Float32 IN.tif OUT.tif keeps the real part",
    "bands of different types": "gdal_translate -b 1 IN.tif OUT.tif takes one band out",
}


def screen(path: Path, limits: Limits | None = None, *, palette: bool = False) -> Layout:
    """Refuse a file that GDAL should not be given.

    Args:
        path: The file; at most some megabytes of it are read.
        limits: What a file may declare.
        palette: Its numbers may stand for colours.

    Returns:
        The layout of its main image.

    Raises:
        InputError: As in `mfnet.model.raster.files.tags.walk`; and RasterTooLarge, RasterForbidden,
            RasterUnreadable or WrongType for what the tags declare.
    """
    limits = limits or Limits()
    directories = walk(path)
    # GDAL takes masks and overviews from the other directories, so all are judged.
    layouts = [_layout(directory, path, limits) for directory in directories]
    for directory in directories:
        for metadata in directory.metadata:
            _check_metadata(metadata, path.name)
        for text in directory.geo_texts:
            _check_crs(text, path.name)
    main = layouts[0]
    _check_kind(directories[0], path.name, palette)
    _check_expansion(main, path.name, limits)
    return main


def layout_of(dataset: DatasetReader, domains: Sequence[str], name: str) -> Layout:
    """Judge an open raster over the network, whose tags GDAL has read.

    Args:
        dataset: rasterio's; no pixel of it has been read.
        domains: Of its metadata.
        name: What it is called.

    Raises:
        InputError: RasterTooLarge or RasterForbidden, as from `screen`.
    """
    limits = Limits()
    height, width, bands = dataset.height, dataset.width, dataset.count
    bits = 8 * max(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    block_height, block_width = dataset.block_shapes[0]
    separate = dataset.interleaving is not None and dataset.interleaving.value == "BAND"
    block_bits = block_height * block_width * bits * (1 if separate else bands)
    blocks = math.ceil(height / block_height) * math.ceil(width / block_width)
    _check_sizes(name, limits, (height, width, bands), block_bits // 8, blocks)
    for domain in domains:
        if domain not in _OF_GDAL | METADATA_DOMAINS and not _DOCUMENT_DOMAINS.fullmatch(domain):
            raise _metadata_error(name, f"hold the domain {domain[:40]!r}")
    return Layout(
        height=height,
        width=width,
        bands=bands,
        bits=bits,
        block_height=block_height,
        block_width=block_width,
        declared_bytes=height * width * bands * bits // 8,
        stored_bytes=0,
        has_transform=not dataset.transform.is_identity and dataset.rpcs is None,
    )


def _check_sizes(
    name: str, limits: Limits, shape: tuple[int, int, int], block_bytes: int, blocks: int
) -> None:
    height, width, bands = shape
    _at_most(name, "columns or rows", max(height, width), limits.side_px, _CUT)
    _at_most(name, "pixels", height * width, limits.pixels, _CUT)
    _at_most(name, "bands", bands, limits.bands, _CHOOSE)
    _at_most(name, "bytes a block", block_bytes, limits.block_bytes, _TILE)
    _at_most(name, "blocks", blocks, limits.blocks, _TILE)


def _layout(directory: Directory, path: Path, limits: Limits) -> Layout:
    name = path.name
    height, width, bands, stored_bits = _dimensions(directory, name)
    # GDAL decodes single bits to bytes, and 10 bits to 16.
    bits = max(8, 1 << (stored_bits - 1).bit_length())
    block_height, block_width = _block(directory, height, width, name)
    separate = directory.number(tags.PLANAR, 1) == 2
    block_bits = block_height * block_width * bits * (1 if separate else bands)
    blocks = math.ceil(height / block_height) * math.ceil(width / block_width)
    blocks *= bands if separate else 1
    _check_sizes(name, limits, (height, width, bands), block_bits // 8, blocks)
    _check_compression(directory, name)
    return Layout(
        height=height,
        width=width,
        bands=bands,
        bits=bits,
        block_height=block_height,
        block_width=block_width,
        declared_bytes=height * width * bands * bits // 8,
        stored_bytes=path.stat().st_size,
        has_transform=directory.has_transform,
    )


def _dimensions(directory: Directory, name: str) -> tuple[int, int, int, int]:
    """Rows, columns, bands, stored bits a value."""
    height, width = directory.number(tags.HEIGHT, 0), directory.number(tags.WIDTH, 0)
    bands = directory.number(tags.BANDS, 1)
    bits = max(directory.numbers.get(tags.BITS, (1,)))
    if min(height, width, bands, bits) < 1 or bits > 128:
        raise RasterUnreadable(
            f"{name}: declares {height} × {width} pixels, {bands} bands of {bits} bits; "
            "expected at least one of each, and at most 128 bits: copy it again from its source",
            file=name,
        )
    return height, width, bands, bits


def _check_compression(directory: Directory, name: str) -> None:
    compression = directory.number(tags.COMPRESSION, 1)
    if compression not in COMPRESSIONS:
        raise RasterForbidden(
            f"{name}: compression {compression} is not accepted; expected one of "
            f"{', '.join(sorted(set(COMPRESSIONS.values())))}: gdal_translate -co COMPRESS=DEFLATE "
            "IN.tif OUT.tif writes one",
            file=name,
            compression=compression,
        )


def _block(directory: Directory, height: int, width: int, name: str) -> tuple[int, int]:
    """Rows and columns of a tile or strip."""
    if tags.TILE_WIDTH in directory.numbers or tags.TILE_HEIGHT in directory.numbers:
        block = directory.number(tags.TILE_HEIGHT, 0), directory.number(tags.TILE_WIDTH, 0)
    else:
        block = min(directory.number(tags.ROWS_PER_STRIP, height), height), width
    if min(block) < 1:
        raise RasterUnreadable(
            f"{name}: declares blocks of {block[0]} × {block[1]}; expected at least one pixel: "
            "copy it again from its source",
            file=name,
        )
    return block


def _check_kind(directory: Directory, name: str, palette: bool) -> None:
    photometric = directory.number(tags.PHOTOMETRIC, 1)
    formats = set(directory.numbers.get(tags.SAMPLE_FORMAT, (1,)))
    refused = None if palette and photometric == _PALETTE else _PHOTOMETRIC_REFUSED.get(photometric)
    if formats & set(_COMPLEX):
        refused = "complex numbers"
    elif len(formats) > 1:
        refused = "bands of different types"
    if refused:
        raise WrongType(
            f"{name}: holds {refused}; expected red, green, blue or heights: "
            f"{_CONVERT.get(refused, _PAINT)}",
            file=name,
            found=refused,
        )


def _check_expansion(layout: Layout, name: str, limits: Limits) -> None:
    allowed = max(limits.always_bytes, limits.expansion * layout.stored_bytes)
    if layout.declared_bytes > allowed:
        raise RasterTooLarge(
            f"{name}: {layout.stored_bytes} bytes declare {layout.declared_bytes} bytes of pixels; "
            f"at most {allowed} are believed of a file of this size: gdal_translate -co TILED=YES "
            "IN.tif OUT.tif writes every pixel out",
            file=name,
            declared_bytes=layout.declared_bytes,
            limit_bytes=allowed,
        )


def _check_metadata(raw: bytes, name: str) -> None:
    """Refuse metadata in which GDAL could find a name to follow (domains OVERVIEWS, GEOLOCATION…).

    GDAL's XML parser is more lenient than Python's: it ignores case and takes an element for an
    attribute. So the form is fixed to what GDAL itself writes, and everything else is refused.
    """
    text = raw.split(b"\0", 1)[0].decode("utf-8", "replace").strip()
    if not text:
        return
    try:
        # Without declarations, comments, CDATA and entities both parsers see the same tree.
        if "<!" in text or "<?" in text:
            raise ValueError
        root = ET.fromstring(text)
    except (ValueError, ET.ParseError):
        raise _metadata_error(name, "cannot be parsed") from None
    if root.tag != "GDALMetadata":
        raise _metadata_error(name, f"are a {root.tag[:40]}")
    for item in root:
        plain = item.tag == "Item" and (len(item) == 0 or _is_attribute_table(item))
        if not plain or not set(item.keys()) <= {"name", "domain", "sample", "role"}:
            raise _metadata_error(name, "hold more than plain items")
        domain = item.get("domain", "")
        if domain not in METADATA_DOMAINS and not _DOCUMENT_DOMAINS.fullmatch(domain):
            raise _metadata_error(name, f"hold the domain {domain[:40]!r}")


def _is_attribute_table(item: ET.Element) -> bool:
    """Names of classes, as GDAL writes them from 3.12 on; they name no files."""
    inside = list(item.iter())[1:]
    return (
        item.get("role") == "rat"
        and [child.tag for child in item] == ["GDALRasterAttributeTable"]
        and all(part.tag in _ATTRIBUTE_TABLE for part in inside)
        and all(set(part.keys()) <= _TABLE_ATTRIBUTES for part in inside)
    )


def _check_crs(raw: bytes, name: str) -> None:
    """Refuse a CRS that names grids or files.

    GDAL writes no such CRS into a GeoTIFF, but takes WKT that stands there ("ESRI PE String = …"),
    and PROJ opens what it names while the file is opened.
    """
    if names_files(raw.decode("latin-1")):
        raise RasterForbidden(
            f"{name}: its coordinate reference system names a grid or file; expected one that "
            f"needs none: {write_crs(name)}, for instance, writes another",
            file=name,
        )


def _metadata_error(name: str, found: str) -> RasterForbidden:
    return RasterForbidden(
        f"{name}: its GDAL metadata (tag 42112) {found}; expected plain items of domains that name "
        f"no files ({', '.join(sorted(METADATA_DOMAINS - {''}))}, xml:… or none): leave the others "
        "out with gdal_translate -co COPY_SRC_MDD=NO IN.tif OUT.tif",
        file=name,
    )


def _at_most(name: str, what: str, found: int, limit: int, mend: str) -> None:
    if found > limit:
        raise RasterTooLarge(
            f"{name}: declares {found:,} {what}; at most {limit:,} are accepted: {mend}",
            file=name,
            found=found,
            limit=limit,
        )
