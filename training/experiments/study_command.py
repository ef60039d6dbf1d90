"""What `mfnet study` does."""

import json
from collections.abc import Sequence
from pathlib import Path

from mfnet.model.engine_options import require_known
from mfnet.training.config.recipe import read_recipe
from mfnet.training.datasets.sources.open_data import class_scheme
from mfnet.training.experiments.definitions import STUDIES
from mfnet.training.experiments.figure12 import draw_shares
from mfnet.training.experiments.results_table import page, summary
from mfnet.training.experiments.study_runs import Workplace, measure
from mfnet.training.tracking.disk_errors import writing


def run_study(
    name: str,
    recipe_path: Path,
    out: Path | None,
    models_dir: Path,
    *,
    seeds: int,
    changes: Sequence[str] = (),
    device: str = "auto",
    threads: int | None = None,
    as_json: bool = False,
) -> str:
    """Trains and measures what a study compares; writes and returns what came of it.

    Args:
        name: A key of `STUDIES`.
        recipe_path: That all runs start from.
        out: Folder of the runs and results; `runs/studies/NAME` of the recipe if not given.
        models_dir: Of bases and SAM's weights.
        seeds: Runs a variant.
        changes: Of the recipe, `key=value` each.
        device: A name in `mfnet.model.engine_options.Device`.
        threads: Of the CPU.
        as_json: Return JSON, and print the runs' lines.

    Raises:
        BadOption: There is no such study.
        BadRecipe: The recipe does not suit it.
    """
    require_known("study", name, STUDIES)
    study, recipe = STUDIES[name], read_recipe(recipe_path, changes)
    out = out or Path("runs") / "studies" / recipe.name
    place = Workplace(recipe_path, tuple(changes), out, models_dir, device, threads, as_json)
    found = measure(study, seeds, place)
    scheme = class_scheme(recipe.data)
    text = page(study, found, recipe, scheme)
    values = json.dumps(summary(study, found, recipe, scheme))
    picture = out / f"{name}.svg"
    if any(variant.share < 1 for variant in study.variants):
        draw_shares(found, picture)
        text += f"\n![{study.title}]({picture.name})\n"
    for suffix, content in (("md", text), ("json", values)):
        with writing(out / f"{name}.{suffix}", len(content)):
            (out / f"{name}.{suffix}").write_text(content, encoding="utf-8")
    return values if as_json else text
