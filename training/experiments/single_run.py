"""What the training commands do, with a bar for people and lines of JSON for programs."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer

from mfnet.model.cli.console import emit, progress
from mfnet.model.errors import BadLabels, BadOption, BadRecipe
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.catalog import find
from mfnet.model.weights.checkpoint import load_model
from mfnet.training.config.data import DataRecipe, learns_from_validation, require_same_heights
from mfnet.training.config.recipe import Recipe, read_recipe
from mfnet.training.config.recipe_files import find_recipe
from mfnet.training.datasets.sources.open_data import Measured, class_scheme, open_areas, open_data
from mfnet.training.datasets.tiles.interface import Area, Splits
from mfnet.training.evaluation.calibration import Calibration, calibrate
from mfnet.training.evaluation.checkpoint_selection import kept_check
from mfnet.training.evaluation.evaluate import evaluate, require_same_classes
from mfnet.training.evaluation.model_metadata import record_figures, record_temperature, recorded
from mfnet.training.evaluation.rule_baseline import rule_figures
from mfnet.training.reporting.html_report import write_report
from mfnet.training.reporting.text_tables import figures, percent
from mfnet.training.tracking.disk_errors import writing
from mfnet.training.tracking.git_commit import commit
from mfnet.training.tracking.run_log import read_log
from mfnet.training.trainer.distributed import Processes, joined
from mfnet.training.trainer.initial_weights import find_origin
from mfnet.training.trainer.loop import STATE, Report, train
from mfnet.training.trainer.resume_checkpoint import load_state
from mfnet.training.trainer.run_state import Run, start

RECIPE = "recipe.toml"
"""In a run's folder: the recipe with every key, changes included."""


def run_train(
    recipe: Recipe,
    out: Path | None,
    models_dir: Path,
    *,
    device: str = "auto",
    threads: int | None = None,
    resume: bool = False,
    as_json: bool = False,
) -> str:
    """Trains, reports, measures, and writes what was measured into the model.

    Args:
        recipe: What to do.
        out: The run's folder; `runs/NAME` if not given.
        models_dir: Of parents, and of SAM's weights.
        device: A name in `mfnet.model.engine_options.Device`.
        threads: Of the CPU.
        resume: Go on with the run in `out`, if there is one.
        as_json: Lines of JSON on standard output instead of a bar.

    Returns:
        What to print: the figures, as a table or JSON; nothing in any process but the first.
    """
    out = out or Path("runs") / recipe.name
    if threads:
        torch.set_num_threads(threads)
    origin = find_origin(recipe, models_dir)  # before the data, which take minutes: may be refused
    if (out / STATE).is_file() and not resume:
        raise BadOption(f"{out} holds a run: go on with --resume, or choose another --out")
    data = open_data(
        recipe.data,
        recipe.network.window_px,
        workers=_workers(threads),
        seen_at_m=recipe.seen_at_m,
    )
    with joined(device) as processes:
        run = start(recipe, data.scheme, origin, processes, data.train)
        remarks = (*data.remarks, *run.remarks)
        _open_folder(out, run, remarks)
        with _told(as_json, processes) as tell:
            path = train(run, data.train, data.validation, out, report=tell)
    if not processes.first:
        return ""
    found = _finish(path, run.recipe, data, models_dir, remarks, device=device, as_json=as_json)
    return json.dumps(found) if as_json else figures(found, run.net.config, recipe.data.kind)


def run_evaluate(
    model: str,
    recipe_path: Path,
    models_dir: Path,
    *,
    changes: Sequence[str] = (),
    split: Measured = "test",
    stride: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    as_json: bool = False,
    record: bool = False,
    baseline: str | None = None,
) -> str:
    """Measures a model; returns tables, or JSON.

    Args:
        model: Name or path.
        recipe_path: Whose data it is measured on.
        models_dir: Of further models, and of SAM's weights.
        changes: Of the recipe, `key=value` each.
        split: `test` or `validation`.
        stride: Pixels between windows; the recipe's, else the model's own, if not given.
        device: A name in `mfnet.model.engine_options.Device`.
        threads: Of the CPU.
        as_json: JSON instead of tables.
        record: Write the figures, the recipe and the commit into the model's file.
        baseline: A model whose recorded figures are recorded beside this one's.
    """
    recipe = read_recipe(find_recipe(recipe_path), changes)
    if threads:
        torch.set_num_threads(threads)
    path = find(model, models_dir)
    net = load_model(path, models_dir)
    _require_suitable(net, recipe.data)  # before the data, which take minutes
    areas = open_areas(recipe.data, recipe.network.window_px, split, workers=_workers(threads))
    found = _measure(net, recipe, areas, split=split, stride=stride, device=device, as_json=as_json)
    if record:
        compared = {} if baseline is None else {"baseline": recorded(baseline, models_dir)}
        record_figures(path, recipe, {**found, **compared})
    return json.dumps(found) if as_json else figures(found, net.config, recipe.data.kind)


def run_calibrate(
    model: str,
    recipe_path: Path,
    models_dir: Path,
    *,
    changes: Sequence[str] = (),
    device: str = "auto",
    threads: int | None = None,
    as_json: bool = False,
) -> str:
    """Fits a model's temperature on a recipe's validation split; arguments as of `run_evaluate`.

    Raises:
        BadLabels: Not one pixel of the split is labelled.
    """
    recipe = read_recipe(find_recipe(recipe_path), changes)
    if threads:
        torch.set_num_threads(threads)
    path = find(model, models_dir)
    net = load_model(path, models_dir)
    if learns_from_validation(recipe.data):
        raise BadRecipe(
            "data.validation is 'in-training': a temperature fitted on tiles that were learned "
            "from would be too low; expected --set data.validation=apart, and a model that has not "
            "learned from them"
        )
    _require_suitable(net, recipe.data)
    areas = open_areas(
        recipe.data,
        recipe.network.window_px,
        "validation",
        workers=_workers(threads),
        seen_at_m=net.config.gsd_m if net.config.rescale else None,
    )
    fitted = calibrate(net, areas, device=device)
    if fitted is None:
        raise BadLabels("not one validation pixel is labelled; expected some to fit on")
    record_temperature(path, fitted)
    return json.dumps(fitted.summary()) if as_json else _fit_line(fitted)


def _finish(
    path: Path,
    recipe: Recipe,
    data: Splits,
    models_dir: Path,
    remarks: Sequence[str],
    *,
    device: str,
    as_json: bool,
) -> dict[str, Any]:
    """Calibrates the model that was kept, measures it on the test tiles, and reports."""
    log = read_log(path.parent)
    fitted = None
    if learns_from_validation(recipe.data):
        remarks = (*remarks, "The validation tiles were learned from: no temperature was fitted.")
    else:
        fitted = calibrate(load_model(path, models_dir), data.validation.areas, device=device)
    if fitted is not None:
        record_temperature(path, fitted)
    net = load_model(path, models_dir)
    report = partial(
        write_report, path.parent, recipe, net, data.validation, log,
        fitted=fitted, remarks=remarks,
    )  # fmt: skip
    report()  # whatever becomes of the evaluation
    found = _measure(net, recipe, data.test(), device=device, as_json=as_json)
    kept = kept_check(log, recipe.evaluation.keep)
    record_figures(path, recipe, found, step=None if kept is None else kept["step"])
    report(measured=found)
    return found


def _require_suitable(net: MFNet, data: DataRecipe) -> None:
    """Refuses data that a model takes for something else, BadRecipe."""
    require_same_classes(net, class_scheme(data))
    for modality in net.config.modalities:
        if modality.unit == "metre":
            require_same_heights(data, (modality.low, modality.high))


def _measure(
    net: MFNet,
    recipe: Recipe,
    areas: Sequence[Area],
    *,
    split: Measured = "test",
    stride: int | None = None,
    device: str,
    as_json: bool,
) -> dict[str, Any]:
    with progress("measuring", "pixels", as_json=as_json) as advance:
        found = evaluate(
            net,
            areas,
            class_scheme(recipe.data),
            gsd_m=recipe.data.gsd_m,
            stride=stride or recipe.evaluation.stride_px,
            blend=recipe.evaluation.blend,
            device=device,
            progress=advance,
        ).summary()
    scheme = class_scheme(recipe.data)
    found["rule"] = rule_figures(recipe.data, areas, scheme, gsd_m=recipe.data.gsd_m)
    found["conditions"] |= {"data": recipe.data.kind, "split": split, "commit": commit()}
    return found


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
    said = ", ".join(f"{title} {percent(found[key])}" for title, key in shown)
    return f"step {found['step']:,} of {found['steps']:,}: {said}"


def _fit_line(fitted: Calibration) -> str:
    before, after = (percent(found["ece"]) for found in (fitted.before, fitted.after))
    return (
        f"temperature {fitted.temperature:g}: expected calibration error {after} instead of "
        f"{before} percent, on {fitted.pixels:,} validation pixels"
    )


def _workers(threads: int | None) -> int:
    return threads or os.cpu_count() or 1
