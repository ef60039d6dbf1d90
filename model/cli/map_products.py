"""`mfnet polygons` and `mfnet zones`: what is made of a map that there is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfnet.model.cli.arguments import MinArea, Simplify
from mfnet.model.cli.models import Json

if TYPE_CHECKING:
    from mfnet.model.classes import ClassScheme
    from mfnet.model.raster.products.areas.zone_areas import Zones

Map = Annotated[Path, typer.Argument(metavar="MAP", help="A class raster of `mfnet predict`.")]
Statistics = Annotated[
    Path | None,
    typer.Option(
        help="The map's statistics; default: STEM_statistics.json or statistics.json beside it."
    ),
]


def polygons(
    classes: Map,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="GeoPackage or FlatGeobuf (.fgb) to write.")
    ],
    min_area: MinArea = 0.0,
    simplify: Simplify = 0.0,
    statistics: Statistics = None,
    as_json: Json = False,
) -> None:
    """Write a map as polygons: a layer with the class and area of each."""
    from mfnet.model.atomic_files import check_outputs
    from mfnet.model.cli.console import emit
    from mfnet.model.raster.products.polygons.map_polygons import write_map_polygons

    check_outputs((classes,), (out,))
    scheme = scheme_of(classes, statistics)
    count = write_map_polygons(classes, out, scheme, min_area_m2=min_area, simplify_m=simplify)
    if as_json:
        emit({"file": str(out), "polygons": count})
    else:
        typer.echo(f"{out}: {count:,} polygons")


def zones(
    classes: Map,
    layer_file: Annotated[
        Path,
        typer.Argument(metavar="ZONES", help="Polygons: GeoPackage, Shapefile, GeoJSON …"),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="GeoPackage to write; or a CSV, by its name.")
    ],
    layer: Annotated[str | None, typer.Option(help="Layer of ZONES, if it has several.")] = None,
    statistics: Statistics = None,
    as_json: Json = False,
) -> None:
    """Write what each class covers in each polygon of a layer, such as parcels."""
    from mfnet.model.atomic_files import check_outputs
    from mfnet.model.cli.console import emit
    from mfnet.model.raster.products.areas.zone_areas import write_zone_areas

    check_outputs((classes, layer_file), (out,))
    scheme = scheme_of(classes, statistics)
    opened = open_zones(layer_file, layer)
    for remark in opened.remarks:
        typer.echo(f"Note: {remark.message}", err=True)
    rows = write_zone_areas(classes, opened, [out], scheme)
    if as_json:
        emit({"file": str(out), "zones": rows})
    else:
        typer.echo(f"{out}: {len(rows):,} zones")


def open_zones(path: Path, layer: str | None = None, option: str = "layer") -> "Zones":
    """The polygons of a layer; `option` chooses it, where there are several."""
    from mfnet.model.raster.products.areas.zone_areas import read_zones
    from mfnet.model.raster.vectors.vector_extra import require_vector

    require_vector("exactextract", "summing areas in zones")  # before hours of computing
    return read_zones(path, layer, option)


def scheme_of(classes: Path, statistics: Path | None = None) -> "ClassScheme":
    """What the numbers of a map mean, by its statistics: those given, or found beside it."""
    from mfnet.model.atomic_files import beside
    from mfnet.model.raster.products.map_scheme import read_scheme

    usual, of_a_job = beside(classes, "statistics.json"), classes.with_name("statistics.json")
    found = of_a_job if of_a_job.exists() and not usual.exists() else usual
    return read_scheme(statistics or found)
