"""What a coordinate reference system (CRS) says of heights: their unit and what they count from."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from rasterio.crs import CRS

from mfnet.model.raster.remark import Remark

_UPRIGHT = ("up", "down")
_DEPTH = "depth below "


def vertical_unit(crs: CRS | None) -> float | None:
    """Metres per unit of a CRS's vertical axis.

    The axis is that of a vertical CRS, by itself or as part of a compound one, or the third axis of
    a geographic or projected CRS. The unit of the horizontal axes says nothing of heights.

    Returns:
        For instance 1 for metres, 0.3048006096 for US survey feet; None where there is no
        vertical axis, or none with a unit of length.
    """
    axis = _vertical_axis(crs)
    factor = math.nan if axis is None else float(axis.unit_conversion_factor)
    return factor if 0 < factor < math.inf else None


def vertical_datum(crs: CRS | None) -> str | None:
    """What a CRS's heights count from, by name; None where it has no vertical axis.

    Returns:
        "North American Vertical Datum 1988" for instance. Heights above an ellipsoid, of a CRS with
        three axes, are "ellipsoid of " and the name of its datum. Heights that count downwards are
        "depth below " what they count from.
    """
    for part in _parts(crs):
        axis = _upright(part)
        if axis is not None:
            name = part.name if part.datum is None else part.datum.name
            name = str(name) if part.is_vertical else f"ellipsoid of {name}"
            return f"{_DEPTH}{name}" if axis.direction == "down" else name
    return None


def vertical_remarks(rasters: Sequence[tuple[str, CRS | None]]) -> list[Remark]:
    """Remarks on rasters that declare different vertical datums or units.

    A raster that declares none is not compared: most height rasters say nothing of their heights.

    Args:
        rasters: What each is called in the message, and its CRS; DSM and DTM, or colour and
            heights.
    """
    datums = [(name, datum) for name, crs in rasters if (datum := vertical_datum(crs))]
    units = [(name, unit) for name, crs in rasters if (unit := vertical_unit(crs))]
    remarks = []
    if len({_plain(datum) for _, datum in datums}) > 1:
        told = ", ".join(f"{name} from {datum}" for name, datum in datums)
        remarks.append(
            f"heights count from different levels: {told}; expected one: what lies between them "
            "is not taken off. gdalwarp with -s_srs and -t_srs, each with its vertical part "
            "(EPSG:25832+7837), moves heights from one to the other; --height-offset adds metres"
        )
    # Feet and US survey feet are 0.6 mm apart in 300 m: nothing to tell.
    factors = [unit for _, unit in units]
    if factors and max(factors) > 1.0001 * min(factors):
        told = ", ".join(f"{name} of {unit:.7g} m" for name, unit in units)
        remarks.append(f"vertical axes have different units: {told}; each is read in its own")
    remarks += [
        f"{name}: its CRS counts downwards ({datum}); the numbers are read as heights, upwards: "
        f"gdal_calc.py -A {name} --calc=-A --outfile=OUT.tif turns depths round"
        for name, datum in datums
        if datum.startswith(_DEPTH)
    ]
    return [Remark(code="crs.vertical", message=message) for message in remarks]


def horizontal(crs: CRS | None) -> CRS | None:
    """A CRS without its vertical part; the same object where it has none.

    A transformation between two CRSs with heights takes the vertical datums into account, and may
    choose another operation for the horizontal ones because of that: 1.4 m off from OSGB36 with
    ODN heights to ETRS89 with EVRF2007's.
    """
    if crs is None or _vertical_axis(crs) is None:
        return crs
    try:
        flat = as_pyproj(crs).to_2d()  # TOWGS84 stays
        return CRS.from_wkt(flat.to_wkt()) if len(flat.axis_info) == 2 else crs
    except Exception:  # whatever PROJ and rasterio raise for what they cannot write
        return crs


def as_pyproj(crs: CRS | None) -> Any:
    """The same CRS as pyproj's; None without one, or if it cannot be written as WKT."""
    if crs is None:
        return None
    try:
        return _parsed(crs.to_wkt())
    except Exception:  # CRSError of either library, and bare CPLE errors of GDAL
        return None


@lru_cache(maxsize=64)
def _parsed(wkt: str) -> Any:
    import pyproj

    return pyproj.CRS.from_wkt(wkt)


def _vertical_axis(crs: CRS | None) -> Any:
    return next((axis for part in _parts(crs) if (axis := _upright(part))), None)


def _upright(part: Any) -> Any:
    """The vertical axis of a single CRS (pyproj's); None without one."""
    return next((axis for axis in part.axis_info if axis.direction in _UPRIGHT), None)


def _parts(crs: CRS | None) -> Iterator[Any]:
    """The single CRSs (pyproj's) that a compound or bound CRS is made of; none if it has no WKT."""
    whole = as_pyproj(crs)
    if whole is not None:
        yield from _single(whole)


def _single(crs: Any) -> Iterator[Any]:
    if crs.is_bound and crs.source_crs is not None:
        yield from _single(crs.source_crs)
    elif crs.is_compound:
        for part in crs.sub_crs_list:
            yield from _single(part)
    else:
        yield crs


def _plain(name: str) -> str:
    """A datum's name without the marks in which writers differ (ESRI's underscores)."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
