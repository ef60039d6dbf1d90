"""Writes polygons into a GeoPackage: one layer, whole or not there, nothing beside it.

With the standard library, as `geopackage.py` reads: GDAL as rasterio brings it writes no vectors.

Source: OGC GeoPackage Encoding Standard 1.3, clause 1.1.1 and table definitions of annex C.
"""

import sqlite3
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from mfnet.model.atomic_files import not_writable, replacing
from mfnet.model.errors import OutputNotWritable

_APPLICATION_ID = 0x47504B47  # "GPKG"
_VERSION = 10300
_OWN_CRS = 100_000  # of a CRS that has no code
_CARTESIAN = -1  # undefined
# The same map makes the same bytes, so no time of day stands in them.
_CHANGED = "1970-01-01T00:00:00.000Z"

_TABLES = """
CREATE TABLE gpkg_spatial_ref_sys (
  srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (
  table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
  description TEXT DEFAULT '',
  last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (
  table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL,
  srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
  CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
  CONSTRAINT uk_gc_table_name UNIQUE (table_name),
  CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
"""
_KNOWN_CRS = (
    ("Undefined cartesian SRS", -1, "NONE", -1, "undefined"),
    ("Undefined geographic SRS", 0, "NONE", 0, "undefined"),
)


_ENVELOPE = [0, 2, 1, 3]

Value = int | float | str | None


class LargePolygon(Protocol):
    """A polygon that is somewhere else."""

    @property
    def size_bytes(self) -> int:
        """Of its well-known binary (WKB), little-endian."""
        ...

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Least x and y, most x and y."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """The WKB, piece after piece."""
        ...


def write_polygons(
    path: Path,
    layer: str,
    shapes: Sequence[shapely.Polygon],
    columns: Mapping[str, Sequence[int | float | None]],
    crs: CRS | None,
) -> None:
    """Writes a GeoPackage of a few polygons.

    Args:
        path: Replaced if it exists.
        layer: The layer's name, an identifier.
        shapes: Polygons, at least one.
        columns: A number for each polygon, by column, an identifier.
        crs: Of the coordinates; None for nowhere on the ground.

    Raises:
        OutputNotWritable: The folder is missing, not writable or full.
    """
    kinds = {name: _kind(values) for name, values in columns.items()}
    with polygon_layer(path, layer, kinds, crs) as add:
        add(shapes, list(columns.values()))


@contextmanager
def polygon_layer(
    path: Path, layer: str, kinds: Mapping[str, str], crs: CRS | None
) -> Iterator["Add"]:
    """Writes a GeoPackage of any number of polygons, which are not kept in memory.

    Args:
        path: Replaced if it exists, when all is written.
        layer: The layer's name, an identifier.
        kinds: SQLite's type of each column: INTEGER, REAL or TEXT.
        crs: Of the coordinates; None for nowhere on the ground.

    Yields:
        What adds polygons, with the values of each column.

    Raises:
        OutputNotWritable: The folder is missing, not writable or full.
    """
    try:
        with replacing(path) as part:
            part.unlink(missing_ok=True)
            with closing(sqlite3.connect(part)) as database:
                database.execute("PRAGMA journal_mode = OFF")  # a file that fails is thrown away
                add = Add(database, layer, kinds, _declare(database, layer, kinds, crs))
                yield add
                add.finish()
                database.commit()
    except (OSError, sqlite3.Error) as error:
        raise not_writable(path, error) from error


class Add:
    """Adds polygons to a layer."""

    def __init__(
        self, database: sqlite3.Connection, layer: str, kinds: Mapping[str, str], srs: int
    ) -> None:
        """To a layer that is declared."""
        self._database, self._layer, self._srs = database, layer, srs
        names = ", ".join([*map(_quoted, kinds), "geom"])
        marks = ", ".join("?" * (len(kinds) + 1))
        self._insert = f"INSERT INTO {_quoted(layer)} ({names}) VALUES ({marks})"
        self._bounds = np.array([np.inf, np.inf, -np.inf, -np.inf])

    def __call__(
        self,
        shapes: Sequence[shapely.Polygon | shapely.MultiPolygon],
        columns: Sequence[Sequence[Value]],
    ) -> None:
        """Adds some.

        Args:
            shapes: At least one.
            columns: Of each column the values, one for each of them.
        """
        added = np.array(shapes, object)
        self._reach(shapely.total_bounds(added))
        rows = zip(*columns, _blobs(added, self._srs), strict=True)
        self._database.executemany(self._insert, rows)

    def large(self, polygon: LargePolygon, values: Sequence[Value]) -> None:
        """Adds one that is not brought into memory.

        Args:
            polygon: As above.
            values: Its value of each column.

        Raises:
            OutputNotWritable: A GeoPackage cannot hold it.
        """
        self._reach(np.array(polygon.bounds))
        header = _header(self._srs) + np.array(polygon.bounds)[_ENVELOPE].astype("<f8").tobytes()
        size = len(header) + polygon.size_bytes
        most = self._database.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
        if size > most:
            raise OutputNotWritable(
                f"{self._layer}: a polygon of {size:,} bytes; a GeoPackage holds polygons of "
                f"{most:,} at most: straighten borders (--simplify), or map a part (--aoi)"
            )
        # Of a row's last column SQLite makes the room without holding it.
        row = self._database.execute(_with_room(self._insert), (*values, size)).lastrowid
        assert row is not None
        with self._database.blobopen(self._layer, "geom", row) as blob:
            blob.write(header)
            for chunk in polygon.chunks():
                blob.write(chunk)

    def _reach(self, bounds: NDArray[np.float64]) -> None:
        low, high = self._bounds[:2], self._bounds[2:]
        self._bounds = np.concatenate([np.minimum(low, bounds[:2]), np.maximum(high, bounds[2:])])

    def finish(self) -> None:
        """Says how far the layer reaches."""
        bounds = self._bounds.tolist() if np.isfinite(self._bounds).all() else [None] * 4
        self._database.execute(
            "UPDATE gpkg_contents SET min_x = ?, min_y = ?, max_x = ?, max_y = ? "
            "WHERE table_name = ?",
            (*bounds, self._layer),
        )


def _declare(
    database: sqlite3.Connection, layer: str, kinds: Mapping[str, str], crs: CRS | None
) -> int:
    """Makes the tables; returns the number that stands for the CRS."""
    database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {_VERSION}")
    database.executescript(_TABLES)
    srs = _enter_crs(database, crs)
    contents = (layer, "features", layer, "", _CHANGED, None, None, None, None, srs)
    database.execute(f"INSERT INTO gpkg_contents VALUES ({_marks(contents)})", contents)
    geometry = (layer, "geom", "GEOMETRY", srs, 0, 0)
    database.execute(f"INSERT INTO gpkg_geometry_columns VALUES ({_marks(geometry)})", geometry)
    declared = ", ".join(f"{_quoted(name)} {kind}" for name, kind in kinds.items())
    database.execute(
        f"CREATE TABLE {_quoted(layer)} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "
        f"{declared}, geom GEOMETRY)"
    )
    return srs


def _quoted(name: str) -> str:
    """A name in SQL, whatever a stranger has called his column."""
    return '"' + name.replace('"', '""') + '"'


def _enter_crs(database: sqlite3.Connection, crs: CRS | None) -> int:
    """Writes down what coordinates mean; returns the number that stands for it."""
    wgs84 = CRS.from_epsg(4326)
    known = [*_KNOWN_CRS, ("WGS 84", 4326, "EPSG", 4326, wgs84.to_wkt())]
    srs = _CARTESIAN
    if crs is not None:
        code = crs.to_epsg()
        srs = _OWN_CRS if code is None else code
        organization = "NONE" if code is None else "EPSG"
        if code != 4326:
            known.append((crs.to_string()[:100], srs, organization, srs, crs.to_wkt()))
    database.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, NULL)", known)
    return srs


def _blobs(shapes: NDArray[np.object_], srs: int) -> Iterator[bytes]:
    """Of each the header with an envelope of x and y, little-endian, then WKB."""
    header = _header(srs)
    envelopes = shapely.bounds(shapes)[:, _ENVELOPE].astype("<f8")
    for envelope, wkb in zip(envelopes, shapely.to_wkb(shapes, byte_order=1), strict=True):
        yield header + envelope.tobytes() + wkb


def _header(srs: int) -> bytes:
    return b"GP" + struct.pack("<BBi", 0, 0b11, srs)


def _with_room(insert: str) -> str:
    """A statement whose last value is a number of bytes to be filled."""
    return f"{insert.removesuffix('?)')}zeroblob(?))"


def _kind(values: Sequence[int | float | None]) -> str:
    return "INTEGER" if all(isinstance(value, int) for value in values) else "REAL"


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
