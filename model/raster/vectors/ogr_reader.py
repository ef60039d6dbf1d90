"""Reads the polygons of Shapefiles and FlatGeobuf files, by GDAL as pyogrio brings it.

A file that names grids or files in its CRS is refused before GDAL sees it (see `crs_text`); these
formats can name nothing else outside of themselves.
"""

import math
import struct
import warnings
import zipfile
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import shapely
from rasterio.crs import CRS

from mfnet.model.raster.georeferencing.crs_text import names_files
from mfnet.model.raster.vectors.polygon_file import Layer, PolygonFile
from mfnet.model.raster.vectors.vector_extra import require_vector

_NEEDED = (".shx", ".dbf")
_HEADER_BYTES = 1 << 20
_PARTS = (".shp", *_NEEDED, ".prj", ".cpg")


class OgrFile(PolygonFile):
    """A file whose layers GDAL reads; a format says where it finds them."""

    def __init__(self, path: Path) -> None:
        """Reads what the layers are."""
        super().__init__(path)
        require_vector("pyogrio", f"reading {path.name}")
        with self._border():
            self._places = self._find()
            self.layers = tuple(self._describe(*each) for each in self._places.items())

    @abstractmethod
    def _find(self) -> dict[str, str]:
        """By layer's name, what GDAL opens; checked as far as may be before."""

    def _describe(self, name: str, place: str) -> Layer:
        from pyogrio import read_info  # takes a third of a second, and is a GDAL of its own

        found = read_info(place, force_feature_count=True)
        columns = tuple(map(str, found["fields"]))
        return Layer(name, _crs(found["crs"]), "", columns, int(found["features"]))

    def _rows(
        self, layer: Layer, columns: Sequence[str]
    ) -> tuple[Sequence[Any], list[list[object]]]:
        """See `PolygonFile`."""
        from pyogrio.raw import read

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of rings turned the wrong way
            meta, _, shapes, fields = read(self._places[layer.name], columns=list(columns))
        # GDAL gives them in the order of the file.
        found = dict(zip(map(str, meta["fields"]), fields, strict=True))
        return shapely.from_wkb(shapes), [
            [_plain(value) for value in found[column].tolist()] for column in columns
        ]

    def _require_harmless(self, crs: str) -> None:
        if names_files(crs):
            raise self._bad(
                "its coordinate reference system names grids or files, which are not followed; "
                "expected one without: ogr2ogr -t_srs EPSG:25832 OUT.gpkg IN, say, writes it"
            )


class FlatGeobuf(OgrFile):
    """An open FlatGeobuf file; its polygons come in the order of its index."""

    kind = "a FlatGeobuf file"

    def _find(self) -> dict[str, str]:
        self._require_size(self.path.stat().st_size)
        with self.path.open("rb") as file:
            (length,) = struct.unpack("<8xI", file.read(12))
            self._require_harmless(file.read(min(length, _HEADER_BYTES)).decode("latin-1"))
        return {self.path.stem: str(self.path)}


class Shapefile(OgrFile):
    """An open Shapefile with the files beside it."""

    kind = "a Shapefile"

    def _find(self) -> dict[str, str]:
        stem = self.path.stem
        beside = {
            each.suffix.lower(): each for each in self.path.parent.iterdir() if each.stem == stem
        }
        if missing := [ending for ending in _NEEDED if ending not in beside]:
            raise self._bad(
                f"{' and '.join(stem + each for each in missing)} is not beside it; expected the "
                "whole Shapefile: .shp, .shx, .dbf and .prj in one folder, or in one zip"
            )
        self._require_size(sum(beside[part].stat().st_size for part in _PARTS if part in beside))
        if ".prj" in beside:
            self._require_harmless(beside[".prj"].read_text("latin-1"))
        return {stem: str(self.path)}


class ZippedShapefiles(OgrFile):
    """An open ZIP archive of Shapefiles, a layer each, in whatever folders of it."""

    kind = "a ZIP archive of a Shapefile"

    def _find(self) -> dict[str, str]:
        with zipfile.ZipFile(self.path) as archive:
            parts = [each for each in archive.infolist() if _is_part(each.filename)]
            self._require_size(sum(each.file_size for each in parts))
            for each in parts:
                if each.filename.lower().endswith(".prj"):
                    self._require_harmless(archive.read(each).decode("latin-1"))
        shapes = [each.filename for each in parts if each.filename.lower().endswith(".shp")]
        stems = [Path(name).stem for name in shapes]
        inside = f"/vsizip/{{{self.path.resolve()}}}"
        return {
            stem if stems.count(stem) == 1 else name[:-4]: f"{inside}/{name}"
            for stem, name in zip(stems, shapes, strict=True)
        }


def holds_shapefile(path: Path) -> bool:
    """Whether a ZIP archive has a Shapefile in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    return any(_is_part(name) and name.lower().endswith(".shp") for name in names)


def _is_part(name: str) -> bool:
    # macOS adds a second file, ._NAME, to each
    return Path(name).suffix.lower() in _PARTS and not Path(name).name.startswith("._")


def _crs(text: str | None) -> CRS | None:
    if not text or names_files(text):
        return None
    try:
        return CRS.from_user_input(text)
    except Exception:  # rasterio's own, or a bare CPLE error
        return None


def _plain(value: object) -> object:
    """A whole number that a column keeps as a fraction (the others, or a gap, made it do so)."""
    if isinstance(value, float):
        return None if math.isnan(value) else int(value) if value.is_integer() else value
    return value
