"""Reads the polygons of a stranger's GeoPackage: an SQLite file with WKB behind short headers.

Read with the standard library, not with GDAL: no driver is needed that could follow a name in the
file to somewhere else. SQLite itself is told to trust nothing (https://sqlite.org/security.html):
the file is opened alone, without journals; its schema may call no functions; nothing but reading
of plain tables is allowed, so views and virtual tables, which can make SQLite work without end or
reach beyond the file, are refused.

Source: OGC GeoPackage Encoding Standard 1.3, clauses 1.1.1 and 2.1.3.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import shapely
from rasterio.crs import CRS

from mfnet.model.errors import BadGeoPackage
from mfnet.model.raster.georeferencing.crs_text import names_files
from mfnet.model.raster.vectors.polygon_file import Layer, PolygonFile

MAGIC = b"SQLite format 3\0"
_MAX_CELL_BYTES = 64 << 20
_MODES = slice(18, 20)  # of the file's header: how it is written to, and read
_WRITE_AHEAD = 2
_HEADER_BYTES = 8
_ENVELOPE_BYTES = (0, 32, 48, 48, 64)
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ}
_TABLES = ("gpkg_contents", "gpkg_spatial_ref_sys", "gpkg_geometry_columns")


def is_geopackage(path: Path) -> bool:
    """Whether a file begins as an SQLite file does, whatever its name."""
    try:
        # Opening a named pipe would wait for whoever writes to it.
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False


class GeoPackage(PolygonFile):
    """An open GeoPackage.

    Args:
        path: The file.

    Raises:
        BadGeoPackage: It is none, is too large, or another program has it open for writing.

    Attributes:
        path: As given.
        layers: Its tables of features.
    """

    kind = "a GeoPackage"
    refusal = BadGeoPackage

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._check_file()
        with self._border():
            self._database = _opened(path)
        try:
            with self._border():
                self.layers = self._find_layers()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._database.close()

    def remarks(self) -> list[str]:
        """See `PolygonFile`."""
        with self.path.open("rb") as file:
            modes = file.read(_MODES.stop)[_MODES]
        if _WRITE_AHEAD not in modes:
            return self._told
        return [
            *self._told,
            f"{self.path.name} is as a program leaves it that has it open: what was changed last "
            "may stand in another file, NAME-wal, and not in this one; close it there (in QGIS, "
            "remove its layers) and send it again",
        ]

    def _rows(
        self, layer: Layer, columns: Sequence[str]
    ) -> tuple[Sequence[Any], list[list[object]]]:
        """See `PolygonFile`."""
        wanted = ", ".join(map(_quoted, [layer.geometry, *columns]))
        rows = self._database.execute(
            f"SELECT {wanted} FROM {_quoted(layer.name)} ORDER BY rowid"
        ).fetchall()
        shapes = shapely.from_wkb([None if row[0] is None else _wkb(row[0]) for row in rows])
        return shapes, [[row[place] for row in rows] for place in range(1, 1 + len(columns))]

    def _check_file(self) -> None:
        if not is_geopackage(self.path):
            raise self._bad("it is no SQLite file; expected a GeoPackage")
        self._require_size(self.path.stat().st_size)
        log = self.path.with_name(self.path.name + "-wal")
        if log.is_file() and log.stat().st_size:
            raise self._bad(
                f"another program has it open and keeps changes in {log.name}; expected a file "
                "that is done: close it there (in QGIS, remove its layers), then try again"
            )

    def _find_layers(self) -> tuple[Layer, ...]:
        tables = self._plain_tables()
        missing = [name for name in _TABLES if name not in tables]
        if missing:
            raise self._bad(f"it has no table {missing[0]}; expected a GeoPackage")
        found = self._database.execute(
            "SELECT c.table_name, s.organization, s.organization_coordsys_id, s.definition "
            "FROM gpkg_contents c JOIN gpkg_spatial_ref_sys s USING (srs_id) "
            "WHERE c.data_type = 'features' ORDER BY c.rowid"
        ).fetchall()
        return tuple(self._describe(name, _crs(*place)) for name, *place in found if name in tables)

    def _plain_tables(self) -> set[str]:
        """Names of the tables that are neither views nor virtual."""
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
        rows = self._database.execute(query).fetchall()
        return {name for name, sql in rows if str(sql).upper().startswith("CREATE TABLE")}

    def _describe(self, name: str, crs: CRS | None) -> Layer:
        query = "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?"
        row = self._database.execute(query, (name,)).fetchone()
        geometry = str(row[0]) if row else "geom"
        cursor = self._database.execute(f"SELECT * FROM {_quoted(name)} LIMIT 0")
        columns = tuple(part[0] for part in cursor.description if part[0] != geometry)
        features = sum(1 for _ in self._database.execute(f"SELECT rowid FROM {_quoted(name)}"))
        return Layer(name, crs, geometry, columns, features)


def _opened(path: Path) -> sqlite3.Connection:
    # Immutable: SQLite looks at no journal beside the file, and takes no lock.
    database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_CELL_BYTES)
        for setting in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
            database.execute(f"PRAGMA {setting}")
        database.set_authorizer(_authorize)
    except BaseException:
        database.close()
        raise
    return database


def _authorize(action: int, *_: Any) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _crs(organization: str, code: int, definition: str) -> CRS | None:
    try:
        if str(organization).upper() == "EPSG":
            return CRS.from_epsg(code)
        if str(definition).lower() in ("", "undefined"):  # GDAL would print a line about it
            return None
        if names_files(str(definition)):
            return None
        return CRS.from_wkt(definition)
    except Exception:  # rasterio's own, or a bare CPLE error
        return None


def _quoted(identifier: str) -> str:
    # not in double quotes: SQLite takes an unknown name in those for a text
    return "`" + identifier.replace("`", "``") + "`"


def _wkb(blob: Sequence[int]) -> bytes:
    """The geometry behind the header: "GP", version, flags, CRS, and an envelope of some kind."""
    return bytes(blob[_HEADER_BYTES + _ENVELOPE_BYTES[blob[3] >> 1 & 7] :])
