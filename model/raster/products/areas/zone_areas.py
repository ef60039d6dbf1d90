"""What a map's classes cover in each polygon of a layer: parcels, blocks, districts.

A pixel on a border counts by the share of it that lies inside, exactly (exactextract: Baston,
"exactextract: A new algorithm for zonal statistics"). Zones keep their own fields, coordinates and
order.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.windows import Window

from mfnet.model.atomic_files import not_writable, replacing
from mfnet.model.classes import NODATA, ClassScheme
from mfnet.model.errors import BadZones
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.georeferencing.polygons_in_pixels import polygons_in_pixels
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.vectors.geopackage_writer import Value, polygon_layer
from mfnet.model.raster.vectors.polygon_file import geometry_border
from mfnet.model.raster.vectors.polygon_formats import open_polygons

LAYER = "zones"


@dataclass(frozen=True)
class Zones:
    """A layer of polygons.

    Attributes:
        name: Of its file.
        shapes: (n,) polygons in the layer's own coordinates, valid; None where a zone has none.
        fields: Its columns by name, in order.
        crs: Of the coordinates.
        remarks: What was mended.
    """

    name: str
    shapes: NDArray[np.object_]
    fields: dict[str, list[Value]]
    crs: CRS
    remarks: list[Remark]


def read_zones(path: Path, layer: str | None = None, option: str = "layer") -> Zones:
    """Reads polygons with their fields; see `polygon_formats`.

    Args:
        path: GeoPackage, GeoJSON, Shapefile or FlatGeobuf.
        layer: Where it has several.
        option: What chooses it, on the command line.

    Raises:
        MissingExtra: Of the last two, where pyogrio is not installed.
        BadPolygons: It cannot be read, has several layers, or no polygons, or too many of them.
        BadZones: It names no CRS.
    """
    with geometry_border(path.name), open_polygons(path) as opened:
        chosen = opened.layer(layer, option)
        shapes, fields = opened.read_whole(chosen)
    if chosen.crs is None:
        raise BadZones(
            f"{path.name} names no coordinate reference system that is known; expected one: "
            f"ogr2ogr -a_srs EPSG:25832 OUT.gpkg {path.name} writes it",
            file=path.name,
        )
    with geometry_border(path.name):
        mended, remarks = _mended(path.name, shapes)
    plain = {name: list(map(_value, values)) for name, values in fields.items()}
    return Zones(path.name, mended, plain, chosen.crs, remarks)


def zones_on(grid: Grid, zones: Zones, name: str) -> NDArray[np.object_]:
    """Zones in pixels of a raster, of which one at least lies on it.

    Args:
        grid: Of the raster.
        zones: From `read_zones`.
        name: Of the raster, for the message.

    Raises:
        BadZones: Not one does.
        DataMismatch: The raster has no coordinate reference system.
    """
    with geometry_border(zones.name):
        shapes = polygons_in_pixels(zones.shapes, zones.crs, grid, zones.name)
    if not any(shape is not None and _around(shape, grid) for shape in shapes):
        raise BadZones(
            f"{zones.name}: not one zone lies on {name}; expected some of the same place: "
            "is its coordinate reference system right?",
            file=zones.name,
        )
    return shapes


def write_zone_areas(
    classes: Path,
    zones: Zones,
    outs: Sequence[Path],
    scheme: ClassScheme,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Value]]:
    """Writes what each class covers in each zone.

    A zone's own fields come first, then `mapped_m2`, what the map knows of it, and for each class
    `NAME_m2` and `NAME_share` of `mapped_m2`. A zone that the map does not touch has 0 and no
    shares.

    Args:
        classes: As `segment` wrote it.
        zones: From `read_zones`.
        outs: Each a GeoPackage with the layer `zones`; or a CSV, by its name, without the polygons.
        scheme: What the map's values mean.
        progress: Called with the zones done and their total.

    Returns:
        The new columns, a dict a zone.

    Raises:
        BadZones: Not one zone lies on the map.
        InputError: The class raster cannot be read.
        OutputNotWritable: The folder is missing, not writable or full.
    """
    rows = []
    with GeoTiff(classes, Role.LABELS) as raster:
        shapes = zones_on(raster.grid, zones, classes.name)
        for shape in shapes:
            rows.append(_measured(shape, raster, scheme))
            progress(len(rows), len(shapes))
    taken = {name.casefold() for name in zones.fields}
    renamed = {name: f"map_{name}" if name in taken else name for name in rows[0]}
    columns = zones.fields | {shown: [row[name] for row in rows] for name, shown in renamed.items()}
    for out in outs:
        if out.suffix.lower() == ".csv":
            _write_csv(out, columns)
        else:
            _write_layer(out, zones, columns)
    return rows


def _mended(name: str, shapes: NDArray[np.object_]) -> tuple[NDArray[np.object_], list[Remark]]:
    """The polygons, valid, and what was done to them."""
    remarks = []
    empty = shapely.is_missing(shapes)
    crossed = ~empty & ~shapely.is_valid(shapes)
    if crossed.any():
        shapes = shapes.copy()  # the caller's stay as they are
        shapes[crossed] = [_polygons_of(each) for each in shapely.make_valid(shapes[crossed])]
        message = f"{name}: {crossed.sum()} zones cross themselves and were mended"
        remarks.append(Remark(code="zones.mended", message=message))
    if empty.any():
        message = f"{name}: {empty.sum()} zones have no area; they stay, without figures"
        remarks.append(Remark(code="zones.empty", message=message))
    return shapes, remarks


def _polygons_of(shape: Any) -> Any:
    """The polygons of a mended shape, which may have lines beside them."""
    parts = [p for p in shapely.get_parts([shape]).tolist() if shapely.get_dimensions(p) == 2]
    return shapely.union_all(parts)


def _value(value: Any) -> Value:
    """Of a field, as SQLite and CSV know it."""
    if value is None or isinstance(value, int | float | str):
        return None if isinstance(value, float) and np.isnan(value) else value
    return str(value)


def _measured(shape: Any, raster: GeoTiff, scheme: ClassScheme) -> dict[str, Value]:
    """The new columns of one zone."""
    sums = np.zeros(NODATA + 1)
    window = None if shape is None else _around(shape, raster.grid)
    if window is not None:
        for values, square_m in _covered(shape, raster, window):
            sums += np.bincount(values, square_m, NODATA + 1)
    mapped = float(sums[: len(scheme)].sum())
    row: dict[str, Value] = {"mapped_m2": mapped if np.isfinite(mapped) else None}
    for name, area in zip(scheme.names, sums.tolist(), strict=False):
        known = np.isfinite(mapped)
        row[f"{name}_m2"] = area if known else None
        row[f"{name}_share"] = area / mapped if known and mapped else None
    return row


def _around(shape: Any, grid: Grid) -> Window | None:
    """The pixels of a raster that a polygon may touch; None if it lies beside."""
    bounds = np.array(shape.bounds)
    if not np.isfinite(bounds).all():
        return None
    left, right = np.clip([np.floor(bounds[0]), np.ceil(bounds[2])], 0, grid.width).astype(int)
    top, bottom = np.clip([np.floor(bounds[1]), np.ceil(bounds[3])], 0, grid.height).astype(int)
    if left >= right or top >= bottom:
        return None
    return Window(int(left), int(top), int(right - left), int(bottom - top))


_STRIP_PIXELS = 1 << 24


def _covered(
    shape: Any, raster: GeoTiff, window: Window
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float64]]]:
    """Values of the pixels that a polygon touches, and square metres of each inside of it."""
    from exactextract import exact_extract
    from exactextract.feature import JSONFeatureSource
    from exactextract.raster import NumPyRasterSource

    areas, width = raster.grid.areas, window.width
    segments = np.searchsorted(areas.edges, window.col_off + np.arange(width), "right") - 1
    # exactextract counts rows upwards.
    upwards = shapely.transform(shape, lambda points: points * (1, -1))
    geometry = json.loads(shapely.to_geojson(upwards))
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(window.row_off, window.row_off + window.height, rows):
        height = min(rows, window.row_off + window.height - top)
        part = Window(window.col_off, top, width, height)
        values, valid = raster.read_stored(part)
        flat = np.where(valid, values[0], np.uint8(NODATA)).ravel()
        numbers = NumPyRasterSource(
            np.arange(height * width, dtype=np.int64).reshape(height, width),
            xmin=part.col_off,
            xmax=part.col_off + width,
            ymin=-(top + height),
            ymax=-top,
        )
        (found,) = exact_extract(numbers, JSONFeatureSource(feature), ["values", "coverage"])
        pixels = np.asarray(found["properties"]["values"], np.int64)
        shares = np.asarray(found["properties"]["coverage"], np.float64)
        by_row = np.stack([areas.at(row) for row in range(top, top + height)])
        square_m = by_row[pixels // width, segments[pixels % width]]
        yield flat[pixels], shares * square_m


def _write_csv(out: Path, columns: dict[str, list[Value]]) -> None:
    try:
        with replacing(out) as part, part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
    except OSError as error:
        raise not_writable(out, error) from error


def _write_layer(out: Path, zones: Zones, columns: dict[str, list[Value]]) -> None:
    own = {name: values for name, values in columns.items() if name.casefold() not in _RESERVED}
    kinds = {name: _kind(values) for name, values in own.items()}
    shapes = [shapely.Polygon() if shape is None else shape for shape in zones.shapes]
    with polygon_layer(out, LAYER, kinds, zones.crs) as add:
        add(shapes, list(own.values()))


_RESERVED = ("fid", "geom")
"""Columns that the written layer has by itself."""


def _kind(values: Sequence[Value]) -> str:
    known = [value for value in values if value is not None]
    if all(isinstance(value, int) for value in known):
        return "INTEGER"
    return "REAL" if all(isinstance(value, int | float) for value in known) else "TEXT"
