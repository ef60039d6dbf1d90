"""Reads the polygons of a stranger's GeoPackage: an SQLite file with WKB behind short headers.

Read with the standard library, not with GDAL: no driver is needed that could follow a name in the
file to somewhere else. SQLite itself is told to trust nothing (https://sqlite.org/security.html):
the file is opened alone, without journals; its schema may call no functions; nothing but reading
of plain tables is allowed, so views and virtual tables, which can make SQLite work without end or
reach beyond the file, are refused.

Source: OGC GeoPackage Encoding Standard 1.3, clauses 1.1.1 and 2.1.3.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import Any, Self

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from mfnet.model.errors import BadGeoPackage
from mfnet.model.raster.georeferencing.crs_text import names_files

MAGIC = b"SQLite format 3\0"
MAX_BYTES = 256 << 20
"""Of a file: its polygons are held in memory. Much more than anybody draws by hand."""

_MAX_CELL_BYTES = 64 << 20
_MODES = slice(18, 20)  # of the file's header: how it is written to, and read
_WRITE_AHEAD = 2
_HEADER_BYTES = 8
_ENVELOPE_BYTES = (0, 32, 48, 48, 64)
_KINDS = {int(shapely.GeometryType.POLYGON), int(shapely.GeometryType.MULTIPOLYGON)}
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


@dataclass(frozen=True)
class Layer:
    """A table of features.

    Attributes:
        name: Of the table.
        crs: Of the coordinates; None where the file names none that is known.
        geometry: The column of the geometries.
        columns: The other columns.
        features: Number of rows.
    """

    name: str
    crs: CRS | None
    geometry: str
    columns: tuple[str, ...]
    features: int


class GeoPackage:
    """An open GeoPackage.

    Args:
        path: The file.

    Raises:
        BadGeoPackage: It is none, is too large, or another program has it open for writing.

    Attributes:
        path: As given.
        layers: Its tables of features.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._check_file()
        with self._border():
            self._database = _opened(path)
        try:
            with self._border():
                self.layers = self._find_layers()
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
        self._database.close()

    def require_layer(self) -> None:
        """Raises `BadGeoPackage` where there is no table of features at all."""
        if not self.layers:
            raise self._bad("it has no layer of features; expected polygons")

    def remarks(self) -> list[str]:
        """What a person should know of the file."""
        with self.path.open("rb") as file:
            modes = file.read(_MODES.stop)[_MODES]
        if _WRITE_AHEAD not in modes:
            return []
        return [
            f"{self.path.name} is as a program leaves it that has it open: what was changed last "
            "may stand in another file, NAME-wal, and not in this one; close it there (in QGIS, "
            "remove its layers) and send it again"
        ]

    def layer(self, name: str | None) -> Layer:
        """The layer of a name, or the only one.

        Raises:
            BadGeoPackage: There is none, or several and no name.
        """
        chosen = [layer for layer in self.layers if name in (None, layer.name)]
        if len(chosen) == 1:
            return chosen[0]
        names = [layer.name for layer in self.layers]
        if not names:
            raise self._bad("it has no layer of features; expected polygons")
        found = f"{len(names)} layers" if name is None else f"no layer {name!r}"
        near = get_close_matches(name or "", names, n=1, cutoff=0.0)[0]
        raise self._bad(
            f"{found}; expected one of {', '.join(names)}: --layer {quote(near)}",
            option="layer",
            nearest=near,
        )

    def read(self, layer: Layer, column: str) -> tuple[NDArray[np.object_], list[object]]:
        """Polygons of a layer in the order of the file, and a column's value for each.

        Raises:
            BadGeoPackage: No such column, a geometry that is damaged or no polygon.
        """
        if column not in layer.columns:
            near = get_close_matches(column, layer.columns, n=1, cutoff=0.0)
            raise self._bad(
                f"the layer {layer.name!r} has no column {column!r}; expected it to hold each "
                f"polygon's class: it has {', '.join(layer.columns) or 'no column'}"
                + (f": --column {quote(near[0])}" if near else ""),
                option="column",
                nearest=next(iter(near), None),
            )
        geometry, table = _quoted(layer.geometry), _quoted(layer.name)
        with self._border():
            rows = self._database.execute(
                f"SELECT {geometry}, {_quoted(column)} FROM {table} "
                f"WHERE {geometry} IS NOT NULL ORDER BY rowid"
            ).fetchall()
            shapes = shapely.from_wkb([_wkb(blob) for blob, _ in rows])
        self._require_polygons(layer, shapes)
        return shapes, [value for _, value in rows]

    def _check_file(self) -> None:
        if not is_geopackage(self.path):
            raise self._bad("it is no SQLite file; expected a GeoPackage")
        size = self.path.stat().st_size
        if size > MAX_BYTES:
            raise self._bad(f"it has {size:,} bytes; expected at most {MAX_BYTES:,}")
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

    def _require_polygons(self, layer: Layer, shapes: NDArray[np.object_]) -> None:
        if not len(shapes):
            raise self._bad(
                f"the layer {layer.name!r} holds no polygon; expected some: was it saved?"
            )
        kinds = set(np.unique(shapely.get_type_id(shapes)).tolist())
        if strange := kinds - _KINDS:
            names = ", ".join(shapely.GeometryType(kind).name.lower() for kind in sorted(strange))
            raise self._bad(f"the layer {layer.name!r} holds {names}; expected polygons alone")

    @contextmanager
    def _border(self) -> Iterator[None]:
        """Whatever is raised while the file is read counts as the file's fault."""
        try:
            yield
        except BadGeoPackage:
            raise
        except MemoryError:
            raise self._bad("reading it takes more memory than this process may take") from None
        except Exception as error:
            raise self._bad(
                f"{' '.join(str(error).split())[:300]}; expected a GeoPackage that is whole: "
                "export it again"
            ) from error

    def _bad(self, found: str, **params: Any) -> BadGeoPackage:
        return BadGeoPackage(f"{self.path.name}: {found}", file=self.path.name, **params)


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
