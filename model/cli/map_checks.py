"""`mfnet verify` and `mfnet compare`: is a map what it says, and what differs from another."""

from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfnet.model.cli.arguments import AUTO, LargestBuilding, with_terrain
from mfnet.model.cli.map_products import Map, scheme_of
from mfnet.model.cli.models import USER_MODELS, Json, ModelsDir

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mfnet.model.inference.verify import Provenance
    from mfnet.model.raster.values.reading_options import ReadingOptions


def verify(
    classes: Map,
    ortho: Annotated[
        Path | None, typer.Argument(help="Its orthophoto; default: that name beside the map.")
    ] = None,
    height: Annotated[Path | None, typer.Argument(help="Its height raster; likewise.")] = None,
    dtm: Annotated[
        Path | None,
        typer.Option(help="Its terrain model; auto: derived as then."),
    ] = None,
    largest_building: LargestBuilding = None,
    model: Annotated[
        str | None, typer.Option(help="The model that made it, where its name is another now.")
    ] = None,
    models_dir: ModelsDir = USER_MODELS,
    bands: Annotated[int, typer.Option(min=1, help="Bands of 64 rows to compute again.")] = 3,
    seed: Annotated[
        int | None, typer.Option(help="Draws their places; others each time if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compute a few bands of a map again, and say whether they come out the same.

    Inputs, model and options must be those that the map's tags name. Exit status 0: the same;
    2: not, or it cannot be told.
    """
    from mfnet.model.cli.console import emit, progress
    from mfnet.model.errors import MapDiffers
    from mfnet.model.inference.runtimes.choose import open_runtime
    from mfnet.model.inference.verify import Provenance
    from mfnet.model.inference.verify import verify as compute_again
    from mfnet.model.raster.pairs.pair import RasterPair

    made = Provenance.of(classes)
    given = {"ortho": ortho, "height": height, "dtm": dtm}
    with _inputs(classes, made, given, largest_building) as (paths, reading):
        made.check_inputs(paths)
        # A service names the version, too; whether it is that one, the fingerprint says.
        name = model or made.model.partition("@")[0]
        network = open_runtime(name, models_dir, made.options)
        with (
            RasterPair.open(
                paths["ortho"], paths.get("height"), dtm=paths.get("dtm"), options=reading
            ) as pair,
            progress("computing again", "bands", as_json=as_json) as advance,
        ):
            found = compute_again(
                *(classes, pair, network, made), bands=bands, seed=seed, progress=advance
            )
    if found.differing:
        raise MapDiffers(
            f"{found.differing:,} of {found.pixels:,} pixels that were computed again have another "
            f"class than in {classes.name}",
            pixels=found.pixels,
            differing=found.differing,
        )
    rows = [[band.start, band.stop] for band in found.rows]
    if as_json:
        told = {"rows": rows, "pixels": found.pixels, "in_islands": found.in_islands}
        emit({"event": "result", "differing": 0} | told)
        return
    places = ", ".join(f"{first}–{stop - 1}" for first, stop in rows)
    typer.echo(f"{classes}: rows {places} computed again, all {found.pixels:,} pixels are the same")
    if found.in_islands:
        typer.echo(
            f"Not compared: {found.in_islands:,} pixels in islands, which the map's sieve may have "
            "changed"
        )


def compare(
    before: Annotated[Path, typer.Argument(help="A class raster of `mfnet predict`.")],
    after: Annotated[Path, typer.Argument(help="Another of the same place and classes.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Also write a COG: the new class where it has changed."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what differs between two maps of one place, class by class."""
    from mfnet.model.atomic_files import check_outputs
    from mfnet.model.cli.console import emit, show_changes
    from mfnet.model.raster.products.map_diff import compare_maps

    check_outputs((before, after), (out,))
    old, new = scheme_of(before), scheme_of(after)
    changes = compare_maps(before, after, old, new, out)
    if as_json:
        emit(changes)
        return
    show_changes(changes, {item.name: item.title for item in old.classes})
    if out is not None:
        typer.echo(out)


@contextmanager
def _inputs(
    classes: Path,
    made: "Provenance",
    given: Mapping[str, Path | None],
    largest_building: float | None,
) -> "Iterator[tuple[dict[str, Any], ReadingOptions]]":
    """What the map was made of by role, as single files, and how it is read."""
    from mfnet.model.errors import MapDiffers
    from mfnet.model.raster.pairs.join_tiles import joined

    paths = {role: path for role, path in given.items() if path is not None}
    if "height" not in made.files and "height" in paths:
        raise MapDiffers(f"{classes.name} was made without heights; name its orthophoto alone")
    for role, name in made.files.items():
        paths.setdefault(role, classes.parent / Path(name).name)
    whole = {role: path for role, path in paths.items() if str(path) != AUTO}
    with joined(whole, made.reading) as ready:
        options = {"largest_building": largest_building}
        with with_terrain(paths | ready | options, made.reading) as (found, reading):
            names: tuple[str, ...] = ("ortho", "height", "dtm")
            yield {name: found[name] for name in names if name in found}, reading
