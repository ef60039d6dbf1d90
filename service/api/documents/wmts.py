"""WMTS 1.0.0 capabilities of a map's tiles, as QGIS and other GIS read them from an address."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from mfnet.service.operations.pictures.map_tiles import TileExtent

MEDIA_TYPE = "application/xml"
MATRIX_SET = "GoogleMapsCompatible"

_HALF_M = math.pi * 6_378_137.0
_TILE_PX = 256
_PIXEL_M = 0.00028  # of a screen, by the standard
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<Capabilities xmlns="http://www.opengis.net/wmts/1.0" xmlns:ows="http://www.opengis.net/ows/1.1"
 xmlns:xlink="http://www.w3.org/1999/xlink" version="1.0.0">
 <ows:ServiceIdentification><ows:Title>{title}</ows:Title>
  <ows:ServiceType>OGC WMTS</ows:ServiceType>
  <ows:ServiceTypeVersion>1.0.0</ows:ServiceTypeVersion></ows:ServiceIdentification>
 <Contents>
"""
_LAYER = """  <Layer><ows:Title>{title}</ows:Title>
   <ows:WGS84BoundingBox><ows:LowerCorner>{west} {south}</ows:LowerCorner>
    <ows:UpperCorner>{east} {north}</ows:UpperCorner></ows:WGS84BoundingBox>
   <ows:Identifier>{name}</ows:Identifier>
   <Style isDefault="true"><ows:Identifier>default</ows:Identifier></Style>
   <Format>image/png</Format>
   <TileMatrixSetLink><TileMatrixSet>{matrix_set}</TileMatrixSet></TileMatrixSetLink>
   <ResourceURL format="image/png" resourceType="tile" template="{template}"/></Layer>
"""
_SET = """  <TileMatrixSet><ows:Identifier>{name}</ows:Identifier>
   <ows:SupportedCRS>urn:ogc:def:crs:EPSG::3857</ows:SupportedCRS>
   <WellKnownScaleSet>urn:ogc:def:wkss:OGC:1.0:GoogleMapsCompatible</WellKnownScaleSet>
"""
_MATRIX = """   <TileMatrix><ows:Identifier>{z}</ows:Identifier>
    <ScaleDenominator>{scale}</ScaleDenominator>
    <TopLeftCorner>{left} {top}</TopLeftCorner>
    <TileWidth>256</TileWidth><TileHeight>256</TileHeight>
    <MatrixWidth>{side}</MatrixWidth><MatrixHeight>{side}</MatrixHeight></TileMatrix>
"""


def capabilities(title: str, layers: Sequence[tuple[str, TileExtent, str]]) -> str:
    """The document.

    Args:
        title: Of the map.
        layers: Name, extent and address of tiles with `{z}`, `{x}` and `{y}`, of each.
    """
    parts = [_HEAD.format(title=escape(title))]
    for name, extent, template in layers:
        west, south, east, north = extent.bounds
        address = template.replace("{z}", "{TileMatrix}")
        address = address.replace("{x}", "{TileCol}").replace("{y}", "{TileRow}")
        parts.append(
            _LAYER.format(
                title=escape(f"{title}: {name}"),
                name=name,
                matrix_set=MATRIX_SET,
                template=escape(address, {'"': "&quot;"}),
                **{"west": west, "south": south, "east": east, "north": north},
            )
        )
    last = max((extent.maxzoom for _, extent, _ in layers), default=0)
    parts.append(_SET.format(name=MATRIX_SET))
    parts += [_matrix(z) for z in range(last + 1)]
    return "".join((*parts, "  </TileMatrixSet>\n </Contents>\n</Capabilities>\n"))


def _matrix(z: int) -> str:
    side = 2**z
    scale = 2 * _HALF_M / side / _TILE_PX / _PIXEL_M
    return _MATRIX.format(z=z, scale=scale, left=-_HALF_M, top=_HALF_M, side=side)
