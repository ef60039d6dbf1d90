"""Whether a raster's transform can be one to the ground."""

import math

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from mfnet.model.raster.georeferencing.vertical_axis import as_pyproj

# Zone 60 in front of the easting makes 6e7 m; nothing in any CRS is farther than 2e8 feet.
_MOST_ZONED = 6.1e7
_MOST_COORDINATE = 1e10
_MOST_PIXEL = 1e7
_LEAST_PIXEL = 1e-12  # a hundredth of a millimetre is 1e-12 of the Earth's radius
_MOST_PIXEL_M = 1e6
_LEAST_PIXEL_M = 1e-4
# Of the spacing of doubles at the farthest coordinate: a hundredth of a pixel can be told.
_LEAST_STEPS = 100
# Sine of the angle between rows and columns; length of one to the other.
_LEAST_SINE = 1e-3
_MOST_RATIO = 1000
_MOST_LONGITUDE = 4 * math.pi
_EARTH_M = 6.4e6


def senseless(transform: Affine, height: int, width: int, crs: CRS | None) -> str | None:
    """Say what is wrong with a transform that cannot place pixels; None where nothing is.

    Odd ones are left alone: millimetres, the Moon, south-up, rotated, sheared, not square, feet,
    grades, a zone's number before the easting, longitudes up to 720°.

    Args:
        transform: From column and row to x and y.
        height: Rows.
        width: Columns.
        crs: Of x and y; degrees are limited more narrowly than metres, and unknown units less.

    Returns:
        What was found and what was expected, without the file's name.
    """
    if not np.isfinite(tuple(transform)).all():
        return "a transform with numbers that are not finite; expected six finite ones"
    across = math.hypot(transform.a, transform.d)
    down = math.hypot(transform.b, transform.e)
    sides = f"pixels of {across:g} × {down:g}"
    far = max(_farthest(transform, height, width))
    if not max(far, across, down) <= _MOST_COORDINATE:
        return (
            f"{sides} and coordinates up to {far:g}; expected some within ±{_MOST_COORDINATE:g}, "
            "which is wider than any coordinate reference system"
        )
    if max(across, down) > min(_MOST_PIXEL, _MOST_RATIO * min(across, down)):
        return (
            f"{sides}; expected sides up to {_MOST_PIXEL:g}, the longer at most {_MOST_RATIO} "
            "times the shorter"
        )
    if not _sine(transform, across, down) >= _LEAST_SINE:
        return f"{sides} whose rows and columns run the same way; expected an area"
    if min(across, down) < _LEAST_STEPS * np.spacing(far):
        return (
            f"{sides} at coordinates up to {far:g}, where doubles are {np.spacing(far):.1g} apart; "
            f"expected pixels of at least {_LEAST_STEPS} times that"
        )
    return _beside_crs(transform, height, width, crs, (across, down))


def _beside_crs(
    transform: Affine, height: int, width: int, crs: CRS | None, sides: tuple[float, float]
) -> str | None:
    """What is wrong with a transform in its CRS's unit."""
    unit_name, unit = _unit(crs)
    if crs is None or unit is None:
        if min(sides) >= _LEAST_PIXEL:
            return None
        return f"pixels of {sides[0]:g} × {sides[1]:g}; expected sides of at least {_LEAST_PIXEL:g}"
    metres = [side * unit * (_EARTH_M if crs.is_geographic else 1) for side in sides]
    if not _LEAST_PIXEL_M <= min(metres) <= max(metres) <= _MOST_PIXEL_M:
        hint = "" if crs.is_geographic else " (degrees, perhaps?)"
        return (
            f"pixels of {sides[0]:g} × {sides[1]:g} {unit_name}{hint}; expected sides between "
            f"{_LEAST_PIXEL_M:g} m and {_MOST_PIXEL_M:g} m"
        )
    if crs.is_geographic:
        x, y = _farthest(transform, height, width)
        # Pixels of a global raster may be centred on the poles.
        overhang = max(sides) * unit
        if y * unit > math.pi / 2 + overhang or x * unit > _MOST_LONGITUDE:
            return (
                f"coordinates up to {x:g}, {y:g} in a geographic coordinate reference system; "
                f"expected longitudes and latitudes in units of {unit_name}"
            )
    elif not _is_somewhere(transform, height, width, crs):
        x, y = transform * (width / 2, height / 2)
        zone = " (with the zone's number before the easting, UTM 32N is EPSG:4647)"
        return (
            f"coordinates around {x:g}, {y:g} {unit_name}, which lie nowhere in its coordinate "
            f"reference system{zone if 1e6 <= x < _MOST_ZONED else ''}; expected another one"
        )
    return None


def _is_somewhere(transform: Affine, height: int, width: int, crs: CRS) -> bool:
    """Whether the centre or a corner has a longitude and latitude; True where PROJ cannot say."""
    projected = as_pyproj(crs)
    if projected is None:
        return True
    from pyproj import Transformer

    points = [*_corners(height, width), (width / 2, height / 2)]
    x, y = zip(*(transform * point for point in points), strict=True)
    try:
        to_lonlat = Transformer.from_crs(projected, projected.geodetic_crs, always_xy=True)
        places = np.array(to_lonlat.transform(x, y))
    except Exception:  # whatever a strange CRS makes PROJ raise
        return True
    return bool(np.isfinite(places).all(axis=0).any())


def _sine(transform: Affine, across: float, down: float) -> float:
    """Of the angle between rows and columns; the sides are those of a pixel."""
    if not across or not down:
        return 0.0
    first, second = (
        (transform.a / across, transform.d / across),
        (transform.b / down, transform.e / down),
    )
    return float(abs(first[0] * second[1] - first[1] * second[0]))


def _unit(crs: CRS | None) -> tuple[str, float | None]:
    """Name of a CRS's horizontal unit, and metres or radians in it; None where it has neither."""
    if crs is None or not (crs.is_geographic or crs.is_projected):
        return "", None
    try:
        name, factor = crs.units_factor if crs.is_geographic else crs.linear_units_factor
    except Exception:  # rasterio raises CRSError or CPLE errors for a CRS without a unit
        return "", None
    return str(name), float(factor) if 0 < factor < math.inf else None


def _farthest(transform: Affine, height: int, width: int) -> tuple[float, float]:
    """Largest absolute x and y of the four corners."""
    corners = [transform * corner for corner in _corners(height, width)]
    x, y = np.nan_to_num(np.abs(corners), nan=np.inf).max(axis=0)
    return float(x), float(y)


def _corners(height: int, width: int) -> list[tuple[int, int]]:
    return [(0, 0), (width, 0), (0, height), (width, height)]
