"""The classes' names inside a GeoTIFF, which GDAL reads from 3.12 on and earlier ones pass over.

GDAL before 3.12 cannot write an attribute table into a TIFF, and rasterio has no call for it. So
the file is made with an item of metadata of the same length in its place.
"""

import mmap
from pathlib import Path

from mfnet.model.classes import ClassScheme
from mfnet.model.raster.products.legend import metadata_item

_KEY = "CLASSES"


def reserve(scheme: ClassScheme) -> dict[str, str]:
    """The tag of the band, when the file is made, that keeps the place."""
    return {_KEY: "_" * (len(metadata_item(scheme)) - len(_item("")))}


def embed(path: Path, scheme: ClassScheme) -> None:
    """Put the attribute table in its place; size and structure of the file stay the same."""
    reserved = _item(reserve(scheme)[_KEY])
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        start = content.find(reserved)
        assert start >= 0, f"{path.name} has no place for the attribute table"
        content[start : start + len(reserved)] = metadata_item(scheme)


def _item(value: str) -> bytes:
    """As GDAL writes a tag of the first band."""
    return f'<Item name="{_KEY}" sample="0">{value}</Item>'.encode()
