"""A recipe for a folder of one's own tiles: what to start from, and how long to learn."""

from pathlib import Path

from mfnet.model.weights.catalog import find, read_config
from mfnet.training.config.parent_network import network_of
from mfnet.training.config.recipe import Recipe, parse_recipe
from mfnet.training.config.recipe_toml import write_toml

PARENT = "town"
"""The model to go on from where nobody names another."""

STEPS_A_TILE, FEWEST_STEPS, MOST_STEPS = 60, 200, 2000


def folder_recipe(
    folder: Path, tiles: int, models_dir: Path, changes: list[str], *, parent: str | None = None
) -> Recipe:
    """A short fine-tuning of a model that comes along, on the tiles of a folder.

    Args:
        folder: With a manifest.
        tiles: How many there are; decides the number of steps.
        models_dir: Of further models.
        changes: `key=value` each, on top.
        parent: The model to start from, `town` if not given.

    Raises:
        UnknownModel: There is no such parent.
        BadRecipe: It cannot be trained further; or a change that is none.
    """
    name = parent or PARENT
    config = read_config(find(name, models_dir))
    steps = min(max(STEPS_A_TILE * tiles, FEWEST_STEPS), MOST_STEPS)
    values = {
        "name": _name(folder),
        "log_every": 10,
        "check_every": max(steps // 8, 25),
        "network": network_of(config, name),
        "data": {
            "kind": "folder",
            "folder": str(folder.resolve()),
            "sampling": "classes",
            **({"gsd_m": config.gsd_m} if config.rescale else {}),
        },
        "optimizer": {
            "steps": steps,
            "batch_size": 4,
            "learning_rate": 3e-4,
            "warmup_steps": 30,
            "dice": 0.5,
            "averaging": 0.99,
            "precision": "auto",
        },
        "evaluation": {"windows": 32},
    }
    return parse_recipe(write_toml(values), changes)


def _name(folder: Path) -> str:
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in folder.name)
    return kept.strip("-.") or "own"
