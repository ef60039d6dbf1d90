"""Reads the polygons of a GeoJSON file, with the standard library.

GDAL's reader fetches the CRS from an address that the file names (`"crs": {"type": "link"}`), so
a stranger's file would reach the network.

Source: RFC 7946; for `crs`, which it has no more, the GeoJSON specification of 2008, clause 3.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import shapely
from rasterio.crs import CRS

from mfnet.model.raster.vectors.polygon_file import Layer, PolygonFile

_EPSG = re.compile(r"(?:urn:ogc:def:crs:)?EPSG:(?:[0-9.]*:)?(\d+)", re.I)
_WGS84 = re.compile(r"urn:ogc:def:crs:OGC:[0-9.]*:CRS84", re.I)


class GeoJson(PolygonFile):
    """An open GeoJSON file: a FeatureCollection, whose only layer has the file's name."""

    kind = "a GeoJSON file"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._require_size(path.stat().st_size)
        with self._border():
            whole = json.loads(path.read_text(encoding="utf-8-sig"))
        if not isinstance(whole, dict) or whole.get("type") != "FeatureCollection":
            found = whole.get("type") if isinstance(whole, dict) else type(whole).__name__
            raise self._bad(
                f"it is JSON of the type {found!r}; expected GeoJSON, a FeatureCollection"
            )
        with self._border():
            self._features = [dict(feature) for feature in whole["features"]]
            self.layers = (self._describe(whole),)

    def _describe(self, whole: dict[str, Any]) -> Layer:
        columns = dict.fromkeys(key for each in self._features for key in _properties(each))
        crs = _crs(whole.get("crs"))
        name = str(whole.get("name") or self.path.stem)
        return Layer(name, crs, "", tuple(columns), len(self._features))

    def _rows(
        self, layer: Layer, columns: Sequence[str]
    ) -> tuple[Sequence[Any], list[list[object]]]:
        """See `PolygonFile`."""
        texts = [
            None if (shape := each.get("geometry")) is None else json.dumps(shape)
            for each in self._features
        ]
        properties = [_properties(each) for each in self._features]
        values = [[each.get(column) for each in properties] for column in columns]
        return shapely.from_geojson(texts), values


def _properties(feature: dict[str, Any]) -> dict[str, Any]:
    return feature.get("properties") or {}


def _crs(member: Any) -> CRS | None:
    """WGS 84 where the file names no CRS; None where it names one that is not known."""
    if member is None:
        return CRS.from_epsg(4326)
    name = str(member.get("properties", {}).get("name", ""))
    if _WGS84.fullmatch(name):
        return CRS.from_epsg(4326)
    code = _EPSG.fullmatch(name)
    try:
        return CRS.from_epsg(int(code[1])) if code else None
    except Exception:  # rasterio's own, or a bare CPLE error
        return None
