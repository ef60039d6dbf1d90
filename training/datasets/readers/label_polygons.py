"""Labels as polygons of a vector file, drawn onto a tile's grid window by window."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.windows import Window
from shapely import STRtree

from mfnet.model.classes import NODATA, ClassScheme
from mfnet.model.errors import BadLabels, BadOption
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.georeferencing.polygons_in_pixels import polygons_in_pixels
from mfnet.model.raster.vectors.polygon_formats import open_polygons
from mfnet.training.datasets.readers.label_rasters import Findings

_MOST_DEGREES = 361  # some count eastwards all around


@dataclass(frozen=True)
class Polygons:
    """Classed polygons, in the order of their file: a later one lies above an earlier.

    Attributes:
        path: The file.
        crs: Of the coordinates.
        shapes: (N,) of shapely.
        values: (N,) of the scheme.
        remarks: What a person should know of the file.
    """

    path: Path
    crs: CRS
    shapes: NDArray[np.object_]
    values: NDArray[np.uint8]
    remarks: tuple[str, ...] = ()


def read_polygons(path: Path, layer: str | None, column: str, scheme: ClassScheme) -> Polygons:
    """Reads a layer of a vector file; see `polygon_formats`.

    Args:
        path: The file.
        layer: Name of the layer; may be left out where there is one alone.
        column: Holds each polygon's class: its name, title or value (`ClassScheme.find`).
        scheme: What classes there are.

    Raises:
        BadPolygons: The file is none, or has no such layer or column.
        BadLabels: Unknown classes, or no coordinate reference system, or another than it says.
    """
    with open_polygons(path) as opened:
        chosen = opened.layer(layer)
        shapes, named = opened.read(chosen, column)
        remarks = tuple(opened.remarks())
    if chosen.crs is None:
        raise BadLabels(
            f"{path.name}: the layer {chosen.name!r} has no coordinate reference system that is "
            "known; expected one: ogr2ogr -a_srs EPSG:25832 OUT.gpkg IN.gpkg, say, writes it",
            file=path.name,
        )
    _require_degrees(shapes, chosen.crs, path)
    return Polygons(path, chosen.crs, shapes, _classes(named, path, column, scheme), remarks)


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

    def __post_init__(self) -> None:
        """Brings the polygons onto the grid's pixels, once."""
        given = self.polygons
        shapes = polygons_in_pixels(given.shapes, given.crs, self.grid, given.path.name)
        object.__setattr__(self, "_shapes", shapes)
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

    def expected(self, found: str) -> str:
        """See `Labels`; never needed, as unknown classes are refused when polygons are read."""
        return "a class"

    def touching(self) -> int:
        """How many polygons touch the raster."""
        return len(self._tree.query(shapely.box(0, 0, self.grid.width, self.grid.height)))

    def examine(self, window: Window) -> Findings:
        """See `Labels`; unknown classes were refused when the polygons were read."""
        return Findings(self.read(window))


def _classes(
    named: list[object], path: Path, column: str, scheme: ClassScheme
) -> NDArray[np.uint8]:
    values: dict[object, int] = {}
    unknown: dict[object, BadOption] = {}
    for name in set(named):
        try:
            values[name] = scheme.find(name)
        except BadOption as error:
            unknown[name] = error
    if unknown:
        counts = Counter(name for name in named if name in unknown).most_common(5)
        listed = ", ".join(f"{str(name)!r} ({n} polygons)" for name, n in counts)
        nearest = {str(name): unknown[name].params.get("nearest") for name, _ in counts}
        meant = ", ".join(f"{near!r} for {name!r}" for name, near in nearest.items() if near)
        raise BadLabels(
            f"{path.name}: unknown values {listed} in the column {column!r}; expected one of "
            f"{', '.join(scheme.names)}, their titles or numbers"
            + (f"; the nearest is {meant}" if meant else ""),
            file=path.name,
            unknown={str(name): n for name, n in counts},
            nearest=nearest,
        )
    return np.array([values[name] for name in named], np.uint8)


def _require_degrees(shapes: NDArray[np.object_], crs: CRS, path: Path) -> None:
    """Refuses metres that are said to be degrees: GeoJSON without a CRS means WGS 84."""
    bounds = shapely.total_bounds(shapes)
    if crs.is_geographic and np.abs(bounds).max() > _MOST_DEGREES:
        west, south, east, north = bounds.tolist()
        raise BadLabels(
            f"{path.name}: its polygons lie between {west:.6g}, {south:.6g} and {east:.6g}, "
            f"{north:.6g}, and its coordinate reference system, {crs}, has degrees (GeoJSON that "
            "names none means WGS 84); expected the one of these numbers: ogr2ogr -a_srs "
            "EPSG:25832 OUT.gpkg IN, say, writes it",
            file=path.name,
        )
