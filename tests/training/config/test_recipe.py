"""Recipes: what is refused, and how it is said."""

from pathlib import Path

import pytest

from mfnet.model.errors import BadRecipe
from mfnet.training.config.recipe import parse_recipe, read_recipe
from mfnet.training.config.recipe_toml import read_toml, write_toml

RECIPES = sorted((Path(__file__).parents[3] / "training" / "recipes").glob("*.toml"))
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
        (SMALLEST + "class_weights = [1, 1, 1, 1, 1, 1]\nbalanced = true\n", "one of both"),
        (SMALLEST + "accumulation = 3\n", "batch_size is 4, accumulation 3.*equal size"),
        (SMALLEST + "milestones = [1]\n", "'cosine' with 1 milestones.*none for 'cosine'"),
        (SMALLEST + 'schedule = "steps"\n', "'steps' with 0 milestones.*expected milestones"),
        (
            SMALLEST + 'schedule = "steps"\nmilestones = [2, 1]\n',
            r"milestones are \[2, 1\]; expected ascending",
        ),
        (SMALLEST + 'name = "adam"\n', "optimizer.name.*'adamw' or 'sgd'"),
        (SMALLEST + "learning_rate = inf\n", "learning_rate.*finite"),
        ("name = [", "no TOML"),
    ],
)
def test_a_bad_recipe_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(BadRecipe, match=words):
        parse_recipe(text)


def test_changes_are_toml_and_names_need_no_quotes() -> None:
    changes = [
        "network.encoder = vit_l",
        'network.modalities=["ortho"]',
        "optimizer.batch_size=8",
        "optimizer.balanced=true",
        "name=a-b",
    ]
    recipe = parse_recipe(SMALLEST, changes)
    assert recipe.network.encoder == "vit_l"
    assert recipe.network.modalities == ("ortho",)
    assert recipe.optimizer.batch_size == 8
    assert recipe.optimizer.balanced
    assert recipe.name == "a-b"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("optimizer.stepz=1", "nearest.*optimizer.steps"),
        ("optimizer.steps", "expected key=value"),
        ("=1", "expected key=value"),
        ("name.x=1", "'name' is no table"),
        ("optimizer.steps=many", "optimizer.steps.*integer"),
    ],
)
def test_a_bad_change_is_refused(change: str, words: str) -> None:
    with pytest.raises(BadRecipe, match=words):
        parse_recipe(SMALLEST, [change])


@pytest.mark.parametrize("value", ["1979-05-27", "07:32:00", "[1979-05-27T07:32:00Z]"])
def test_a_date_is_no_value_of_a_recipe(value: str) -> None:
    """A retraining's recipe is written again before it is looked at."""
    values = read_toml(SMALLEST, [f"optimizer.seed={value}"])
    with pytest.raises(BadRecipe, match=r"'optimizer.seed' is .*expected a string, a number"):
        write_toml(values)


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_a_recipe_is_written_as_it_was_read(path: Path) -> None:
    recipe = read_recipe(path)
    assert parse_recipe(recipe.toml()) == recipe


def test_what_is_written_may_hold_any_text() -> None:
    recipe = parse_recipe(SMALLEST, ["network.parent='a \"b\" \\ ü \t.safetensors'"])
    assert recipe.network.parent == 'a "b" \\ ü \t.safetensors'
    assert parse_recipe(recipe.toml()) == recipe


@pytest.mark.parametrize("name", ["vaihingen", "potsdam", "mmhunan"])
def test_the_papers_recipes_are_the_papers(name: str) -> None:
    """Section IV-B, and the released loop: `shared/paper/README.md` says where it is from."""
    recipe = read_recipe(RECIPES[0].parent / f"{name}.toml")
    batches = 500 if name == "mmhunan" else 1000
    optimizer = recipe.optimizer
    assert (optimizer.name, optimizer.learning_rate, optimizer.momentum) == ("sgd", 0.01, 0.9)
    assert (optimizer.weight_decay, optimizer.decayed) == (0.0005, "all")
    assert (optimizer.batch_size, optimizer.steps) == (10, 50 * batches)
    assert optimizer.milestones == tuple(batches * (epoch - 1) for epoch in (25, 35, 45))
    assert (optimizer.clip_norm, optimizer.averaging, optimizer.dice) == (0, 0, 0)
    assert optimizer.class_weights is None
    assert (recipe.network.window_px, recipe.data.kind) == (256, name)
    assert recipe.data.augmentation == "paper"


def test_the_papers_rows_are_changes_of_one_recipe() -> None:
    path = RECIPES[0].parent / "vaihingen.toml"
    changes = ["network.encoder=vit_h", "optimizer.batch_size=4", "network.tuning=mmlora"]
    recipe = read_recipe(path, changes)
    assert (recipe.network.encoder, recipe.network.tuning) == ("vit_h", "mmlora")


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"none\.toml"):
        read_recipe(tmp_path / "none.toml")
