"""`mfnet models`: what models there are, and how more come in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mfnet.model.classes import ClassScheme

app = typer.Typer(
    help="List, show, import and export models; fetch SAM's weights.", no_args_is_help=True
)

USER_MODELS = Path(typer.get_app_dir("mfnet")) / "models"
"""Where models and bases go that the user brings in."""

ModelsDir = Annotated[
    Path,
    typer.Option(envvar="MFNET_MODELS_DIR", help="Folder of further models and of SAM's weights."),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, for programs.")]


@app.command("list")
def list_models(models_dir: ModelsDir = USER_MODELS, as_json: Json = False) -> None:
    """List the models by name."""
    from mfnet.model.cli.console import emit, show_models
    from mfnet.model.weights.catalog import installed

    models = [_row(path) for path in installed(models_dir)]
    if as_json:
        emit({"models": models})
    else:
        show_models(models)


@app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(help="A name from `mfnet models list`, or a path.")],
    models_dir: ModelsDir = USER_MODELS,
) -> None:
    """Show a model's configuration, provenance and measured figures as JSON."""
    import re

    from mfnet.model.weights.catalog import find, read_config

    text = read_config(find(name, models_dir)).model_dump_json(indent=2)
    # Numbers of one list stand in one line.
    typer.echo(re.sub(r"\[[^][{}\"]*\]", lambda found: " ".join(found[0].split()), text))


@app.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(help="A .pth file of the paper's released code.")],
    name: Annotated[str, typer.Option(help="What the model shall be called here.")],
    classes: Annotated[
        str | None,
        typer.Option(help="isprs, mmhunan, or a text file with the name of a class a line."),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="The base that it was trained on, like vit_l; default: recognised."),
    ] = None,
    models_dir: ModelsDir = USER_MODELS,
) -> None:
    """Make a model of a checkpoint that was trained with the authors' code."""
    from mfnet.model.weights.checkpoint import import_file

    scheme = None if classes is None else read_scheme(classes)
    typer.echo(import_file(file, name, models_dir, classes=scheme, base=base))


@app.command("export")
def export_model(
    name: Annotated[str, typer.Argument(help="A name from `mfnet models list`, or a path.")],
    out: Annotated[
        Path,
        typer.Argument(help="The file to write: .safetensors, or .onnx to be run without torch."),
    ],
    delta: Annotated[
        bool, typer.Option("--delta", help="Only what was trained; its base must be named.")
    ] = False,
    half: Annotated[bool, typer.Option("--half", help="Half precision: half the size.")] = False,
    stacked: Annotated[
        bool,
        typer.Option("--stacked", help="ONNX with one input of four bands, as Deepness takes it."),
    ] = False,
    models_dir: ModelsDir = USER_MODELS,
) -> None:
    """Write a model to a file: whole, without SAM's frozen weights, or as ONNX."""
    import torch

    from mfnet.model.errors import BadOption
    from mfnet.model.weights.catalog import find
    from mfnet.model.weights.checkpoint import load_model, save
    from mfnet.model.weights.file_hash import sha256_of

    path = find(name, models_dir)
    if out.suffix == ".onnx":
        from mfnet.model.weights.export_onnx import export_onnx

        if delta or half:
            raise BadOption("an ONNX file holds all weights; leave --delta and --half out")
        net = load_model(path, models_dir)
        export_onnx(net, out, source_sha256=sha256_of(path), stacked=stacked)
    elif stacked:
        raise BadOption(f"--stacked is for ONNX; expected a file like {out.stem}.onnx")
    else:
        net = load_model(path, models_dir)
        save(net, out, torch.float16 if half else torch.float32, full=not delta)
    typer.echo(out)


@app.command("fetch-base")
def fetch(
    base: Annotated[str, typer.Argument(help="vit_b, vit_l or vit_h.")],
    models_dir: ModelsDir = USER_MODELS,
    as_json: Json = False,
) -> None:
    """Download SAM's weights from Meta, resuming and verifying."""
    from mfnet.model.cli.console import progress
    from mfnet.model.weights.sam_base import base_file, fetch_base

    with progress("downloading", "bytes", as_json=as_json) as advance:
        fetch_base(base, models_dir, advance)
    typer.echo(base_file(base, models_dir))


@app.command("import-base")
def import_weights(
    file: Annotated[Path, typer.Argument(help="A SAM checkpoint in Meta's layout, .pth.")],
    models_dir: ModelsDir = USER_MODELS,
) -> None:
    """Take SAM's weights from a file that you have."""
    from mfnet.model.weights.sam_base import base_file, import_base

    typer.echo(base_file(import_base(file, models_dir).encoder, models_dir))


def read_scheme(text: str) -> "ClassScheme":
    """The classes that `--classes` names: of a scheme that there is, or of a file.

    Raises:
        BadOption: No such scheme or file; or lines that name no classes.
        BadLabels: Likewise.
    """
    from mfnet.model.class_legend import read_legend
    from mfnet.model.classes import ISPRS, MMHUNAN, scheme_of
    from mfnet.model.errors import BadOption

    known = {scheme.name: scheme for scheme in (ISPRS, MMHUNAN)}
    if text in known:
        return known[text]
    try:
        legend = read_legend(Path(text))
    except OSError as error:
        raise BadOption(
            f"no classes {text!r}: expected {' or '.join(known)}, or a text file with a class a "
            "line",
            classes=text,
        ) from error
    if all((line.key or "").isdecimal() for line in legend):
        legend = tuple(sorted(legend, key=lambda line: int(line.key or 0)))
    titles, colors = [line.title for line in legend], [line.color for line in legend]
    return scheme_of(titles, Path(text).stem, colors)


def _row(path: Path) -> dict[str, Any]:
    """One model of the list; a damaged file has its error in place of what it holds."""
    from mfnet.model.errors import BadCheckpoint
    from mfnet.model.weights.catalog import read_config

    size = path.stat().st_size
    row: dict[str, Any] = {"name": path.stem, "file": str(path), "bytes": size}
    try:
        config = read_config(path)
    except BadCheckpoint as error:
        return row | {"error": error.message}
    return row | {
        "gsd_m": config.gsd_m,
        "window_px": config.window_px,
        "classes": list(config.classes.names),
    }
