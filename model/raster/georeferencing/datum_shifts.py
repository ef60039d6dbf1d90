"""How exactly coordinates can be moved between two coordinate reference systems (CRSs)."""

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.warp import transform

from mfnet.model.proj_data import share_grids
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.georeferencing.vertical_axis import as_pyproj, horizontal
from mfnet.model.raster.remark import Remark

# Of a pixel: less does not show in a map.
_TOLD_PX = 0.5
_SAME_M = 0.05
_AREA_DEGREES = 1e-3


@dataclass(frozen=True)
class Operation:
    """What PROJ does between two CRSs at a place.

    Attributes:
        name: Of its steps between datums.
        accuracy_m: As PROJ's database has it; None where that is not known.
        ballpark: A step takes one datum for another.
        shifts: Points move on the ground, or the ellipsoids differ: not so from ETRS89 to WGS 84,
            which PROJ takes for the same.
        missing: The grid of the most accurate operation, where that cannot be done without it.
        missing_accuracy_m: That operation's.
    """

    name: str
    accuracy_m: float | None
    ballpark: bool
    shifts: bool
    missing: str | None = None
    missing_accuracy_m: float | None = None


def datum_remarks(ortho: Grid, height: Grid, name: str) -> list[Remark]:
    """Remarks on what moving coordinates between two datums costs in accuracy.

    Args:
        ortho: The orthophoto's grid.
        height: The grid of the raster that is brought onto it.
        name: What that raster is called.

    Returns:
        `crs.accuracy`, where heights may lie more than half a pixel off because of what PROJ does
        without a grid, or at best; nothing where both rasters share the datum.
    """
    centre = ortho.to_ground(np.array([[ortho.width / 2], [ortho.height / 2]])).ravel()
    found = operation(horizontal(ortho.crs), horizontal(height.crs), centre)
    if found is None or not _worth_telling(found, _TOLD_PX * (ortho.gsd_m or 0.0)):
        return []
    accuracy = "not known" if found.accuracy_m is None else f"{found.accuracy_m:g} m"
    message = f"{name}: PROJ goes from the orthophoto's datum to its by “{found.name}”" + (
        ", which takes the one for the other and may be hundreds of metres off"
        if found.ballpark
        else f", whose accuracy is {accuracy}: heights may lie that far beside the picture"
    )
    if found.missing is not None:
        message += (
            f"; the grid {found.missing}, for {found.missing_accuracy_m:g} m, is missing here. "
            "Reproject the heights to the orthophoto's CRS where PROJ has the grid: "
            f"projsync --file {found.missing} "
            "fetches it, gdalwarp -t_srs reprojects; or let PROJ_DATA name a folder with the grid "
            "and a copy of rasterio's proj_data"
        )
    return [Remark(code="crs.accuracy", message=message)]


def operation(source: CRS | None, target: CRS | None, at: np.ndarray) -> Operation | None:
    """Find out what PROJ does between two CRSs.

    GDAL, which warps, has a PROJ of its own. pyproj's is asked, and believed where it moves the
    point to where GDAL's does.

    Args:
        source: Of the coordinates.
        target: To which they are moved.
        at: x and y in `source`, (2,).

    Returns:
        None where the two share a datum, and where PROJ cannot say.
    """
    share_grids()
    at_gdal = _moved_by_gdal(source, target, at)
    found = None
    # A CRS by its code is the database's of that PROJ; by its WKT it may be another version's.
    for pair in ((as_pyproj(source), as_pyproj(target)), (_by_code(source), _by_code(target))):
        if at_gdal is None or None in pair:
            continue
        try:
            if _datum(pair[0]) == _datum(pair[1]):
                return None
            found, agreed = _operation(*pair, at, at_gdal)
        except Exception:  # a remark is not worth a failure, whatever a strange CRS does to PROJ
            continue
        if agreed:
            return found
    # What GDAL does instead is not known; what it would need is.
    return None if found is None else replace(found, accuracy_m=None, ballpark=False)


def _operation(
    ours: Any, theirs: Any, at: np.ndarray, at_gdal: np.ndarray
) -> tuple[Operation, bool]:
    """What pyproj's PROJ does, and whether GDAL's does the same."""
    from pyproj import Transformer

    transformer = Transformer.from_crs(ours, theirs, always_xy=True)
    moved = np.array(transformer.transform(*at))
    used = transformer.get_last_used_operation()
    accuracy = used.accuracy if used.accuracy >= 0 else None
    missing = _missing(ours, theirs, at)
    if missing is not None and accuracy is not None and missing[0] >= accuracy:
        missing = None
    stays = _same_ellipsoid(ours, theirs) and _metres_apart(ours, at, theirs, moved) < _SAME_M
    found = Operation(
        name=_name(used),
        accuracy_m=accuracy,
        ballpark="ballpark" in used.description.lower(),
        shifts=not stays,
        missing=None if missing is None else missing[1],
        missing_accuracy_m=None if missing is None else missing[0],
    )
    return found, _metres_apart(theirs, moved, theirs, at_gdal) < _SAME_M


def _moved_by_gdal(source: CRS | None, target: CRS | None, at: np.ndarray) -> np.ndarray | None:
    if source is None or target is None:
        return None
    try:
        return np.array(transform(source, target, [at[0]], [at[1]])[:2]).ravel()
    except Exception:  # a bare CPLE error: no way between the two
        return None


def _by_code(crs: CRS | None) -> Any:
    """The CRS by its authority's code, pyproj's; None without one."""
    import pyproj

    try:
        return None if crs is None else pyproj.CRS.from_authority(*crs.to_authority())
    except Exception:  # no code, or one that pyproj's database does not know
        return None


def _worth_telling(found: Operation, least_m: float) -> bool:
    exact = found.accuracy_m is not None and found.accuracy_m <= least_m
    if exact and not found.ballpark:
        return False
    told = found.ballpark or found.accuracy_m is not None
    return found.missing is not None or (found.shifts and told)


def _missing(ours: Any, theirs: Any, at: np.ndarray) -> tuple[float, str] | None:
    """Accuracy and first missing grid of the best operation at a place that cannot be done."""
    from pyproj import Transformer
    from pyproj.aoi import AreaOfInterest
    from pyproj.transformer import TransformerGroup

    lon, lat = Transformer.from_crs(ours, "EPSG:4326", always_xy=True).transform(*at)
    side = _AREA_DEGREES
    area = AreaOfInterest(lon - side, lat - side, lon + side, lat + side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the best one is missing
        group = TransformerGroup(ours, theirs, always_xy=True, area_of_interest=area)
    found = [
        (each.accuracy, grid.short_name)
        for each in group.unavailable_operations
        for grid in each.grids
        if each.accuracy >= 0 and not grid.available
    ]
    return min(found, default=None)


def _name(used: Any) -> str:
    """The steps between datums: those with an accuracy, and those that guess."""
    steps = [
        step.name
        for step in used.operations or ()
        if step.accuracy >= 0 or "ballpark" in step.name.lower()
    ]
    return " + ".join(steps) or str(used.description)


def _datum(crs: Any) -> Any:
    return crs.geodetic_crs.datum


def _same_ellipsoid(ours: Any, theirs: Any) -> bool:
    one, other = ours.ellipsoid, theirs.ellipsoid
    return math.isclose(one.semi_major_metre, other.semi_major_metre, rel_tol=1e-7) and (
        math.isclose(one.inverse_flattening, other.inverse_flattening, rel_tol=1e-6)
    )


def _metres_apart(ours: Any, at: np.ndarray, theirs: Any, moved: np.ndarray) -> float:
    """Metres between two points, each by the longitude and latitude of its own CRS."""
    lon, lat = _radians(ours, at)
    other_lon, other_lat = _radians(theirs, moved)
    return float(
        math.hypot((lon - other_lon) * math.cos(lat), lat - other_lat)
        * ours.ellipsoid.semi_major_metre
    )


def _radians(crs: Any, point: np.ndarray) -> tuple[float, float]:
    """Longitude from Greenwich and latitude on the CRS's own datum."""
    from pyproj import Transformer

    of_datum = crs.geodetic_crs
    lon, lat = Transformer.from_crs(crs, of_datum, always_xy=True).transform(*point)
    unit = of_datum.axis_info[0].unit_conversion_factor
    meridian = of_datum.prime_meridian
    return lon * unit + meridian.longitude * meridian.unit_conversion_factor, lat * unit
