"""`mfnet inspect`, `predict`, `explain` and `panel`, and the command that all groups join.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model.models_cli import USER_MODELS, Json, ModelsDir
from model.models_cli import app as models_app
from model.options import Blend, Device, Precision

if TYPE_CHECKING:
    from model.config import ModelConfig

app = typer.Typer(help="Land-cover maps from an orthophoto and a height raster.")
app.add_typer(models_app, name="models")


Ortho = Annotated[Path, typer.Argument(help="Orthophoto, a GeoTIFF: red, green, blue (alpha).")]
Height = Annotated[
    Path, typer.Argument(help="Metres above ground, a GeoTIFF of the same place; or see --dtm.")
]
Dtm = Annotated[
    Path | None, typer.Option(help="Terrain model; HEIGHT is then a surface model (DSM).")
]
White = Annotated[
    float | None, typer.Option(help="Digital number of white; default: the pixel type's largest.")
]
ModelName = Annotated[str, typer.Option(help="A name from `mfnet models list`, or a path.")]


@app.command()
def inspect(
    ortho: Annotated[Path, typer.Argument(help="Orthophoto, or any file by itself.")],
    height: Annotated[Path | None, typer.Argument(help="Its height raster.")] = None,
    dtm: Dtm = None,
    model: Annotated[
        str | None, typer.Option(help="Check that this model takes the pair, and has seen such.")
    ] = None,
    models_dir: ModelsDir = USER_MODELS,
    white: White = None,
    quick: Annotated[bool, typer.Option("--quick", help="Do not decode every block.")] = False,
    as_json: Json = False,
    max_memory_mb: Annotated[
        int | None, typer.Option(min=64, help="End the process beyond this address space.")
    ] = None,
    max_seconds: Annotated[
        int | None, typer.Option(min=1, help="End the process after this time.")
    ] = None,
) -> None:
    """Report on a raster or a pair: grids, overlap, nodata, heights, what is refused and why.

    Every block is decoded once, so that damage is found. Exit status 0: usable; 2: refused.
    """
    from model.limits import limit

    limit(max_memory_mb, max_seconds)
    from model.console import emit, progress, show_layers, show_pair, show_raster
    from model.errors import BadOption
    from model.raster.inspection import inspect_alone, inspect_pair
    from model.raster.report import PairReport, PolygonsReport

    if height is None and dtm is not None:
        raise BadOption("--dtm without a height raster; pass the surface model as HEIGHT")
    config = None if model is None else _checked_model(model, models_dir)
    # With --json standard output is one document, the report.
    with progress("decoding", "bytes", as_json=False) as advance:
        report = (
            inspect_alone(ortho, quick=quick, progress=advance)
            if height is None
            else inspect_pair(
                *(ortho, height), dtm=dtm, model=config, white=white, quick=quick, progress=advance
            )
        )
    if as_json:
        emit(report.model_dump(mode="json"))
    elif isinstance(report, PairReport):
        show_pair(report)
    elif isinstance(report, PolygonsReport):
        show_layers(report)
    else:
        show_raster(report)


@app.command()
def predict(
    ortho: Ortho,
    height: Height,
    out: Annotated[Path, typer.Option("--out", "-o", help="Class raster to write, a COG.")],
    dtm: Dtm = None,
    model: ModelName = "town-small",
    models_dir: ModelsDir = USER_MODELS,
    stride: Annotated[
        int | None, typer.Option(min=1, help="Pixels between windows; default: the model's.")
    ] = None,
    blend: Annotated[Blend, typer.Option(help="How overlapping windows are weighed.")] = Blend.MEAN,
    white: White = None,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Also write STEM_confidence.tif beside the map.")
    ] = False,
    statistics: Annotated[
        Path | None, typer.Option(help="Default: STEM_statistics.json beside the map.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Windows a batch.")] = None,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.AUTO,
    precision: Annotated[Precision, typer.Option(help="Of the arithmetic.")] = Precision.AUTO,
    as_json: Json = False,
) -> None:
    """Map an orthophoto and a height raster to land-cover classes.

    Writes a Cloud Optimized GeoTIFF on the orthophoto's grid, with colours and names for QGIS
    beside it, and the square metres of each class.
    """
    from model.console import emit, progress, show_areas
    from model.outputs import beside
    from model.raster.inspection import inspect_pair

    _checked_model(model, models_dir)
    # Damage in the last block should be found before hours of computing, not after.
    with progress("checking", "bytes", as_json=as_json) as advance:
        inspect_pair(ortho, height, dtm=dtm, progress=advance)
    from model import load_model, segment

    files = {"classes": out, "statistics": statistics or beside(out, "statistics.json")}
    if confidence:
        files["confidence"] = beside(out, "confidence.tif")
    net = load_model(model, models_dir)
    with progress("segmenting", "windows", as_json=as_json) as advance:
        summary = segment(
            ortho,
            height,
            net,
            out,
            dtm=dtm,
            statistics=files["statistics"],
            confidence=files.get("confidence"),
            stride=stride,
            blend=blend.value,
            white=white,
            batch_size=batch_size,
            device=device.value,
            precision=precision.value,
            progress=advance,
        )
    names = {role: str(path) for role, path in files.items()}
    if as_json:
        emit({"event": "result", "files": names, "statistics": summary})
        return
    show_areas(summary)
    for remark in summary["drift"]["remarks"]:
        typer.echo(f"Note: {remark['message']}")
    for name in names.values():
        typer.echo(name)


@app.command()
def explain(
    ortho: Ortho,
    height: Height,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="heat.tif makes heat_ortho.tif, …, heat.png.")
    ],
    target: Annotated[str, typer.Option("--class", help="The class to explain, by name.")],
    dtm: Dtm = None,
    model: ModelName = "town-small",
    models_dir: ModelsDir = USER_MODELS,
    stride: Annotated[int | None, typer.Option(min=1, help="Pixels between windows.")] = None,
    white: White = None,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.AUTO,
    as_json: Json = False,
) -> None:
    """Show what the orthophoto and the heights each contribute to a class, as heat maps."""
    from model.console import emit, progress

    _checked_model(model, models_dir)
    from model import load_model
    from model.inference.explain import explain as write_heat
    from model.panel import write_heat_panel

    net = load_model(model, models_dir)
    with progress("explaining", "windows", as_json=as_json) as advance:
        heat = write_heat(
            ortho,
            height,
            net,
            target,
            out,
            dtm=dtm,
            stride=stride,
            white=white,
            device=device.value,
            progress=advance,
        )
    files = heat | {"panel": out.with_suffix(".png")}
    write_heat_panel(ortho, height, heat, files["panel"], target=target, dtm=dtm)
    if as_json:
        emit({"event": "result", "files": {role: str(path) for role, path in files.items()}})
        return
    for path in files.values():
        typer.echo(path)


@app.command()
def panel(
    ortho: Ortho,
    height: Height,
    classes: Annotated[Path, typer.Argument(help="The map.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG to write.")],
    dtm: Dtm = None,
    statistics: Annotated[
        Path | None, typer.Option(help="The map's; default: STEM_statistics.json beside it.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="Classes to show beside the map.")] = None,
) -> None:
    """Draw a result for people: orthophoto, heights, map and legend in one picture."""
    from model.outputs import beside
    from model.panel import write_panel

    statistics = statistics or beside(classes, "statistics.json")
    write_panel(ortho, height, classes, statistics, out, dtm=dtm, truth=truth)


def main() -> None:
    """Run the `mfnet` command with the groups that the installed packages bring.

    Exit status 0: done; 2: the caller's mistake; 1: our fault.
    """
    from model.errors import InputError, MfnetError

    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    _quiet_libraries()
    try:
        _assemble()([argument for argument in arguments if argument != "--debug"])
    except MfnetError as error:
        if debug:
            raise
        _tell(error.to_dict(), as_json="--json" in arguments)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except Exception as error:
        if debug:
            raise
        message = f"{type(error).__name__}: {error}; run again with --debug for the traceback"
        failure = {"code": "internal", "message": message, "params": {}}
        _tell(failure, as_json="--json" in arguments)
        sys.exit(1)


def _assemble() -> typer.Typer:
    """The root command with every group of the entry points `mfnet.commands`."""
    from importlib.metadata import entry_points

    root = typer.Typer(
        help="Land-cover maps from an orthophoto and a height raster. --debug: tracebacks.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for group in sorted(entry_points(group="mfnet.commands"), key=lambda group: group.name):
        try:
            root.add_typer(group.load())
        except ModuleNotFoundError as error:
            # A package that is not installed brings no commands; a broken one must say so.
            if error.name not in (group.module, group.module.split(".")[0]):
                raise
    return root


def _tell(error: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        import json

        typer.echo(json.dumps({"error": error}, ensure_ascii=False, default=str))
    typer.echo(f"mfnet: {error['message']}", err=True)


def _quiet_libraries() -> None:
    """What GDAL has to say comes in our errors; its log lines would stand beside them."""
    import logging

    logging.getLogger("rasterio").setLevel(logging.CRITICAL)


def _checked_model(name: str, models_dir: Path) -> "ModelConfig":
    """Refuse a model that does not exist or does not take a pair, without loading it."""
    from model.library import find, read_config
    from model.raster.normalize import scalings

    config = read_config(find(name, models_dir))
    scalings(config, white=1.0)
    return config


if __name__ == "__main__":
    main()
