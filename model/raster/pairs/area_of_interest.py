"""The part of a raster that is wanted: polygons of a layer, as pixels of the orthophoto's grid."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

from mfnet.model.errors import BadZones
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.georeferencing.polygons_in_pixels import polygons_in_pixels
from mfnet.model.raster.products.areas.zone_areas import Zones, read_zones
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.vectors.polygon_file import geometry_border


@dataclass(frozen=True)
class Area:
    """A layer of polygons: which part of a map is wanted.

    Attributes:
        path: GeoPackage, GeoJSON, FlatGeobuf, Shapefile …, in any CRS.
        layer: Where the file has several.
    """

    path: Path
    layer: str | None = None


class AreaOfInterest:
    """Which pixels are wanted: those whose middle lies inside.

    Attributes:
        rows: From the first to the last that may have one.
        columns: Likewise.
        covered_percent: Of the raster, by the polygons.
        remarks: What was mended in the layer.
    """

    def __init__(self, shape: shapely.Geometry, grid: Grid, remarks: list[Remark]) -> None:
        """Of polygons in pixels; see `open`."""
        self._shape, self._width, self._height = shape, grid.width, grid.height
        self.covered_percent = 100 * shape.area / (grid.height * grid.width)
        self.remarks = remarks
        left, top, right, bottom = shape.bounds
        self.rows = range(max(0, int(top)), min(grid.height, int(np.ceil(bottom))))
        self.columns = range(max(0, int(left)), min(grid.width, int(np.ceil(right))))

    @classmethod
    def open(cls, area: Area, grid: Grid) -> "AreaOfInterest":
        """The polygons of a layer, together.

        Args:
            area: The layer.
            grid: The orthophoto's.

        Raises:
            BadPolygons: It cannot be read, holds no polygon, or is one of several.
            BadZones: It names no CRS, or lies beside the raster.
            MissingExtra: As `read_zones`.
        """
        path = area.path
        zones = read_zones(path, area.layer, "aoi-layer")
        with geometry_border(path.name):
            placed = polygons_in_pixels(zones.shapes, zones.crs, grid, path.name)
            shape = shapely.intersection(
                shapely.union_all(placed), shapely.box(0, 0, grid.width, grid.height)
            )
        found = cls(shape, grid, zones.remarks) if shape.area else None
        if found is None or not any(
            found.mask(row, min(1024, found.rows.stop - row)).any()
            for row in range(found.rows.start, found.rows.stop, 1024)
        ):
            raise BadZones(
                f"{path.name} covers no pixel of the orthophoto; expected polygons on it: is their "
                "coordinate reference system right?",
                file=path.name,
            )
        return found

    def require(self, zones: Zones, placed: NDArray[np.object_]) -> None:
        """Refuse zones that all lie outside.

        Args:
            zones: Their layer.
            placed: The same in pixels; None where one has no polygon.

        Raises:
            BadZones: They do.
        """
        with geometry_border(zones.name):
            touched = bool(shapely.intersects(self._shape, placed).any())
        if not touched:
            raise BadZones(
                f"{zones.name}: not one zone lies in the area of interest; expected some of the "
                "same place",
                file=zones.name,
            )

    @property
    def key(self) -> str:
        """The same for the same polygons on the same grid."""
        return hashlib.sha256(shapely.to_wkb(shapely.normalize(self._shape))).hexdigest()[:16]

    def mask(self, row: int, rows: int) -> NDArray[np.bool_]:
        """(rows, W) where full-width rows are wanted; beyond the raster nowhere."""
        found = np.zeros((rows, self._width), bool)
        first, last = max(row, self.rows.start), min(row + rows, self.rows.stop)
        columns = slice(self.columns.start, self.columns.stop)
        if first < last and columns.start < columns.stop:
            shape = (last - first, columns.stop - columns.start)
            there = Affine.translation(columns.start, first)
            inside = rasterize([self._shape], out_shape=shape, transform=there, dtype="uint8")
            found[first - row : last - row, columns] = inside.astype(bool)
        return found
