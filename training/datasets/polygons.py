"""Labels as polygons of a GeoPackage, drawn onto a tile's grid window by window.

A GeoPackage is an SQLite file whose geometries are WKB behind a short header; so it is read with
the standard library and shapely.

Source: OGC GeoPackage Encoding Standard 1.3, clauses 1.1.1 and 2.1.3.
"""

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.warp import transform
from rasterio.windows import Window
from shapely import STRtree

from model.classes import NODATA, ClassScheme
from model.errors import BadLabels, DataMismatch
from model.raster.grid import Grid
from training.datasets.labels import Findings

_HEADER_BYTES = 8
_ENVELOPE_BYTES = (0, 32, 48, 48, 64)


@dataclass(frozen=True)
class Polygons:
    """Classed polygons, in the order of their file: a later one lies above an earlier.

    Attributes:
        path: The file.
        crs: Of the coordinates.
        shapes: (N,) of shapely.
        values: (N,) of the scheme.
    """

    path: Path
    crs: CRS
    shapes: NDArray[np.object_]
    values: NDArray[np.uint8]


def read_polygons(path: Path, layer: str | None, column: str, scheme: ClassScheme) -> Polygons:
    """Reads a layer of a GeoPackage.

    Args:
        path: The file.
        layer: Name of the layer; may be left out where there is one alone.
        column: Holds each polygon's class: its name, or its value in the scheme.
        scheme: What classes there are.

    Raises:
        BadLabels: The file is no GeoPackage, has no such layer or column, or unknown classes.
    """
    try:
        # mode=ro: SQLite makes a missing file where it may write.
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as database:
            name, crs = _layer(database, path, layer)
            geometry = _geometry_column(database, name)
            rows = database.execute(
                f"SELECT {_quoted(geometry)}, {_quoted(column)} FROM {_quoted(name)} "
                f"WHERE {_quoted(geometry)} IS NOT NULL ORDER BY rowid"
            ).fetchall()
    except sqlite3.Error as error:
        raise BadLabels(
            f"{path.name}: {error}; expected a GeoPackage whose layer has the column {column!r}",
            file=path.name,
        ) from error
    shapes = shapely.from_wkb([_wkb(blob) for blob, _ in rows])
    return Polygons(path, crs, shapes, _classes([c for _, c in rows], path, column, scheme))


@dataclass(frozen=True)
class PolygonLabels:
    """Polygons as the truth of a tile.

    Args:
        polygons: In any CRS.
        grid: The tile's.
        background: Value where no polygon lies.
    """

    polygons: Polygons
    grid: Grid
    background: int = NODATA
    _shapes: NDArray[np.object_] = field(init=False, repr=False)
    _tree: STRtree = field(init=False, repr=False)

    doubt = ""

    def __post_init__(self) -> None:
        """Brings the polygons onto the grid's pixels, once."""
        object.__setattr__(self, "_shapes", _in_pixels(self.polygons, self.grid))
        object.__setattr__(self, "_tree", STRtree(self._shapes))

    @property
    def path(self) -> Path:
        """See `Labels`."""
        return self.polygons.path

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Labels`; a pixel belongs to the polygon that its centre lies in."""
        left, top = window.col_off, window.row_off
        around = shapely.box(left, top, left + window.width, top + window.height)
        found = np.sort(self._tree.query(around))
        if not found.size:
            return np.full((window.height, window.width), self.background, np.uint8)
        drawn: NDArray[np.uint8] = rasterize(
            [(self._shapes[index], int(self.polygons.values[index])) for index in found],
            out_shape=(window.height, window.width),
            transform=Affine.translation(left, top),
            fill=self.background,
            dtype="uint8",
        )
        return drawn

    def examine(self, window: Window) -> Findings:
        """See `Labels`; unknown classes were refused when the polygons were read."""
        return Findings(self.read(window))


def _layer(database: sqlite3.Connection, path: Path, layer: str | None) -> tuple[str, CRS]:
    found = database.execute(
        "SELECT c.table_name, s.organization, s.organization_coordsys_id, s.definition "
        "FROM gpkg_contents c JOIN gpkg_spatial_ref_sys s USING (srs_id) "
        "WHERE c.data_type = 'features'"
    ).fetchall()
    chosen = [row for row in found if layer in (None, row[0])]
    if len(chosen) != 1:
        names = ", ".join(row[0] for row in found) or "none"
        raise BadLabels(
            f"{path.name}: {len(chosen)} layers {'' if layer is None else repr(layer)}; expected "
            f"one: set labels.layer to one of {names}",
            file=path.name,
        )
    name, organization, code, definition = chosen[0]
    return name, CRS.from_epsg(code) if organization.upper() == "EPSG" else CRS.from_wkt(definition)


def _geometry_column(database: sqlite3.Connection, layer: str) -> str:
    query = "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?"
    row = database.execute(query, (layer,)).fetchone()
    return str(row[0]) if row else "geom"


def _quoted(identifier: str) -> str:
    # not in double quotes: SQLite takes an unknown name in those for a text
    return "`" + identifier.replace("`", "``") + "`"


def _wkb(blob: bytes) -> bytes:
    """The geometry behind the header: "GP", version, flags, CRS, and an envelope of some kind."""
    return blob[_HEADER_BYTES + _ENVELOPE_BYTES[blob[3] >> 1 & 7] :]


def _classes(
    named: list[object], path: Path, column: str, scheme: ClassScheme
) -> NDArray[np.uint8]:
    by_name: dict[object, int] = {name: value for value, name in enumerate(scheme.names)}
    by_name |= {value: value for value in range(len(scheme))}
    unknown = Counter(str(name) for name in named if name not in by_name)
    if unknown:
        listed = ", ".join(f"{name!r} ({n} polygons)" for name, n in unknown.most_common(5))
        raise BadLabels(
            f"{path.name}: unknown values {listed} in the column {column!r}; expected one of "
            f"{', '.join(scheme.names)}, or their numbers",
            file=path.name,
        )
    return np.array([by_name[name] for name in named], np.uint8)


def _in_pixels(polygons: Polygons, grid: Grid) -> NDArray[np.object_]:
    def onto(points: NDArray[np.float64]) -> NDArray[np.float64]:
        ground = points.T
        if grid.crs is not None and grid.crs != polygons.crs:
            ground = np.array(transform(polygons.crs, grid.crs, ground[0], ground[1]))
        return grid.to_pixels(ground).T

    if grid.crs is None:
        raise DataMismatch(
            f"{polygons.path.name} has polygons in {polygons.crs}, and the orthophoto has no "
            "coordinate reference system; expected one: gdal_edit.py -a_srs writes it",
            file=polygons.path.name,
        )
    moved: NDArray[np.object_] = shapely.transform(shapely.force_2d(polygons.shapes), onto)
    return moved
