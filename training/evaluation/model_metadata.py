"""What a model's file says of itself beside its weights: figures, temperature, where it is from."""

from pathlib import Path
from typing import Any

from mfnet.model.weights.catalog import find, read_config
from mfnet.model.weights.checkpoint import rewrite_config
from mfnet.training.config.recipe import Recipe
from mfnet.training.evaluation.calibration import Calibration


def record_figures(path: Path, recipe: Recipe, metrics: dict[str, Any], **origin: Any) -> None:
    """Writes figures into a model's file.

    Args:
        path: The file.
        recipe: Of the data that it was measured on; kept where the file names none that it was
            trained by.
        metrics: What was found, JSON values.
        origin: What else is known of where it comes from, JSON values.
    """
    config = read_config(path)
    provenance = {"recipe": recipe.model_dump(mode="json"), **config.provenance, **origin}
    rewrite_config(path, config.model_copy(update={"metrics": metrics, "provenance": provenance}))


def record_temperature(path: Path, fitted: Calibration) -> None:
    """Writes a temperature, and what it was worth, into a model's file."""
    config = read_config(path)
    provenance = {**config.provenance, "calibration": fitted.summary()}
    changes = {"temperature": fitted.temperature, "provenance": provenance}
    rewrite_config(path, config.model_copy(update=changes))


def recorded(model: str, models_dir: Path) -> dict[str, Any]:
    """Name and figures of a model as they were recorded in its file."""
    config = read_config(find(model, models_dir))
    return {"name": config.name, **config.metrics}
