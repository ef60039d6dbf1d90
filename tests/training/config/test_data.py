"""The `data` table: its kinds, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from mfnet.model.errors import BadRecipe
from mfnet.training.config.data import (
    KINDS,
    DataRecipe,
    FolderRecipe,
    PotsdamRecipe,
    TownRecipe,
    check_data,
    data_part,
)

ADAPTER: TypeAdapter[Any] = TypeAdapter(DataRecipe)
METRES, PER_RASTER = (0.0, 30.0), (0.0, 1.0)


def recipe(**keys: object) -> Any:
    return ADAPTER.validate_python(keys)


def test_without_a_kind_it_is_towns() -> None:
    assert recipe(towns=3) == TownRecipe(towns=3)


def test_each_kind_is_a_class_and_survives_json() -> None:
    for kind, part in KINDS.items():
        keys = {"folder": "somewhere"} if kind == "folder" else {}
        made = recipe(kind=kind, **keys)
        assert type(made) is part
        assert ADAPTER.validate_json(made.model_dump_json()) == made
        assert made.gsd_m is None or made.gsd_m > 0


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadRecipe, match=r"data\.kind is 'potsdamm'.*nearest is 'potsdam'"):
        data_part({"kind": "potsdamm"})
    assert data_part({}) is TownRecipe
    assert data_part({"kind": "folder"}) is FolderRecipe


@pytest.mark.parametrize(
    "keys",
    [
        {"kind": "mmhunan", "heights": "metres"},
        {"kind": "vaihingen", "bands": "rgb"},
        {"kind": "potsdam", "height_step_m": 0},
        {"kind": "folder"},
        {"augmentation": "some"},
        {"kind": "vaihingen", "validation": "none"},
    ],
)
def test_keys_and_values_of_other_kinds_are_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        recipe(**keys)


@pytest.mark.parametrize(
    ("data", "heights", "words"),
    [
        (recipe(kind="vaihingen"), METRES, r"runs from 0 to 1.*height_range_m is 0 to 30"),
        (recipe(kind="mmhunan"), METRES, r"expected height_range_m = \[0\.0, 1\.0\]"),
        (recipe(kind="vaihingen", heights="metres"), PER_RASTER, "expected a range of metres"),
        (recipe(), PER_RASTER, "expected a range of metres"),
        (recipe(kind="potsdam", heights="metres"), METRES, r"without data\.height_step_m"),
        (recipe(validation_first_seed=1100), METRES, "for validation and among the training"),
        (recipe(validation_first_seed=499_999), METRES, "for validation and among the held-out"),
        (recipe(held_out_first_seed=1100), METRES, "held out and among the training"),
    ],
)
def test_tables_that_contradict_each_other_are_refused(
    data: Any, heights: tuple[float, float], words: str
) -> None:
    with pytest.raises(BadRecipe, match=words):
        check_data(data, 256, heights)


def test_tables_that_agree_pass() -> None:
    check_data(recipe(kind="vaihingen"), 256, PER_RASTER)
    check_data(recipe(kind="vaihingen", heights="metres"), 256, METRES)
    stepped = PotsdamRecipe(kind="potsdam", heights="metres", height_step_m=0.1)
    check_data(stepped, 256, METRES)
    check_data(FolderRecipe(kind="folder", folder=Path("x")), 256, METRES)
