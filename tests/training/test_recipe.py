"""Recipes: what is refused, and how it is said."""

from pathlib import Path

import pytest

from model.errors import BadRecipe
from training.recipe import parse_recipe, read_recipe

RECIPES = sorted((Path(__file__).parents[2] / "training" / "recipes").glob("*.toml"))
SMALLEST = """
name = "tiny"
[network]
encoder = "small"
train_encoder = true
[data]
[optimizer]
steps = 3
"""


def with_network(line: str) -> str:
    return SMALLEST.replace("[data]", f"{line}\n[data]")


def test_the_smallest_recipe_is_one() -> None:
    recipe = parse_recipe(SMALLEST)
    assert recipe.optimizer.steps == 3
    assert recipe.model_config_for().name == "tiny"


def test_a_recipe_names_the_mechanism_and_the_fusion_module() -> None:
    config = parse_recipe(with_network('tuning = "mmlora"\nfusion = "sum"')).model_config_for()
    assert (config.tuning, config.fusion) == ("mmlora", "sum")
    config = parse_recipe(SMALLEST).model_config_for()
    assert (config.tuning, config.fusion) == ("mmadapter", "dfm")


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_the_projects_recipes_are_valid(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.name == path.stem


def test_both_models_see_the_same_towns_and_steps() -> None:
    both, ortho = (read_recipe(RECIPES[0].parent / f"town-small{s}.toml") for s in ("", "-ortho"))
    assert both.data == ortho.data
    assert both.optimizer == ortho.optimizer


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SMALLEST.replace("steps", "stepz"), "optimizer.stepz.*nearest.*optimizer.steps"),
        (SMALLEST + "learning_rat = 1.0\n", "nearest.*optimizer.learning_rate"),
        ("nam = 'x'\n" + SMALLEST, "'nam'.*nearest.*'name'"),
        (SMALLEST.replace("steps = 3", "steps = 0"), "optimizer.steps.*greater than 0"),
        (SMALLEST.replace("steps = 3", ""), "optimizer.steps.*required"),
        (SMALLEST.replace("small", "vit_x"), "expected one of.*vit_b"),
        (SMALLEST.replace("train_encoder = true", ""), "'small', of which SAM has no weights"),
        (SMALLEST.replace("[data]", "[data]\nheld_out_first_seed = 1100"), "held out and among"),
        (
            SMALLEST.replace("[data]", "[data]\nsize_px = 256").replace(
                "[network]", "[network]\nwindow_px = 320"
            ),
            "data.size_px is 256.*at least.*320",
        ),
        (
            with_network("window_px = 320").replace("[data]", "[data]\nheld_out_size_px = 256"),
            "data.held_out_size_px is 256.*at least.*320",
        ),
        (with_network('tuning = "mmadaptor"'), "network.tuning is 'mmadaptor'.*one of.*mmlora"),
        (with_network('fusion = "dmf"'), "network.fusion is 'dmf'.*one of dfm, sum"),
        (with_network("height_range_m = [0, 0]"), "height_range_m is 0.0 to 0.0.*low below high"),
        (with_network("height_range_m = [0, inf]"), "network.height_range_m.*finite"),
        (with_network("window_px = 100"), "window_px is 100.*multiple of 32 from 160"),
        (
            with_network('modalities = ["ndsm", "ndsm"]'),
            "ndsm, ndsm.*each name once",
        ),
        (SMALLEST + "class_weights = [1, 2]\n", "class_weights are 2; expected 6, for imperv"),
        (SMALLEST + "class_weights = [1, 1, 0, 1, 1, 1]\n", "class_weights.2.*greater than 0"),
        (SMALLEST + "learning_rate = inf\n", "learning_rate.*finite"),
        ("name = [", "no TOML"),
    ],
)
def test_a_bad_recipe_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(BadRecipe, match=words):
        parse_recipe(text)


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"none\.toml"):
        read_recipe(tmp_path / "none.toml")
