"""`mfnet correct`; the service runs it, fenced in, on what its users send."""

from pathlib import Path
from typing import Annotated

import typer

from mfnet.model.cli.models import Json


def correct(
    classes: Annotated[Path, typer.Argument(help="The map, from `mfnet predict`.")],
    correction: Annotated[
        Path,
        typer.Argument(
            help="The map corrected, a GeoTIFF; or polygons over it: GeoPackage, GeoJSON, "
            "Shapefile (or zipped), FlatGeobuf."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Label raster to write, a COG.")],
    statistics: Annotated[
        Path | None,
        typer.Option(help="Statistics of the map; default: STEM_statistics.json beside it."),
    ] = None,
    column: Annotated[
        str, typer.Option(help="Column of the polygons that holds the class.")
    ] = "class",
    layer: Annotated[
        str | None, typer.Option(help="Layer of the polygons, if there are several.")
    ] = None,
    keep_map: Annotated[
        bool,
        typer.Option("--keep-map", help="Keep the map's class as a label where no polygon lies."),
    ] = False,
    as_json: Json = False,
    max_memory_mb: Annotated[
        int | None, typer.Option(min=64, help="Abort above this much memory (address space).")
    ] = None,
    max_seconds: Annotated[
        int | None, typer.Option(min=1, help="Abort after so many seconds.")
    ] = None,
) -> None:
    """Turn a map and its correction into labels, and report what changed."""
    from mfnet.model.cli.resource_limits import limit

    limit(max_memory_mb, max_seconds)
    from mfnet.model.atomic_files import beside
    from mfnet.model.cli.console import emit
    from mfnet.training.corrections.make_labels import correct as make_labels

    report = make_labels(
        classes,
        statistics or beside(classes, "statistics.json"),
        correction,
        out,
        column=column,
        layer=layer,
        keep_map=keep_map,
    )
    if as_json:
        emit(report.model_dump(mode="json"))
        return
    for change in report.classes:
        typer.echo(f"{change.name}: {change.mapped:,} pixels mapped, {change.labelled:,} now")
    for remark in report.remarks:
        typer.echo(f"Note: {remark}")
    typer.echo(f"{report.changed:,} of {report.labelled:,} labelled pixels differ from the map")
    typer.echo(out)
