"""`mfnet town`, `mfnet train`, `mfnet evaluate`, `mfnet calibrate`, `mfnet study`,
`mfnet accuracy`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mfnet.model.cli.models import USER_MODELS, ModelsDir
from mfnet.model.engine_options import Device
from mfnet.training.cli.correct import correct
from mfnet.training.cli.data import app as data_app
from mfnet.training.cli.suggest import suggest

if TYPE_CHECKING:
    from mfnet.training.config.recipe import Recipe

app = typer.Typer(no_args_is_help=True)
app.command()(correct)
app.command()(suggest)
app.add_typer(data_app, name="data")

Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, no progress bar.")]

Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key of the recipe, like network.encoder=vit_l; may be repeated.",
    ),
]


@app.command()
def town(
    out_dir: Annotated[Path, typer.Argument(help="Folder for the three rasters.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")] = 0,
    size: Annotated[int, typer.Option(min=64, max=8192, help="Side in pixels.")] = 1024,
    gsd: Annotated[float, typer.Option(min=0.02, max=2.0, help="Metres per pixel.")] = 0.125,
    as_json: AsJson = False,
) -> None:
    """Draw a synthetic town: ortho.tif, ndsm.tif and truth.tif."""
    import json

    from mfnet.training.synthetic.town import draw_town, write_town

    write_town(out_dir, draw_town(seed, size, gsd))
    if as_json:
        typer.echo(json.dumps({"files": ["ortho.tif", "ndsm.tif", "truth.tif"]}))
        return
    typer.echo(f"{out_dir}: ortho.tif, ndsm.tif, truth.tif ({size} × {size} pixels of {gsd} m)")


@app.command()
def recipes(as_json: AsJson = False) -> None:
    """List the recipes that come along."""
    import json

    from mfnet.training.config.recipe_files import recipe_files, title_of

    found = {name: title_of(path) for name, path in recipe_files().items()}
    if as_json:
        typer.echo(json.dumps({"recipes": found}))
        return
    width = max(map(len, found))
    for name, title in found.items():
        typer.echo(f"{name.ljust(width)}  {title}")


@app.command()
def train(
    recipe: Annotated[
        Path,
        typer.Argument(
            help="A name from `mfnet recipes`, a TOML file, or a folder of your own tiles."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default: runs/NAME.")] = None,
    changes: Changes = None,
    parent: Annotated[
        str | None,
        typer.Option("--from", help="A model to start from: --set network.parent=MODEL."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue the run in OUT, or start it if there is none."),
    ] = False,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.AUTO,
    models_dir: ModelsDir = USER_MODELS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Train a model as a recipe says, then measure it.

    A folder of tiles needs no recipe: its files are told apart by their names (a_ortho.tif,
    a_ndsm.tif, a_labels.tif, or folders of these names), what was understood is written to
    manifest.toml in it, and the model `town` (or --from MODEL) is trained on for some minutes.

    The run's folder gets the model, its report (report.html), its log (log.jsonl, and files for
    TensorBoard), the recipe with all its keys, and the state that --resume goes on from. On several
    GPUs: torchrun --nproc-per-node 4 --no-python mfnet train RECIPE.
    """
    from mfnet.training.config.recipe import read_recipe
    from mfnet.training.config.recipe_files import find_recipe
    from mfnet.training.experiments.single_run import run_train

    if recipe.is_dir():
        what = _of_folder(recipe, models_dir, changes or [], parent, as_json=as_json)
    else:
        changed = [*(changes or []), *([f"network.parent={parent}"] if parent else [])]
        what = read_recipe(find_recipe(recipe), changed)
    found = run_train(
        what,
        out,
        models_dir,
        device=device.value,
        threads=threads,
        resume=resume,
        as_json=as_json,
    )
    if found:
        typer.echo(found)


def _of_folder(
    folder: Path, models_dir: Path, changes: list[str], parent: str | None, *, as_json: bool
) -> "Recipe":
    """The recipe for a folder of tiles; tells what was found in it where it has no manifest."""
    from mfnet.model.cli.console import progress
    from mfnet.training.datasets.discovery.write_manifest import discover
    from mfnet.training.datasets.sources.folder_manifest import NAME, read_manifest
    from mfnet.training.experiments.folder_recipe import folder_recipe

    if not (folder / NAME).is_file():
        with progress("reading labels", "files", as_json=as_json) as reading:
            found = discover(
                folder, lambda count: typer.echo(f"{count:,} files …", err=True), reading
            )
        for line in found.lines():
            typer.echo(line, err=True)
        typer.echo(f"wrote {folder / NAME}; correct it where it is wrong", err=True)
    tiles = len(read_manifest(folder).tiles)
    return folder_recipe(folder, tiles, models_dir, changes, parent=parent)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A model's name or .safetensors file.")],
    recipe: Annotated[Path, typer.Argument(help="Recipe that names the data.")],
    changes: Changes = None,
    split: Annotated[
        Literal["test", "validation"], typer.Option(help="Which tiles to measure on.")
    ] = "test",
    stride: Annotated[
        int | None,
        typer.Option(min=1, help="Pixels between windows; the recipe's, else the model's own."),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write the figures into the model's file.")
    ] = False,
    baseline: Annotated[str | None, typer.Option(help="A model to record for comparison.")] = None,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.AUTO,
    models_dir: ModelsDir = USER_MODELS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model on a recipe's test tiles, with the engine that users run.

    On the paper's data sets the paper's figures are printed beside it.
    """
    from mfnet.training.experiments.single_run import run_evaluate

    found = run_evaluate(
        model,
        recipe,
        models_dir,
        changes=changes or [],
        split=split,
        stride=stride,
        device=device.value,
        threads=threads,
        as_json=as_json,
        record=record,
        baseline=baseline,
    )
    typer.echo(found)


@app.command()
def calibrate(
    model: Annotated[str, typer.Argument(help="A model's name or .safetensors file.")],
    recipe: Annotated[Path, typer.Argument(help="Recipe that names the validation tiles.")],
    changes: Changes = None,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.AUTO,
    models_dir: ModelsDir = USER_MODELS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Calibrate a model's confidence on validation tiles; `mfnet train` does this itself."""
    from mfnet.training.experiments.single_run import run_calibrate

    found = run_calibrate(
        model,
        recipe,
        models_dir,
        changes=changes or [],
        device=device.value,
        threads=threads,
        as_json=as_json,
    )
    typer.echo(found)


@app.command()
def study(
    name: Annotated[str, typer.Argument(help="table4, table5 or figure12 of the paper.")],
    recipe: Annotated[Path, typer.Argument(help="Recipe that all runs start from.")],
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each network.")] = 3,
    out: Annotated[
        Path | None, typer.Option(help="Folder of runs and results; default: runs/studies/NAME.")
    ] = None,
    changes: Changes = None,
    device: Annotated[Device, typer.Option(help="Where the networks run.")] = Device.AUTO,
    models_dir: ModelsDir = USER_MODELS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Reproduce a comparison of the paper: train and measure its variants, with several seeds.

    Tables and figure go to the folder, and so does each run; what is done is not done again, so the
    same command goes on with a study that was stopped, or adds seeds or another table.
    """
    from mfnet.training.experiments.study_command import run_study

    found = run_study(
        name,
        recipe,
        out,
        models_dir,
        seeds=seeds,
        changes=changes or (),
        device=device.value,
        threads=threads,
        as_json=as_json,
    )
    typer.echo(found)


@app.command()
def accuracy(
    classes: Annotated[Path, typer.Argument(help="A map of a town, from `mfnet predict`.")],
    truth: Annotated[Path, typer.Argument(help="The town's truth.tif.")],
    as_json: AsJson = False,
) -> None:
    """Compare a map of a synthetic town with its truth."""
    import json

    from mfnet.training.evaluation.map_accuracy import accuracy

    found = accuracy(classes, truth)
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(f"OA {found['oa']:.3f}  mF1 {found['mf1']:.3f}  mIoU {found['miou']:.3f}")
