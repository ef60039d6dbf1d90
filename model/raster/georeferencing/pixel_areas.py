"""Square metres of a raster's pixels: on the ellipsoid wherever the projection distorts areas."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from mfnet.model.raster.georeferencing.vertical_axis import horizontal

DISTORTION = 0.001
"""Up to this share the projection's own areas are kept: they are what GIS programs show."""

_CELL_M = 100.0
"""Side of the cells that are measured: a geodesic polygon of a single pixel would be too small for
the precision of longitudes and latitudes."""
_SPACING_M = 25_000.0
"""Between them: areas then differ from a bilinear surface by 2e-6 at most."""
_MOST_NODES = 257
_METRES_A_DEGREE = 111_320.0
_SLIP_DEGREES = 1e-9
"""By which rounding may carry the edge of a raster that ends at a pole beyond it."""
_SEGMENT_STEP = 1e-5
_MOST_SEGMENTS = 256


@dataclass(frozen=True)
class PixelAreas:
    """Square metres of each pixel of a raster.

    Attributes:
        kind: `geodesic`: on the ellipsoid; `planar`: in the projection's plane, which is as good or
            all that is known of a CRS without an ellipsoid; None where the CRS has no unit, or a
            part of the raster no place on its ellipsoid.
        distortion: Area in the plane by that on the ellipsoid, at the centre; None if unknown.
        edges: Column edges of segments in which a row's pixels count as equally large.
    """

    kind: Literal["geodesic", "planar"] | None
    distortion: float | None
    edges: NDArray[np.int64]
    _pixel: float
    _rows: NDArray[np.float64]
    _columns: NDArray[np.float64]
    _scales: NDArray[np.float64]

    def at(self, row: int) -> NDArray[np.float64]:
        """Square metres (segments,) of a pixel of a row, by segments of columns.

        NaN where nothing is known.
        """
        centres = (self.edges[:-1] + self.edges[1:]) / 2
        return self._pixel * self._scale(row + 0.5, centres)

    def of_pixel(self, row: int, column: int) -> float | None:
        """Square metres of a pixel; None where nothing is known."""
        area = float(self._pixel * self._scale(row + 0.5, column + 0.5))
        return area if math.isfinite(area) else None

    def _scale(self, row: float, columns: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return _bilinear(self._rows, self._columns, self._scales, row, columns)


def pixel_areas(height: int, width: int, transform: Affine, crs: CRS | None) -> PixelAreas:
    """Measures the pixels of a raster.

    Never raises because of a strange CRS: areas are then unknown, or the projection's own.

    Args:
        height: Rows.
        width: Columns.
        transform: From columns and rows to x and y of the CRS; it may be rotated.
        crs: Without one nothing is known.
    """
    rows, columns = np.array([0.0, height]), np.array([0.0, width])
    plane = _metres_per_unit(crs)
    per_unit = plane or _METRES_A_DEGREE
    pixel = float(abs(transform.determinant))
    geodesic = _geodesic(crs)
    planar = math.nan if plane is None else plane * plane  # ** raises where a unit is too long
    scales: NDArray[np.float64] = np.full((2, 2), planar)
    kind: Literal["geodesic", "planar"] | None = None if plane is None else "planar"
    distortion = None
    if geodesic is not None and math.isfinite(pixel):
        rows = _nodes(height, per_unit * math.hypot(transform.b, transform.e))
        columns = _nodes(width, per_unit * math.hypot(transform.a, transform.d))
        found = _measured(geodesic, transform, rows, columns, _CELL_M / per_unit)
        if not np.isfinite(found).all():
            kind, planar = None, math.nan
        elif plane is None:
            kind, scales = "geodesic", found
        else:
            distortion = planar / float(_bilinear(rows, columns, found, height / 2, width / 2))
            if float(np.abs(planar / found - 1).max()) > DISTORTION:
                kind, scales = "geodesic", found
    if kind != "geodesic":
        rows, columns = np.array([0.0, height]), np.array([0.0, width])
        scales = np.full((2, 2), planar)
    edges = _segments(width, scales)
    return PixelAreas(kind, distortion, edges, pixel, rows, columns, scales)


def _bilinear(
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    nodes: NDArray[np.float64],
    row: float,
    at_columns: NDArray[np.float64] | float,
) -> NDArray[np.float64]:
    """Of nodes (rows, columns), at columns of one row."""
    upper = int(np.clip(np.searchsorted(rows, row) - 1, 0, len(rows) - 2))
    share = (row - rows[upper]) / (rows[upper + 1] - rows[upper])
    line = (1 - share) * nodes[upper] + share * nodes[upper + 1]
    return np.asarray(np.interp(at_columns, columns, line))


def _nodes(length: int, pixel_m: float) -> NDArray[np.float64]:
    spacings = length * pixel_m / _SPACING_M
    count = _MOST_NODES if not spacings < _MOST_NODES else max(2, math.ceil(spacings) + 1)
    return np.linspace(0.0, length, count)


def _segments(width: int, scales: NDArray[np.float64]) -> NDArray[np.int64]:
    """So many that the pixels of one differ by a hundred-thousandth at most."""
    with np.errstate(invalid="ignore", divide="ignore"):
        change = np.abs(np.diff(scales, axis=1)).sum(axis=1) / np.abs(scales).min(axis=1)
    most = float(np.nan_to_num(change, posinf=0.0).max())
    count = int(min(max(1, math.ceil(most / _SEGMENT_STEP)), _MOST_SEGMENTS, width))
    return np.unique(np.round(np.linspace(0, width, count + 1)).astype(np.int64))


def _metres_per_unit(crs: CRS | None) -> float | None:
    """Of a projected or local CRS."""
    if crs is None or crs.is_geographic:
        return None
    import pyproj

    try:
        # rasterio knows no unit of a local CRS.
        of_plane = pyproj.CRS.from_wkt(horizontal(crs).to_wkt())  # type: ignore[union-attr]
        factor = float(of_plane.axis_info[0].unit_conversion_factor)
    except Exception:  # CRSError of either library, bare CPLE errors, a CRS without axes
        return None
    return factor if 0 < factor < math.inf else None


@dataclass(frozen=True)
class _Geodesic:
    """How points of a CRS come onto its ellipsoid."""

    geod: Any
    to_degrees: Callable[[NDArray[np.float64], NDArray[np.float64]], Any]


def _geodesic(crs: CRS | None) -> _Geodesic | None:
    """None where the CRS has no ellipsoid; of whatever celestial body."""
    if crs is None:
        return None
    import pyproj

    try:
        of_plane = pyproj.CRS.from_wkt(horizontal(crs).to_wkt())  # type: ignore[union-attr]
        if of_plane.is_bound and of_plane.source_crs is not None:
            of_plane = of_plane.source_crs
        geod, on_ellipsoid = of_plane.get_geod(), of_plane.geodetic_crs
        if geod is None or on_ellipsoid is None:
            return None
        if of_plane.is_geographic:
            factor = math.degrees(of_plane.axis_info[0].unit_conversion_factor)
            return _Geodesic(geod, lambda x, y: (x * factor, y * factor))
        steps = pyproj.Transformer.from_crs(of_plane, on_ellipsoid, always_xy=True)
        factor = math.degrees(on_ellipsoid.axis_info[0].unit_conversion_factor)

        def to_degrees(x: NDArray[np.float64], y: NDArray[np.float64]) -> Any:
            lon, lat = steps.transform(x, y)
            return lon * factor, lat * factor

        return _Geodesic(geod, to_degrees)
    except Exception:  # CRSError of either library, bare CPLE errors, a CRS without axes
        return None


def _measured(
    geodesic: _Geodesic,
    transform: Affine,
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    side: float,
) -> NDArray[np.float64]:
    """Square metres on the ellipsoid a square unit of the CRS, around nodes (rows, columns)."""
    grid_columns, grid_rows = np.meshgrid(columns, rows)
    x = transform.a * grid_columns + transform.b * grid_rows + transform.c
    y = transform.d * grid_columns + transform.e * grid_rows + transform.f
    around = np.array([[-1, 1, 1, -1], [-1, -1, 1, 1]]) * side / 2
    corners_x, corners_y = x[..., None] + around[0], y[..., None] + around[1]
    with np.errstate(all="ignore"):
        lon, lat = geodesic.to_degrees(corners_x.ravel(), corners_y.ravel())
    lon, lat = np.reshape(lon, corners_x.shape), np.reshape(lat, corners_x.shape)
    usable = np.isfinite(lon).all(-1) & np.isfinite(lat).all(-1)
    across = usable & (np.abs(lat) > 90).any(-1)
    usable &= ~across
    areas = np.full(x.shape, np.nan)
    for node in zip(*np.nonzero(usable), strict=True):
        areas[node] = abs(geodesic.geod.polygon_area_perimeter(lon[node], lat[node])[0])
    areas[areas == 0] = np.nan
    # A raster of degrees may end at a pole, where its pixels shrink to nothing.
    with np.errstate(invalid="ignore"):
        areas[across & (np.abs(lat.mean(-1)) <= 90 + _SLIP_DEGREES)] = 0.0
    with np.errstate(all="ignore"):  # a side in units that no ground has
        return areas / np.float64(side) ** 2
