"""What a user says of a map, on the map's grid: a corrected class raster, or polygons."""

from collections import Counter
from pathlib import Path
from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.transform import array_bounds
from rasterio.windows import Window

from mfnet.model.classes import NODATA, ClassScheme
from mfnet.model.errors import CrsMissing, EmptyCorrection, NoOverlap, OtherGrid, WrongClasses
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.pairs.alignment.align import Placement, place
from mfnet.training.datasets.readers.label_encoding import Numbers
from mfnet.training.datasets.readers.label_polygons import PolygonLabels, read_polygons
from mfnet.training.datasets.readers.label_rasters import examine
from mfnet.training.datasets.readers.stored_labels import Stored

_NAMED = 5


class Corrected(Protocol):
    """What a user says, read window by window."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """(h, w) values of the scheme, 255 where nothing is said."""

    def finish(self) -> list[str]:
        """Refuses what was odd in all that was read, or tells it."""

    def close(self) -> None:
        """Closes the file."""


class CorrectedRaster:
    """The whole map, corrected.

    Args:
        path: A GeoTIFF of class numbers.
        grid: The map's; the file must lie on it exactly.
        scheme: The map's.

    Raises:
        OtherGrid: It lies elsewhere; the message says how far off.
        InputError: What `GeoTiff` refuses.
    """

    def __init__(self, path: Path, grid: Grid, scheme: ClassScheme) -> None:
        self._source = GeoTiff(path, Role.LABELS)
        self._scheme = scheme
        self._encoding = Numbers.of(scheme)
        self._unknown, self._odd = Counter[str](), Counter[str]()
        try:
            require_same_grid(self._source.grid, grid, path.name)
        except BaseException:
            self.close()
            raise

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Corrected`."""
        values, shown = self._source.read_stored(window)
        stored = Stored(values, shown, self._source.nodata)
        found = examine(stored, self._encoding, self._scheme)
        self._unknown += found.unknown
        self._odd += found.odd
        return found.truth

    def finish(self) -> list[str]:
        """Raises `WrongClasses`, naming the values that no class has; tells of nodata."""
        name = self._source.path.name
        if not self._unknown:
            told = [f"{name}: {count:,} pixels {what}" for what, count in self._odd.items()]
            return [*(remark.message for remark in self._source.remarks), *told]
        most = self._unknown.most_common(_NAMED)
        listed = ", ".join(f"{value} ({count:,} pixels)" for value, count in most)
        more = f" and {len(self._unknown) - _NAMED} more" if len(self._unknown) > _NAMED else ""
        known = self._encoding.known(self._scheme)
        raise WrongClasses(
            f"{name}: unknown values {listed}{more}; expected {known}, or {NODATA} for what is not "
            "to be learned",
            file=name,
            unknown=dict(most),
        )

    def close(self) -> None:
        """See `Corrected`."""
        self._source.close()


class CorrectedPolygons:
    """Places of the map that were drawn anew.

    Args:
        path: A vector file (see `polygon_formats`), in any CRS.
        grid: The map's.
        scheme: The map's.
        column: Holds each polygon's class.
        layer: Of the polygons; the only one if not given.

    Raises:
        EmptyCorrection: Not one polygon lies on the map.
        InputError: What `read_polygons` and `PolygonLabels` refuse.

    Attributes:
        count: Number of polygons.
        outside: How many of them do not touch the map.
    """

    def __init__(
        self, path: Path, grid: Grid, scheme: ClassScheme, column: str, layer: str | None
    ) -> None:
        polygons = read_polygons(path, layer, column, scheme)
        self._remarks = polygons.remarks
        self._labels = PolygonLabels(polygons, grid)
        self.count = len(polygons.shapes)
        self.outside = self.count - self._labels.touching()
        if self.outside == self.count:
            left, bottom, right, top = shapely.total_bounds(polygons.shapes).tolist()
            raise EmptyCorrection(
                f"{path.name}: not one of its {self.count} polygons lies on the map; they lie "
                f"between {left:.6g}, {bottom:.6g} and {right:.6g}, {top:.6g} of {polygons.crs}: "
                "was the layer exported in the CRS that it says?",
                file=path.name,
                polygons=self.count,
            )

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Corrected`; a pixel belongs to the last polygon that its centre lies in."""
        return self._labels.read(window)

    def finish(self) -> list[str]:
        """Tells of polygons that lie elsewhere, and of a file that may not be whole."""
        if not self.outside:
            return [*self._remarks]
        told = f"{self.outside} of {self.count} polygons lie beside the map and are left out"
        return [told, *self._remarks]

    def close(self) -> None:
        """See `Corrected`; the polygons are in memory."""


def require_same_grid(found: Grid, expected: Grid, name: str) -> None:
    """Refuses a corrected raster whose pixels are not the map's, saying how they differ.

    Raises:
        OtherGrid: Another CRS, size, place or pixel size.
    """
    size = f"{expected.height} × {expected.width}"
    try:
        placement = place(expected, found)
    except (CrsMissing, NoOverlap) as error:
        words = error.message.replace("orthophoto", "map").replace("height raster", "correction")
        raise OtherGrid(f"{name}: {words}", file=name, **error.params) from error
    if placement.same_grid:
        return
    differing = _differences(found, expected, placement)
    raise OtherGrid(
        f"{name}: {'; '.join(differing)}; expected the map's own grid, {size} pixels: export it "
        f"with the map's extent and resolution and without resampling{_warping(expected)}",
        file=name,
        differing=differing,
    )


def _warping(grid: Grid) -> str:
    """The command that brings a raster onto a grid, where it is plain."""
    west, south, east, north = array_bounds(grid.height, grid.width, grid.transform)
    if not grid.transform.is_rectilinear or grid.transform.a < 0 or grid.transform.e > 0:
        return ""
    crs = "" if grid.crs is None or not grid.crs.to_epsg() else f"-t_srs EPSG:{grid.crs.to_epsg()} "
    extent = " ".join(f"{edge:.12g}" for edge in (west, south, east, north))
    return f", or gdalwarp {crs}-te {extent} -ts {grid.width} {grid.height} -r near IN OUT"


def _differences(found: Grid, expected: Grid, placement: Placement) -> list[str]:
    if not placement.same_crs:
        return [f"it lies in {found.crs}, the map in {expected.crs}"]
    told = []
    if (found.height, found.width) != (expected.height, expected.width):
        told.append(f"it has {found.height} × {found.width} pixels")
    # points at infinity cannot occur: the two share a CRS
    corner = found.to_ground(np.zeros((2, 1)))
    column, row = expected.to_pixels(corner)[:, 0].tolist()
    if max(abs(column), abs(row)) > 0.001:
        metres = (
            "" if expected.gsd_m is None else (f" ({np.hypot(column, row) * expected.gsd_m:.3g} m)")
        )
        told.append(
            f"its upper left corner lies {column:+.3f} columns and {row:+.3f} rows off{metres}"
        )
    if abs(placement.pixels_per_pixel - 1) > 1e-6:
        told.append(f"its pixels are {1 / placement.pixels_per_pixel:.4g} times as large")
    return told or ["its pixels are turned or sheared against the map's"]
