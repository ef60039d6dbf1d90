"""What a rule without weights finds on the same tiles: the figures that a network must beat."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mfnet.model.classes import ClassScheme
from mfnet.model.inference.runtimes.rule import RuleRuntime, rule_config, suits
from mfnet.training.config.data import (
    DataRecipe,
    FlairRecipe,
    HunanRecipe,
    PotsdamRecipe,
    VaihingenRecipe,
)
from mfnet.training.datasets.tiles.interface import Area
from mfnet.training.evaluation.class_metrics import Confusion
from mfnet.training.evaluation.evaluate import evaluate

KEYS = ("oa", "mf1", "miou", "classes")
"""What is kept of the rule's figures."""


def rule_figures(
    data: DataRecipe,
    areas: Sequence[Area],
    scheme: ClassScheme,
    *,
    gsd_m: float | None = None,
    folder: Path | None = None,
) -> dict[str, Any] | None:
    """The rule's figures on areas, JSON values: `KEYS` of `Confusion.summary`.

    Args:
        data: Which data set they are of: says what the bands are, and whether heights are metres.
        areas: As of `evaluate`.
        scheme: Their classes.
        gsd_m: As of `evaluate`.
        folder: As of `evaluate`.

    Returns:
        None where the rule says nothing: other classes than buildings and trees, heights that are
        no metres.
    """
    if not suits(scheme) or not _has_metres(data):
        return None
    found = Confusion(scheme)
    for infrared in (False, True):
        some = [area for area in areas if _infrared(data, area) == infrared]
        if some:
            rule = RuleRuntime(rule_config(infrared=infrared, scheme=scheme))
            found.merge(evaluate(rule, some, scheme, gsd_m=gsd_m, folder=folder).confusion)
    summary = found.summary()
    return {key: summary[key] for key in KEYS}


def _has_metres(data: DataRecipe) -> bool:
    return getattr(data, "heights", None) != "per-raster" and not isinstance(data, HunanRecipe)


def _infrared(data: DataRecipe, area: Area) -> bool:
    """Whether an area's bands are near infrared, red, green. One's own tiles are taken as RGB."""
    if isinstance(data, VaihingenRecipe):
        return True
    if isinstance(data, PotsdamRecipe | FlairRecipe):
        return data.bands == "irrg"
    return bool(getattr(area.tile, "infrared", False))
