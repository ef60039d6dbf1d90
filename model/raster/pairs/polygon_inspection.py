"""Inspects polygons: a file by itself, and those that go with a pair."""

from pathlib import Path
from typing import Any

from mfnet.model.raster.pairs.area_of_interest import Area, AreaOfInterest
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.pairs.report import (
    AreaReport,
    LayerReport,
    PairReport,
    PolygonsReport,
    ZonesReport,
)
from mfnet.model.raster.products.areas.zone_areas import Zones, zones_on
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.vectors.polygon_formats import open_polygons


def inspect_polygons(path: Path) -> PolygonsReport:
    """Report on a vector file.

    Raises:
        BadPolygons: It is none, or has no layer of features.
    """
    with open_polygons(path) as package:
        package.require_layer()
        layers = [
            LayerReport(
                name=layer.name,
                features=layer.features,
                columns=list(layer.columns),
                crs=None if layer.crs is None else layer.crs.to_string(),
            )
            for layer in package.layers
        ]
        remarks = [Remark(code="labels.write_ahead", message=told) for told in package.remarks()]
    return PolygonsReport(file=path.name, layers=layers, remarks=remarks)


def polygons_of_pair(
    pair: RasterPair, report: PairReport, area: Area | None, zones: Zones | None
) -> dict[str, Any]:
    """What a pair's report says of an area of interest and of zones.

    Args:
        pair: Open.
        report: Its report so far.
        area: The part of the map that is wanted.
        zones: Polygons that areas are to be summed in.

    Returns:
        Fields of the report.

    Raises:
        InputError: As `AreaOfInterest.open` and `zones_on`; or no zone lies in the area.
    """
    told: dict[str, Any] = {}
    remarks = [*report.remarks]
    wanted = None if area is None else AreaOfInterest.open(area, pair.grid)
    if area is not None and wanted is not None:
        remarks += wanted.remarks
        rows, columns = wanted.rows, wanted.columns
        told["area"] = AreaReport(
            file=area.path.name,
            rows=(rows.start, rows.stop),
            columns=(columns.start, columns.stop),
            covered_percent=round(wanted.covered_percent, 2),
        )
    if zones is not None:
        placed = zones_on(pair.grid, zones, pair.ortho.path.name)
        if wanted is not None:
            wanted.require(zones, placed)
        remarks += zones.remarks
        names = [*zones.fields]
        told["zones"] = ZonesReport(file=zones.name, zones=len(placed), columns=names)
    return told | {"remarks": remarks}
