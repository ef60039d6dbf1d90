"""What a retraining is to do, and the recipe that follows from it and from the parent."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfnet.model.config import ENCODERS, ModelConfig
from mfnet.model.errors import BadRecipe
from mfnet.model.weights.sam_base import PUBLISHED
from mfnet.training.config.data import FolderRecipe
from mfnet.training.config.recipe import Recipe, parse_recipe
from mfnet.training.config.recipe_toml import read_toml, write_toml
from mfnet.training.retraining.map_changes import RecentMap

RECIPES = Path(__file__).parents[1] / "recipes"
MOST_UNCHECKED, MOST_UNTOLD = 50, 5
"""Steps between two checks, and between two lines of the log, where minutes are limited."""


@dataclass(frozen=True)
class Task:
    """A retraining, as it was asked for.

    Attributes:
        parent: The model's file.
        parent_ref: What the service calls it, with its version.
        tiles: Folders with a manifest of labelled tiles, at least one.
        scenes: Folder of evaluation scenes, perhaps empty or not there.
        recipe: Name of a packaged recipe.
        changes: Of the recipe, `key=value` each.
        steps: Of training; the recipe's where it is None.
        minutes: Training ends after so many, where there are fewer than its steps need.
        margin: IoU that a class may fall by.
        recent: Maps for which it is to be shown what would change.
    """

    parent: Path
    parent_ref: str
    tiles: tuple[Path, ...]
    scenes: Path
    recipe: str = "retrain"
    changes: tuple[str, ...] = ()
    steps: int | None = None
    minutes: float | None = None
    margin: float = 0.02
    recent: tuple[RecentMap, ...] = ()


def recipe_for(task: Task, config: ModelConfig) -> Recipe:
    """The recipe of a retraining: the network is the parent's, the data are the tiles.

    Raises:
        BadRecipe: There is no such recipe, a change is none, or the parent's encoder has a shape
            that no recipe can name.
    """
    path = RECIPES / f"{task.recipe}.toml"
    known = sorted(path.stem for path in RECIPES.glob("*.toml"))
    if task.recipe not in known:
        raise BadRecipe(f"there is no recipe {task.recipe!r}; expected one of {', '.join(known)}")
    steps = [] if task.steps is None else [f"optimizer.steps={task.steps}"]
    values = read_toml(path.read_text(encoding="utf-8"), [*task.changes, *steps])
    shown = {k: v for k, v in values["data"].items() if k in ("augmentation", "sampling")}
    folder, *also = map(str, task.tiles)
    gsd = {} if config.gsd_m is None else {"gsd_m": config.gsd_m}
    values |= {
        "name": config.name,
        "network": _network_of(config, task.parent),
        "data": {"kind": "folder", "folder": folder, "also": also, **gsd, **shown},
    }
    recipe = parse_recipe(write_toml(values))
    return recipe if task.minutes is None else recipe.model_copy(update=_often(recipe))


def as_told(recipe: Recipe, task: Task) -> Recipe:
    """The recipe as every user of a service may read it: with no path of this machine."""
    data = recipe.data
    assert isinstance(data, FolderRecipe)
    also = tuple(Path(folder.name) for folder in data.also)
    return recipe.model_copy(
        update={
            "network": recipe.network.model_copy(update={"parent": task.parent_ref}),
            "data": data.model_copy(update={"folder": Path(data.folder.name), "also": also}),
        }
    )


def _often(recipe: Recipe) -> dict[str, int]:
    """How often a training is looked at that ends with its minutes: it ends where there is a model.

    Otherwise a change of these keys would make it go on.
    """
    most = {"check_every": MOST_UNCHECKED, "log_every": MOST_UNTOLD}
    return {key: min(getattr(recipe, key), steps) for key, steps in most.items()}


def _network_of(config: ModelConfig, parent: Path) -> dict[str, Any]:
    """A recipe's table `network` for a parent's network."""
    names = [name for name, encoder in ENCODERS.items() if encoder == config.encoder]
    if not names:
        raise BadRecipe(
            f"the encoder of {config.name!r} is none of {', '.join(ENCODERS)}; expected one of "
            "these, to be trained further"
        )
    ranges = [(m.low, m.high) for m in config.modalities if m.name == "ndsm"]
    return {
        "encoder": names[0],
        "tuning": config.tuning,
        "fusion": config.fusion,
        "modalities": [modality.name for modality in config.modalities],
        **({"height_range_m": list(ranges[0])} if ranges else {}),
        "window_px": config.window_px,
        "train_encoder": names[0] not in PUBLISHED,  # SAM's stays as it is
        "parent": str(parent),
    }
