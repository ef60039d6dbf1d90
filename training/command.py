"""What the commands of `training.cli` do, with a bar for people and lines of JSON for programs."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer

from model.checkpoint import load_model, rewrite_config
from model.console import emit, progress
from model.errors import BadOption
from model.library import find, read_config
from training.datasets.opening import class_scheme, open_areas, open_data
from training.disk import writing
from training.evaluate import evaluate, require_same_classes
from training.log import read_log
from training.loop import STATE, Report, train
from training.origin import find_origin
from training.processes import Processes, joined
from training.recipe import Recipe, read_recipe
from training.report import write_report
from training.run import Run, start
from training.state import load_state

RECIPE = "recipe.toml"
"""In a run's folder: the recipe with every key, changes included."""


def run_train(
    recipe_path: Path,
    out: Path | None,
    models_dir: Path,
    *,
    changes: Sequence[str] = (),
    device: str = "auto",
    threads: int | None = None,
    resume: bool = False,
    as_json: bool = False,
) -> str:
    """Trains, reports, measures, and writes what was measured into the model.

    Args:
        recipe_path: What to do.
        out: The run's folder; `runs/NAME` if not given.
        models_dir: Of parents, and of SAM's weights.
        changes: Of the recipe, `key=value` each.
        device: A name in `model.options.Device`.
        threads: Of the CPU.
        resume: Go on with the run in `out`, if there is one.
        as_json: Lines of JSON on standard output instead of a bar.

    Returns:
        What to print: the figures, as a table or JSON; nothing in any process but the first.
    """
    recipe = read_recipe(recipe_path, changes)
    out = out or Path("runs") / recipe.name
    if threads:
        torch.set_num_threads(threads)
    origin = find_origin(recipe, models_dir)  # before the data, which take minutes: may be refused
    if (out / STATE).is_file() and not resume:
        raise BadOption(f"{out} holds a run: go on with --resume, or choose another --out")
    data = open_data(recipe.data, recipe.network.window_px, workers=threads or os.cpu_count() or 1)
    with joined(device) as processes:
        run = start(recipe, data.scheme, origin, processes)
        remarks = (*data.remarks, *run.remarks)
        _open_folder(out, run, remarks)
        with _told(as_json, processes) as tell:
            path = train(run, data.train, data.validation, out, report=tell)
    if not processes.first:
        return ""
    report = partial(
        write_report, out, recipe, run.average.net, data.validation, read_log(out), remarks=remarks
    )
    report()  # whatever becomes of the evaluation
    found = _measure(path, recipe, models_dir, None, as_json)
    _record(path, recipe, found)
    report(measured=found)
    return json.dumps(found) if as_json else _table(found)


def run_evaluate(
    model: str,
    recipe_path: Path,
    models_dir: Path,
    stride: int | None,
    threads: int | None,
    as_json: bool,
    *,
    record: bool = False,
    baseline: str | None = None,
) -> str:
    """Measures a model; returns a table, or JSON.

    Args:
        model: Name or path.
        recipe_path: Whose held-out towns are mapped.
        models_dir: Of further models, and of SAM's weights.
        stride: Pixels between windows; the model's own if not given.
        threads: Of the CPU.
        as_json: JSON instead of a table.
        record: Write the figures, the recipe and the commit into the model's file.
        baseline: A model whose recorded figures are recorded beside this one's.
    """
    recipe = read_recipe(recipe_path)
    if threads:
        torch.set_num_threads(threads)
    path = find(model, models_dir)
    found = _measure(path, recipe, models_dir, stride, as_json)
    if record:
        compared = {} if baseline is None else {"baseline": _recorded(baseline, models_dir)}
        _record(path, recipe, {**found, **compared})
    return json.dumps(found) if as_json else _table(found)


def _measure(
    path: Path, recipe: Recipe, models_dir: Path, stride: int | None, as_json: bool
) -> dict[str, Any]:
    net = load_model(path, models_dir)
    require_same_classes(net, class_scheme(recipe.data))  # before the data, which take minutes
    areas = open_areas(recipe.data, recipe.network.window_px, "test", workers=1)
    with progress("measuring", "pixels", as_json=as_json) as advance:
        found = evaluate(
            net,
            areas,
            class_scheme(recipe.data),
            gsd_m=recipe.data.gsd_m,
            stride=stride,
            progress=advance,
        )
    return found.summary()


def _record(path: Path, recipe: Recipe, metrics: dict[str, Any]) -> None:
    """Writes figures, recipe and commit into a model's file."""
    origin = {"recipe": recipe.model_dump(mode="json"), "commit": _commit()}
    config = read_config(path).model_copy(update={"metrics": metrics, "provenance": origin})
    rewrite_config(path, config)


def _recorded(model: str, models_dir: Path) -> dict[str, Any]:
    """Name and figures of a model as they were recorded in its file."""
    config = read_config(find(model, models_dir))
    return {"name": config.name, **config.metrics}


def _open_folder(out: Path, run: Run, remarks: Sequence[str]) -> None:
    """Takes over the state of the run in a folder; else makes the folder. Writes the recipe."""
    if (out / STATE).is_file():
        load_state(run, out / STATE)
    if run.processes.first:
        with writing(out / RECIPE):
            out.mkdir(parents=True, exist_ok=True)
            (out / RECIPE).write_text(run.recipe.toml(), encoding="utf-8")
        for remark in remarks:
            typer.echo(f"Note: {remark}", err=True)


@contextmanager
def _told(as_json: bool, processes: Processes) -> Iterator[Report]:
    """A report that prints lines of JSON; or moves a bar, and a line a check above it."""
    if as_json or not processes.first:
        yield emit if processes.first else lambda found: None
        return
    with progress("training", "steps", as_json=False) as advance:

        def tell(found: dict[str, Any]) -> None:
            advance(found["step"], found["steps"])
            if "miou" in found:
                typer.echo(_check_line(found), err=True)

        yield tell


def _check_line(found: dict[str, Any]) -> str:
    shown = (("mIoU", "miou"), ("mF1", "mf1"), ("overall accuracy", "oa"))
    figures = ", ".join(f"{title} {_percent(found[key]).strip()}" for title, key in shown)
    return f"step {found['step']:,} of {found['steps']:,}: {figures}"


def _table(found: dict[str, Any]) -> str:
    lines = [f"{'':20}   IoU    F1"]
    for name, figures in found["classes"].items():
        lines.append(f"{name:20} {_percent(figures['iou'])} {_percent(figures['f1'])}")
    lines.append(f"{'foreground mean':20} {_percent(found['miou'])} {_percent(found['mf1'])}")
    lines.append(f"{'overall accuracy':20} {_percent(found['oa'])}")
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "    –" if share is None else f"{100 * share:5.1f}"


def _commit() -> str | None:
    """The commit that this program is of, if it lies in a Git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
