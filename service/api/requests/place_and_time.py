"""What a search of the catalogue asks for, as geometry and seconds."""

import math
from typing import TYPE_CHECKING, Any

from mfnet.service.api.requests.datetime_parameter import Interval, interval
from mfnet.service.errors import BadSearch
from mfnet.service.operations.catalogue import Search
from mfnet.service.schemas.catalogue import BBOX, INTERSECTS, ItemSearch

_MOST_IDS = 1000
_NO_GEOMETRY = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What shapely raises of JSON that is none."""

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry


def wanted_of(asked: ItemSearch) -> Search:
    """The search that is meant.

    Raises:
        BadSearch: A box or a geometry that is none, or both; too many ids.
        BadInterval: A time that is none.
    """
    if asked.bbox is not None and asked.intersects is not None:
        raise BadSearch("got bbox and intersects, expected one of both")
    if asked.ids is not None and len(asked.ids) > _MOST_IDS:
        raise BadSearch(f"got {len(asked.ids):,} ids, expected at most {_MOST_IDS:,}")
    area = None
    if asked.bbox is not None:
        area = _box(asked.bbox)
    elif asked.intersects is not None:
        area = _shape(asked.intersects)
    open_ends = asked.datetime is None or asked.datetime == "../.."
    span = Interval() if open_ends else interval(str(asked.datetime))
    return Search(area, span.start, span.end, asked.ids)


def _box(numbers: list[float]) -> "BaseGeometry":
    """Two boxes where it crosses the meridian of 180°."""
    from shapely.geometry import MultiPolygon, box

    half = len(numbers) // 2
    if len(numbers) not in (4, 6) or not all(map(math.isfinite, numbers)):
        raise BadSearch(f"bbox: got {numbers}, expected {BBOX}")
    west, south, east, north = *numbers[:2], *numbers[half : half + 2]
    if south > north:
        raise BadSearch(f"bbox: got {numbers}, where south is north of north; expected {BBOX}")
    if west <= east:
        return box(west, south, east, north)
    return MultiPolygon([box(west, south, 180, north), box(-180, south, east, north)])


def _shape(geometry: dict[str, Any]) -> "BaseGeometry":
    import shapely
    from shapely.errors import ShapelyError
    from shapely.geometry import shape

    try:
        found = shapely.make_valid(shape(geometry))
    except (*_NO_GEOMETRY, ShapelyError):
        found = None
    if found is None or found.is_empty or not all(map(math.isfinite, found.bounds)):
        raise BadSearch(f"intersects: expected {INTERSECTS}")
    return found
