"""A model goes on learning from labelled tiles, and is measured against the one it came from."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mfnet.model.atomic_files import replacing, write_json
from mfnet.model.config import ModelConfig
from mfnet.model.weights.catalog import read_config
from mfnet.model.weights.checkpoint import load_model, rewrite_config
from mfnet.model.weights.file_hash import sha256_of
from mfnet.training.config.recipe import Recipe
from mfnet.training.datasets.sources.open_data import open_data
from mfnet.training.datasets.tiles.interface import Splits
from mfnet.training.evaluation.calibration import calibrate
from mfnet.training.evaluation.checkpoint_selection import kept_check
from mfnet.training.evaluation.evaluate import evaluate
from mfnet.training.evaluation.model_metadata import record_temperature
from mfnet.training.reporting.html_report import write_report
from mfnet.training.retraining.evaluation_scenes import (
    Scenes,
    file_hashes,
    open_scenes,
    require_same,
    require_unseen,
)
from mfnet.training.retraining.map_changes import show_changes
from mfnet.training.retraining.promotion_gate import judge
from mfnet.training.retraining.task import Task, as_told, recipe_for
from mfnet.training.tracking.run_log import LOG, read_log
from mfnet.training.trainer.distributed import joined
from mfnet.training.trainer.initial_weights import find_origin
from mfnet.training.trainer.loop import STATE, train
from mfnet.training.trainer.resume_checkpoint import load_state
from mfnet.training.trainer.run_state import start

SPENT = "spent.txt"
"""In a run's folder: seconds of training so far, those of processes before included."""
SCENES, VALIDATION = "evaluation scenes", "validation tiles"

Tell = Callable[[int, int, str], None]
"""Called with the steps done, their total, and what is being done."""


@dataclass(frozen=True)
class Progress:
    """Tells how far a retraining is, in steps of training; what comes after counts a third more."""

    tell: Tell
    steps: int

    @property
    def total(self) -> int:
        """The steps, four measurements, and the maps of what would change."""
        return self.steps + 5 * self.part

    @property
    def part(self) -> int:
        """Steps that one of these five counts for."""
        return max(1, self.steps // 15)

    def before(self, what: str) -> None:
        """Nothing is trained yet, and this is being read."""
        self.tell(0, self.total, f"reading {what}")

    def trained(self, step: int) -> None:
        """So many steps of training are done."""
        self.tell(step, self.total, f"training, step {step} of {self.steps}")

    def after(self, number: int, what: str, done: int, total: int) -> None:
        """So much of the part of this number, from 0, is done."""
        steps = self.steps + number * self.part + self.part * done // max(total, 1)
        self.tell(steps, self.total, what)


class _OutOfTime(Exception):
    """The minutes are used up, and there is a model: of the step that is given."""


def retrain(
    task: Task, run: Path, before: Path | None, out: Path, models_dir: Path, tell: Tell
) -> dict[str, Any]:
    """Trains, measures the result and its parent on the same tiles, and says which is better.

    Args:
        task: What to do.
        run: Folder of the training run; is made. Gets the retrained model.
        before: Folder of an earlier attempt at the same task, which is taken over and left as it
            is: it may still be written to by a process that has been given up.
        out: Folder for `report.html`, `gate.json`, and of the recent maps `changes.json` and a
            raster each.
        models_dir: Of SAM's weights.
        tell: Hears of the progress, several times a minute.

    Returns:
        JSON values: "file" of the model, its "sha256" and "config", and the gate's "verdict".

    Raises:
        InputError: Recipe, tiles or scenes are at fault.
        TrainingDiverged, DiskFull: See `mfnet.training.trainer.loop.train`.
    """
    config = read_config(task.parent)
    recipe = recipe_for(task, config)
    progress = Progress(tell, recipe.optimizer.steps)
    scenes, splits, tiles = _read(task, recipe, config, progress)
    _take_over(before, run)
    model, remarks = _train(task, recipe, splits, run, models_dir, progress)
    fitted = calibrate(load_model(model, models_dir), splits.validation.areas)
    if fitted is not None:
        record_temperature(model, fitted)
    figures = measure(task, model, scenes, splits, models_dir, progress)
    verdict = judge(figures["parent"], figures["candidate"], task.margin)
    metrics = figures["candidate"][SCENES if scenes.areas else VALIDATION]
    made_of = {"tiles": tiles, "scenes": scenes.sha256, "gate": verdict.to_dict()}
    _record(model, as_told(recipe, task), metrics, parent=task.parent_ref, **made_of)
    write_json(out / "gate.json", {"verdict": verdict.to_dict(), "figures": figures})
    told = partial(progress.after, 4, "mapping what would change")
    show_changes(task.recent, task.parent, model, out, models_dir, told)
    net = load_model(model, models_dir)
    remarks = [f"Retrained from {task.parent_ref}; {verdict.reason}.", *splits.remarks, *remarks]
    write_report(
        out,
        recipe,
        net,
        splits.validation,
        read_log(run),
        measured=figures["candidate"][SCENES] if scenes.areas else None,
        fitted=fitted,
        remarks=remarks,
    )
    return {
        "file": str(model),
        "sha256": sha256_of(model),
        "config": read_config(model).model_dump(mode="json"),
        "verdict": verdict.to_dict(),
    }


def measure(
    task: Task,
    model: Path,
    scenes: Scenes,
    splits: Splits,
    models_dir: Path,
    progress: Progress,
) -> dict[str, dict[str, Any]]:
    """What the parent and the retrained model reach, through the engine: of each, on each set."""
    sets = {SCENES: scenes.areas, VALIDATION: splits.validation.areas}
    figures: dict[str, dict[str, Any]] = {"parent": {}, "candidate": {}}
    for row, (role, path) in enumerate((("parent", task.parent), ("candidate", model))):
        net = load_model(path, models_dir)
        for column, (on, areas) in enumerate(sets.items()):
            gsd_m, folder = net.config.gsd_m, model.parent  # the run's: what a kill leaves goes too

            def told(done: int, total: int, number: int = 2 * row + column, on: str = on) -> None:
                progress.after(number, f"measuring on {on}", done, total)

            found = evaluate(net, areas, splits.scheme, gsd_m=gsd_m, folder=folder, progress=told)
            figures[role][on] = found.summary()
    return figures


# ---- below ---------------------------------------------------------------------------------


def _read(
    task: Task, recipe: Recipe, config: ModelConfig, progress: Progress
) -> tuple[Scenes, Splits, list[dict[str, str]]]:
    """What to measure on, what to learn from, and the latter's files; refused before a step."""
    progress.before("the labelled tiles")
    scenes = open_scenes(task.scenes, config, progress.before)
    splits = open_data(recipe.data, recipe.network.window_px, seen_at_m=recipe.seen_at_m)
    require_same(config.classes, splits.scheme, "the labelled tiles")
    tiles = [file_hashes(folder, progress.before) for folder in task.tiles]
    require_unseen(scenes.sha256, tiles)
    return scenes, splits, tiles


def _take_over(before: Path | None, run: Path) -> None:
    """Copies what a run goes on from; each file is whole, whoever may be writing newer ones.

    Those are written model first and state last, so they are read the other way round: a model that
    is newer than the state is made again by the steps that follow, an older one would stay.

    The folder appears when all is in it: an attempt that ends while it copies leaves nothing that
    the next one would take for all there was.
    """
    part = run.with_name(f".{run.name}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    if before is not None:
        for path in (before / STATE, before / LOG, before / SPENT, *before.glob("*.safetensors")):
            if path.is_file():
                shutil.copyfile(path, part / path.name)
    part.rename(run)


def _train(
    task: Task, recipe: Recipe, splits: Splits, run: Path, models_dir: Path, progress: Progress
) -> tuple[Path, list[str]]:
    """The run's steps that are left, as far as there is time; the model, and remarks."""
    remarks: list[str] = []
    spent = run / SPENT
    model = run / f"{recipe.name}.safetensors"
    already = float(spent.read_text()) if spent.is_file() else 0.0
    began = time.monotonic()

    def report(found: dict[str, Any]) -> None:
        progress.trained(found["step"])
        seconds = already + time.monotonic() - began
        with replacing(spent) as part:
            part.write_text(f"{seconds:.0f}")
        if "miou" in found or task.minutes is None or seconds <= 60 * task.minutes:
            return  # a check's model is written after it is told of
        if (kept := kept_check(read_log(run), recipe.evaluation.keep)) is not None:
            raise _OutOfTime(kept["step"])

    with joined("auto") as processes:
        training = start(recipe, splits.scheme, find_origin(recipe, models_dir), processes)
        if (run / STATE).is_file():
            load_state(training, run / STATE)
        try:
            train(training, splits.train, splits.validation, run, report=report)
        except _OutOfTime as end:
            remarks.append(
                f"The {task.minutes:g} minutes were used up after {training.step} of "
                f"{recipe.optimizer.steps} steps; the model is that of step {end}."
            )
    return model, [*training.remarks, *remarks]


def _record(model: Path, recipe: Recipe, metrics: dict[str, Any], **origin: Any) -> None:
    """Writes figures and provenance into the model's file; the recipe names no path of ours."""
    config = read_config(model)
    told = {**config.provenance, "recipe": recipe.model_dump(mode="json"), **origin}
    rewrite_config(model, config.model_copy(update={"metrics": metrics, "provenance": told}))
