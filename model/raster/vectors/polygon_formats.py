"""Which vector formats polygons are read from, told by a file's first bytes."""

import re
from collections.abc import Callable
from pathlib import Path

from mfnet.model.errors import BadPolygons
from mfnet.model.raster.vectors import geopackage_reader
from mfnet.model.raster.vectors.geojson_reader import GeoJson
from mfnet.model.raster.vectors.geopackage_reader import GeoPackage
from mfnet.model.raster.vectors.ogr_reader import (
    FlatGeobuf,
    Shapefile,
    ZippedShapefiles,
    holds_shapefile,
)
from mfnet.model.raster.vectors.polygon_file import PolygonFile

SUFFIXES = (".gpkg", ".geojson", ".json", ".shp", ".zip", ".fgb")
"""Of the names of such files, as people give them."""
FORMATS = "GeoPackage, GeoJSON, Shapefile (.shp with its parts, or a zip), FlatGeobuf"

_STARTS: tuple[tuple[bytes, Callable[[Path], PolygonFile]], ...] = (
    (geopackage_reader.MAGIC, GeoPackage),
    (b"fgb\x03fgb", FlatGeobuf),
    (b"\x00\x00\x27\x0a", Shapefile),
)
_ZIP = b"PK\x03\x04"
_FEATURES = re.compile(rb"\s*\{.*\"(FeatureCollection|features)\"", re.S)
_START_BYTES = 1 << 16


def is_polygons(path: Path) -> bool:
    """Whether a file begins as one of the formats does, whatever its name."""
    return _reader(path) is not None


def open_polygons(path: Path) -> PolygonFile:
    """Opens a file of polygons, to be closed by the caller.

    Raises:
        BadPolygons: It is of no such format, or its reader refuses it.
    """
    reader = _reader(path)
    if not path.is_file():
        raise BadPolygons(f"{path}: no such file; expected one of {FORMATS}", file=str(path))
    if reader is None:
        raise BadPolygons(
            f"{path.name}: no vector file that is read here; expected {FORMATS}: ogr2ogr OUT.gpkg "
            f"{path.name} makes one of other formats",
            file=path.name,
        )
    return reader(path)


def _reader(path: Path) -> Callable[[Path], PolygonFile] | None:
    try:
        # Opening a named pipe would wait for whoever writes to it.
        if not path.is_file():
            return None
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
    except (OSError, ValueError):
        return None
    if start.startswith(_ZIP):
        return ZippedShapefiles if holds_shapefile(path) else None
    if _FEATURES.match(start.removeprefix(b"\xef\xbb\xbf")):
        return GeoJson
    return next((reader for magic, reader in _STARTS if start.startswith(magic)), None)
