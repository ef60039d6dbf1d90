"""`mfnet inspect`, `explain` and `panel`, and the command that all groups join.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

import os
import re
import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfnet.model.cli.arguments import (
    AUTO,
    Aoi,
    AoiLayer,
    Dtm,
    Height,
    LargestBuilding,
    ModelName,
    Ortho,
    ZonesFile,
    ZonesLayer,
    checked_model,
    takes_reading_options,
)
from mfnet.model.cli.map_checks import compare, verify
from mfnet.model.cli.map_products import open_zones, polygons, zones
from mfnet.model.cli.models import USER_MODELS, Json, ModelsDir
from mfnet.model.cli.models import app as models_app
from mfnet.model.cli.predict import predict
from mfnet.model.cli.unpack import unpack
from mfnet.model.engine_options import DEFAULT_MODEL, Device

if TYPE_CHECKING:
    from mfnet.model.config import ModelConfig
    from mfnet.model.errors import MfnetError
    from mfnet.model.raster.pairs.report import PairReport, PolygonsReport, SoloReport
    from mfnet.model.raster.values.reading_options import ReadingOptions

_STARTED = time.perf_counter()
app = typer.Typer(help="Land-cover maps from an orthophoto and a height raster.")
app.add_typer(models_app, name="models")
app.command()(predict)
app.command()(polygons)
app.command()(zones)
app.command()(compare)
app.command()(verify)
app.command()(unpack)


@app.command()
@takes_reading_options
def inspect(
    ortho: Annotated[Path, typer.Argument(help="Orthophoto, or any file by itself.")],
    height: Annotated[
        Path | None,
        typer.Argument(help="Its height raster; without one, and with --model, colour is all."),
    ] = None,
    dtm: Dtm = None,
    largest_building: LargestBuilding = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Check that the pair suits this model and resembles its training data, and say "
            "how long a map will take."
        ),
    ] = None,
    models_dir: ModelsDir = USER_MODELS,
    forecast: Annotated[
        bool, typer.Option(help="With --model: say how long a whole map will take on this machine.")
    ] = True,
    stride: Annotated[
        int | None,
        typer.Option(min=1, help="With --model: pixels between windows; the model's own if none."),
    ] = None,
    aoi: Aoi = None,
    aoi_layer: AoiLayer = None,
    zones: ZonesFile = None,
    zones_layer: ZonesLayer = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Do not decode every block, and derive no terrain."),
    ] = False,
    scan_seconds: Annotated[
        float | None,
        typer.Option(help="Of one raster: decode blocks for so long at most.", hidden=True),
    ] = None,
    as_json: Json = False,
    sidecar: Annotated[
        str | None,
        typer.Option(help="What stands beside a raster: world, prj, pam or mask.", hidden=True),
    ] = None,
    max_memory_mb: Annotated[
        int | None, typer.Option(min=64, help="Abort above this much memory (address space).")
    ] = None,
    max_seconds: Annotated[
        int | None, typer.Option(min=1, help="Abort after so many seconds.")
    ] = None,
    *,
    options: "ReadingOptions",
) -> None:
    """Report on a raster or a pair: grids, overlap, nodata, heights, what is refused and why.

    Every block is decoded once, so that damage is found. Exit status 0: usable; 2: refused.
    """
    from mfnet.model.cli.console import emit, progress
    from mfnet.model.errors import BadOption
    from mfnet.model.raster.files import remote
    from mfnet.model.raster.pairs.area_of_interest import Area
    from mfnet.model.raster.pairs.inspection import inspect_alone, inspect_pair, inspect_sidecar
    from mfnet.model.raster.pairs.report import PairReport

    alone = height is None and model is None
    if alone and (aoi or zones) is not None:
        raise BadOption(
            "--aoi and --zones are for what is mapped; pass an orthophoto and a height raster, or "
            "an orthophoto and --model"
        )
    if sidecar is not None:
        emit(inspect_sidecar(ortho, sidecar))
        return
    config = None if model is None else checked_model(model, models_dir)
    # Over the network tags and a sample are fetched, and no more.
    quick = quick or any(remote.known(path) for path in (ortho, height, dtm) if path is not None)
    surface = str(dtm) == AUTO and quick
    # With --json standard output is one document, the report.
    with progress("decoding", "bytes", as_json=False) as advance:
        report = (
            inspect_alone(ortho, quick=quick, scan_s=scan_seconds, progress=advance)
            if alone
            else inspect_pair(
                *(ortho, height),
                dtm=None if surface else dtm,
                model=config,
                options=options,
                surface=surface,
                area=None if aoi is None else Area(aoi, aoi_layer),
                zones=None if zones is None else open_zones(zones, zones_layer, "zones-layer"),
                quick=quick,
                progress=advance,
            )
        )
    if isinstance(report, PairReport) and config is not None:
        report = _with_windows(report, config, stride)
    # Of a part of a raster it would say too much.
    if isinstance(report, PairReport) and model is not None and forecast and aoi is None:
        report = _with_forecast(report, model, models_dir, stride)
    _show(report, as_json=as_json)


def _show(report: "PairReport | PolygonsReport | SoloReport", *, as_json: bool) -> None:
    from mfnet.model.cli.console import emit, show_layers, show_pair, show_raster
    from mfnet.model.raster.pairs.report import PairReport, PolygonsReport

    if as_json:
        emit(report.model_dump(mode="json"))
    elif isinstance(report, PairReport):
        show_pair(report)
    elif isinstance(report, PolygonsReport):
        show_layers(report)
    else:
        show_raster(report)


def _with_windows(report: "PairReport", config: "ModelConfig", stride: int | None) -> "PairReport":
    """The report with the windows that a map takes."""
    from mfnet.model.inference.windows import WindowPlan, count_windows

    here, size = config.at(report.gsd_m), (report.ortho.height, report.ortho.width)
    plan = WindowPlan(*size, here.window_px, here.stride_px if stride is None else stride)
    part = () if report.area is None else (range(*report.area.rows), range(*report.area.columns))
    return _estimating(report, windows=count_windows(plan, *part))


def _with_forecast(
    report: "PairReport", model: str, models_dir: Path, stride: int | None
) -> "PairReport":
    """The report with the seconds of a map, too; as it was where the model cannot run."""
    from mfnet.model.errors import MfnetError
    from mfnet.model.inference.forecast import forecast
    from mfnet.model.inference.runtimes.choose import open_runtime
    from mfnet.model.inference.segment_options import SegmentOptions

    try:
        runtime = open_runtime(model, models_dir)
    except MfnetError:  # an extra or SAM's weights are missing: `mfnet predict` says so
        return report
    # A run starts, looks at the files and loads the model as we have done.
    before_s = time.perf_counter() - _STARTED
    size = report.ortho.height, report.ortho.width
    found = forecast(runtime, *size, report.gsd_m, SegmentOptions(stride=stride))
    return _estimating(report, seconds=round(before_s + found.seconds, 1))


def _estimating(report: "PairReport", **told: float) -> "PairReport":
    return report.model_copy(update={"estimate": report.estimate.model_copy(update=told)})


@app.command()
@takes_reading_options
def explain(
    ortho: Ortho,
    height: Height,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="heat.tif makes heat_ortho.tif, …, heat.png.")
    ],
    target: Annotated[
        str, typer.Option("--class", help="The class to explain: name, title or value.")
    ],
    dtm: Dtm = None,
    model: ModelName = DEFAULT_MODEL,
    models_dir: ModelsDir = USER_MODELS,
    stride: Annotated[int | None, typer.Option(min=1, help="Pixels between windows.")] = None,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.AUTO,
    as_json: Json = False,
    *,
    options: "ReadingOptions",
) -> None:
    """Show what the orthophoto and the heights each contribute to a class, as heat maps."""
    from mfnet.model.cli.console import emit, progress, tell_remarks
    from mfnet.model.raster.pairs.inspection import inspect_pair

    config = checked_model(model, models_dir)
    from mfnet.model.cli.panel import write_heat_panel
    from mfnet.model.inference.explain import explain as write_heat
    from mfnet.model.weights.checkpoint import load_model

    tell_remarks(inspect_pair(ortho, height, dtm=dtm, model=config, options=options, quick=True))
    net = load_model(model, models_dir)
    target = net.config.classes.names[net.config.classes.find(target)]
    with progress("explaining", "windows", as_json=as_json) as advance:
        heat = write_heat(
            ortho,
            height,
            net,
            target,
            out,
            dtm=dtm,
            stride=stride,
            options=options,
            device=device.value,
            progress=advance,
        )
    files = heat | {"panel": out.with_suffix(".png")}
    write_heat_panel(ortho, height, heat, files["panel"], target=target, dtm=dtm, options=options)
    if as_json:
        emit({"event": "result", "files": {role: str(path) for role, path in files.items()}})
        return
    for path in files.values():
        typer.echo(path)


@app.command()
@takes_reading_options
def panel(
    ortho: Ortho,
    height: Height,
    classes: Annotated[Path, typer.Argument(help="The map.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG to write.")],
    dtm: Dtm = None,
    statistics: Annotated[
        Path | None,
        typer.Option(help="Statistics of the map; default: STEM_statistics.json beside it."),
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="Classes to show beside the map.")] = None,
    *,
    options: "ReadingOptions",
) -> None:
    """Draw a result for people: orthophoto, heights, map and legend in one picture."""
    from mfnet.model.atomic_files import beside
    from mfnet.model.cli.console import tell_remarks
    from mfnet.model.cli.panel import write_panel
    from mfnet.model.raster.pairs.inspection import inspect_pair

    tell_remarks(inspect_pair(ortho, height, dtm=dtm, options=options, quick=True))
    statistics = statistics or beside(classes, "statistics.json")
    write_panel(ortho, height, classes, statistics, out, dtm=dtm, truth=truth, options=options)


@app.command()
@takes_reading_options
def pictures(
    out: Annotated[Path, typer.Option("--out", "-o", help="An existing folder.")],
    ortho: Annotated[Path | None, typer.Argument(help="Orthophoto.")] = None,
    height: Annotated[Path | None, typer.Argument(help="Its height raster.")] = None,
    dtm: Dtm = None,
    the_map: Annotated[
        Path | None,
        typer.Option("--map", help="Folder with classes.tif and statistics.json of the pair."),
    ] = None,
    max_memory_mb: Annotated[
        int | None, typer.Option(min=64, help="Abort above this much memory (address space).")
    ] = None,
    max_seconds: Annotated[
        int | None, typer.Option(min=1, help="Abort after so many seconds.")
    ] = None,
    as_json: Json = False,
    *,
    options: "ReadingOptions",
) -> None:
    """Draw an orthophoto, a pair, its map, or pair and map for a screen, a picture a layer.

    At most 1600 pixels a side. values.bin holds class, confidence and height at each pixel.
    """
    from mfnet.model.cli.resource_limits import limit

    limit(max_memory_mb, max_seconds)
    from mfnet.model.cli.console import emit
    from mfnet.model.cli.pictures import write_pictures

    told = write_pictures(ortho, height, out, dtm=dtm, the_map=the_map, options=options)
    if as_json:
        emit(told)
        return
    for name in told["files"]:
        typer.echo(out / name)


ON_DEMAND = ("torch", "torchvision", "segment_anything", "safetensors", "onnxscript")
"""Modules that the extra `train` brings."""


PACKAGES = {"libexpat.so.1": "libexpat1", "libgomp.so.1": "libgomp1"}
"""Debian's packages of libraries that wheels need and bare machines may lack."""


def main() -> None:
    """Run the `mfnet` command with the groups that the installed packages bring.

    Exit status 0: done; 2: the caller's mistake; 1: our fault.
    """
    from mfnet.model.errors import InputError, MfnetError

    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    # No process that we start may import from the folder that it is started in.
    os.environ["PYTHONSAFEPATH"] = "1"
    _quiet_libraries()
    try:
        assembled()([argument for argument in arguments if argument != "--debug"])
    except MfnetError as error:
        if debug:
            raise
        _tell(error.to_dict(), as_json="--json" in arguments)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except Exception as error:
        if debug:
            raise
        if isinstance(error, ImportError) and (known := explained(error)) is not None:
            _tell(known.to_dict(), as_json="--json" in arguments)
            sys.exit(2 if isinstance(known, InputError) else 1)
        message = f"{type(error).__name__}: {error}; run again with --debug for the traceback"
        failure = {"code": "internal", "message": message, "params": {}}
        _tell(failure, as_json="--json" in arguments)
        sys.exit(1)


def explained(error: ImportError) -> "MfnetError | None":
    """What a person can do about an import that failed; None where that is for us."""
    from mfnet.model.errors import LibraryMissing, MissingExtra

    if isinstance(error, ModuleNotFoundError):
        if (error.name or "").split(".")[0] not in ON_DEMAND:
            return None
        return MissingExtra(
            f"this command needs {error.name}, which is not installed: pip install 'mfnet[train]'",
            module=error.name,
        )
    lacking = re.match(r"(\S+): cannot open shared object file", str(error))
    if lacking is None:
        return None
    library = lacking[1]
    return LibraryMissing(
        f"the system's library {library} is missing; install it: apt-get install "
        f"{PACKAGES.get(library, 'the package that has it')}",
        library=library,
    )


@cache
def assembled() -> Any:
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
    return typer.main.get_command(root)


def _tell(error: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        import json

        typer.echo(json.dumps({"error": error}, ensure_ascii=False, default=str))
    typer.echo(f"mfnet: {error['message']}", err=True)


def _quiet_libraries() -> None:
    """What GDAL has to say comes in our errors; its log lines would stand beside them."""
    import logging

    logging.getLogger("rasterio").setLevel(logging.CRITICAL)


if __name__ == "__main__":
    main()
