"""Class weights: given one a class, or balanced by how often classes come."""

from typing import Any

import numpy as np
import pytest
from small_runs import training_pool

from mfnet.model.classes import MMHUNAN
from mfnet.model.errors import BadRecipe
from mfnet.training.config.optimizer_recipe import OptimizerRecipe
from mfnet.training.datasets.tiles.interface import Pool
from mfnet.training.optim.losses import balanced_weights, build_loss


def recipe(**values: Any) -> OptimizerRecipe:
    return OptimizerRecipe.model_validate({"steps": 1, **values})


def test_balanced_weights_are_the_medians_pixels_over_the_classs() -> None:
    weights = balanced_weights(np.array([400, 100, 200, 0]))
    assert weights == (0.5, 2.0, 1.0, 1.0)


def test_no_balanced_weight_decides_everything() -> None:
    weights = balanced_weights(np.array([10**9, 10**5, 1]))
    assert weights == (0.1, 1.0, 10.0)


def test_a_recipe_balances_by_the_counts_of_its_data() -> None:
    pool = training_pool()
    assert pool.census is not None
    loss = build_loss(recipe(balanced=True, dice=0.25), pool)
    assert loss.class_weights is not None
    assert loss.class_weights.tolist() == pytest.approx(balanced_weights(pool.census.pixels))
    assert loss.dice == 0.25
    assert build_loss(recipe(), pool).class_weights is None


def test_weights_that_do_not_suit_the_data_are_refused() -> None:
    pool = training_pool()
    with pytest.raises(BadRecipe, match="class_weights are 6; expected 7, for cropland"):
        build_loss(recipe(class_weights=[1] * 6), Pool(pool.areas, MMHUNAN))
    with pytest.raises(BadRecipe, match="classes are not counted"):
        build_loss(recipe(balanced=True), Pool(pool.areas, MMHUNAN))
