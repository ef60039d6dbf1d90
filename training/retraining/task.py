"""What a retraining is to do, and the recipe that follows from it and from the parent."""

from dataclasses import dataclass
from pathlib import Path

from mfnet.model.config import ModelConfig
from mfnet.model.errors import BadRecipe
from mfnet.training.config.data import FolderRecipe
from mfnet.training.config.parent_network import network_of
from mfnet.training.config.recipe import Recipe, parse_recipe
from mfnet.training.config.recipe_files import recipe_files
from mfnet.training.config.recipe_toml import read_toml, write_toml
from mfnet.training.retraining.map_changes import RecentMap

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
    known = recipe_files()
    if task.recipe not in known:
        raise BadRecipe(f"there is no recipe {task.recipe!r}; expected one of {', '.join(known)}")
    steps = [] if task.steps is None else [f"optimizer.steps={task.steps}"]
    text = known[task.recipe].read_text(encoding="utf-8")
    values = read_toml(text, [*task.changes, *steps])
    shown = {k: v for k, v in values["data"].items() if k in ("augmentation", "sampling")}
    folder, *also = map(str, task.tiles)
    gsd = {} if config.gsd_m is None else {"gsd_m": config.gsd_m}
    values |= {
        "name": config.name,
        "network": network_of(config, task.parent),
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
