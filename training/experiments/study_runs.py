"""Trains and measures the variants of a study; what is done already is not done again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from mfnet.model.atomic_files import replacing
from mfnet.model.errors import BadRecipe
from mfnet.model.weights.catalog import read_config
from mfnet.training.config.recipe import Recipe, read_recipe
from mfnet.training.experiments.definitions import Study, Variant
from mfnet.training.experiments.single_run import run_train
from mfnet.training.tracking.disk_errors import writing
from mfnet.training.trainer.initial_weights import find_origin
from mfnet.training.trainer.run_state import changed_facts, facts_of

MEASURED = "measured.json"
"""In a run's folder, once it is finished: what it was made of, and what evaluation found."""

Measured = dict[Variant, list[dict[str, Any]]]
"""What evaluation found of each variant, one a seed."""


@dataclass(frozen=True)
class Workplace:
    """Where the runs of a study go, and by what they are made.

    Args:
        recipe: The file that all start from.
        changes: Of it, `key=value` each.
        out: A run is `out/VARIANT/seed-N`.
        models_dir: Of bases and SAM's weights.
        device: A name in `mfnet.model.engine_options.Device`.
        threads: Of the CPU.
        as_json: Lines of JSON on standard output instead of bars.
    """

    recipe: Path
    changes: tuple[str, ...]
    out: Path
    models_dir: Path
    device: str = "auto"
    threads: int | None = None
    as_json: bool = False


def measure(study: Study, seeds: int, place: Workplace) -> Measured:
    """Trains and evaluates each variant with each seed, all variants of a seed in turn.

    Args:
        study: What is compared.
        seeds: How many, counted up from the recipe's.
        place: Where and how.

    Raises:
        BadRecipe: The recipe does not suit a study, or a finished run was of another one.
    """
    recipe = read_recipe(place.recipe, place.changes)
    _require_suitable(recipe, study)
    first = recipe.optimizer.seed
    wanted = [(v, first + number) for number in range(seeds) for v in study.variants]
    found: Measured = {variant: [] for variant in study.variants}
    for number, (variant, seed) in enumerate(wanted, 1):
        typer.echo(f"Run {number} of {len(wanted)}: {variant.name}, seed {seed}", err=True)
        found[variant].append(_run(variant.changes(recipe, seed), variant, seed, place))
    return found


def _run(changes: Sequence[str], variant: Variant, seed: int, place: Workplace) -> dict[str, Any]:
    folder = place.out / variant.name / f"seed-{seed}"
    changes = [*place.changes, *changes]
    recipe = read_recipe(place.recipe, changes)
    facts = facts_of(recipe, find_origin(recipe, place.models_dir))
    if (folder / MEASURED).is_file():
        return _finished(folder / MEASURED, facts)
    run_train(
        recipe,
        folder,
        place.models_dir,
        device=place.device,
        threads=place.threads,
        resume=True,
        as_json=place.as_json,
    )
    config = read_config(folder / f"{recipe.name}.safetensors")
    figures = {**config.metrics, "commit": config.provenance["commit"]}
    _write(folder / MEASURED, {"facts": facts, "figures": figures})
    return figures


def _finished(path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if differing := changed_facts(found["facts"], facts):
        raise BadRecipe(
            f"the finished run in {path.parent} was another: {'; '.join(differing)}; give the "
            "recipe as it was, or another --out"
        )
    figures: dict[str, Any] = found["figures"]
    return figures


def _require_suitable(recipe: Recipe, study: Study) -> None:
    network = recipe.network
    wanted = dict.fromkeys(name for v in study.variants for name in v.modalities)
    lacking = [name for name in wanted if name not in network.modalities]
    if lacking:
        raise BadRecipe(
            f"network.modalities is {', '.join(network.modalities)}; the study compares networks "
            f"with and without {', '.join(lacking)}: expected {', '.join(wanted)}"
        )
    if network.train_encoder or network.parent is not None:
        key = "train_encoder is true" if network.train_encoder else f"parent is {network.parent!r}"
        raise BadRecipe(
            f"network.{key}; the variants of a study differ in what stands beside one frozen "
            "encoder: expected SAM's weights, or a network.base, and no training of it"
        )


def _write(path: Path, found: dict[str, Any]) -> None:
    text = json.dumps(found, indent=1)
    with writing(path, len(text)), replacing(path) as part:
        part.write_text(text, encoding="utf-8")
