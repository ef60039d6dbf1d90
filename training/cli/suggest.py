"""`mfnet suggest`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfnet.model.cli.arguments import takes_reading_options
from mfnet.model.cli.models import Json

if TYPE_CHECKING:
    from mfnet.model.raster.values.reading_options import ReadingOptions


@takes_reading_options
def suggest(
    maps: Annotated[
        list[Path],
        typer.Argument(
            help="Maps from `mfnet predict --confidence`, of one model and one CRS.", metavar="MAP…"
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="GeoPackage of the places to write.")],
    ortho: Annotated[
        list[Path] | None,
        typer.Option(help="The map's orthophoto, so that colours count; once for each map."),
    ] = None,
    height: Annotated[
        list[Path] | None,
        typer.Option(help="The map's heights above ground; once for each map."),
    ] = None,
    labelled: Annotated[
        list[Path] | None,
        typer.Option(help="Polygons where labels are already; may be repeated."),
    ] = None,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many places.")] = 10,
    side: Annotated[int, typer.Option(min=32, help="Side of a place in pixels.")] = 256,
    as_json: Json = False,
    *,
    options: "ReadingOptions",
) -> None:
    """Suggest which places of a survey to label next: unsure ones, unlike each other.

    A place's score is how unsure the model is of it (the mean of 1 - confidence), times how unlike
    it is to all that are labelled or rank before it, by its classes, heights and colours.
    """
    from mfnet.model.cli.console import emit
    from mfnet.model.errors import BadOption
    from mfnet.training.corrections.suggest_places import suggest as find
    from mfnet.training.corrections.suggest_places import survey_of

    pairs: list[tuple[Path | None, Path | None]] = [(None, None)] * len(maps)
    if ortho or height:
        pairs = list(zip(ortho or [], height or [], strict=False))
    if len(pairs) != len(maps) or len(ortho or []) != len(height or []):
        raise BadOption(
            f"{len(maps)} maps, {len(ortho or [])} --ortho and {len(height or [])} --height; "
            "expected one of each for each map, in their order, or none",
            option="ortho",
        )
    surveys = [survey_of(path, *pair, options) for path, pair in zip(maps, pairs, strict=True)]
    found = find(surveys, out, number=number, side_px=side, labelled=labelled or [])
    rows = [
        {
            "rank": each.rank,
            "map": str(each.place.survey.classes),
            "row": int(each.place.window.row_off),
            "column": int(each.place.window.col_off),
            "unsure": round(each.place.unsure, 4),
            "unlike": round(each.unlike, 4),
            "score": round(each.score, 4),
            "area_m2": each.area_m2,
            "most": each.most,
        }
        for each in found
    ]
    if as_json:
        emit({"file": str(out), "places": rows})
        return
    typer.echo("rank  score  unsure  unlike    row  column  most of it, map")
    for row in rows:
        typer.echo(
            f"{row['rank']:>4}  {row['score']:.3f}  {row['unsure']:>6.1%}  {row['unlike']:>6.2f}  "
            f"{row['row']:>5}  {row['column']:>6}  {row['most']}, {row['map']}"
        )
    typer.echo(out)
