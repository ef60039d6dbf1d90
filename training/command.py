"""What the commands of `training.cli` do, with a bar for people and lines of JSON for programs."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from model.checkpoint import load_model, rewrite_config
from model.library import find, read_config
from training.datasets.towns import TownPool, draw_pool
from training.evaluate import evaluate
from training.loop import Report, start, train
from training.recipe import Recipe, read_recipe


def run_train(
    recipe_path: Path,
    out: Path,
    models_dir: Path,
    threads: int | None,
    resume: bool,
    as_json: bool,
) -> str:
    """Trains, measures, and writes what was measured into the model; returns what to print."""
    recipe = read_recipe(recipe_path)
    if threads:
        torch.set_num_threads(threads)
    run = start(recipe, models_dir)  # before the towns, which take minutes: it may be refused
    if resume and (out / "state.pt").is_file():
        run.resume(out / "state.pt")
    out.mkdir(parents=True, exist_ok=True)
    (out / "recipe.toml").write_bytes(recipe_path.read_bytes())
    pool, held_out = _pools(recipe, threads or os.cpu_count() or 1)
    with _progress(as_json, "training") as report:
        path = train(run, pool, held_out, out, report=report)
    return run_evaluate(str(path), recipe_path, models_dir, None, threads, as_json, record=True)


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
    net = load_model(path, models_dir)
    with _progress(as_json, "towns") as report:
        found = evaluate(
            net,
            recipe,
            stride=stride,
            progress=lambda done, total: report({"step": done, "steps": total}),
        )
    if record:
        metrics = (
            found if baseline is None else {**found, "baseline": _recorded(baseline, models_dir)}
        )
        origin = {"recipe": recipe.model_dump(mode="json"), "commit": _commit(recipe_path.parent)}
        config = net.config.model_copy(update={"metrics": metrics, "provenance": origin})
        rewrite_config(path, config)
    return json.dumps(found) if as_json else _table(found)


def _recorded(model: str, models_dir: Path) -> dict[str, Any]:
    """Name and figures of a model as they were recorded in its file."""
    config = read_config(find(model, models_dir))
    return {"name": config.name, **config.metrics}


def _pools(recipe: Recipe, workers: int) -> tuple[TownPool, TownPool]:
    data = recipe.data
    return (
        draw_pool(data.first_seed, data.towns, data.size_px, data.gsd_m, workers),
        draw_pool(data.held_out_first_seed, data.held_out_towns, data.size_px, data.gsd_m, workers),
    )


@contextmanager
def _progress(as_json: bool, what: str) -> Iterator[Report]:
    """A report that prints JSON lines, or moves a bar."""
    if as_json:
        yield lambda found: typer.echo(json.dumps(found))
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None, note="")

        def report(found: dict[str, Any]) -> None:
            note = " ".join(f"{k} {found[k]:.3f}" for k in ("loss", "miou") if found.get(k))
            bar.update(task, completed=found["step"], total=found["steps"], note=note)

        yield report


def _table(found: dict[str, Any]) -> str:
    def percent(share: float | None) -> str:
        return "    –" if share is None else f"{100 * share:5.1f}"

    lines = [f"{'':20}   IoU    F1"]
    for name, figures in found["classes"].items():
        lines.append(f"{name:20} {percent(figures['iou'])} {percent(figures['f1'])}")
    lines.append(f"{'foreground mean':20} {percent(found['miou'])} {percent(found['mf1'])}")
    lines.append(f"{'overall accuracy':20} {percent(found['oa'])}")
    return "\n".join(lines)


def _commit(folder: Path) -> str | None:
    """The commit that a folder's files are of, if it lies in a Git checkout."""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
