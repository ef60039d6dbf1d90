"""Class weights, given or balanced by how often classes come; agreement of windows and twins."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_runs import training_pool

from mfnet.model.classes import MMHUNAN, NODATA
from mfnet.model.errors import BadRecipe
from mfnet.training.config.optimizer_recipe import OptimizerRecipe
from mfnet.training.datasets.tiles.interface import Pool
from mfnet.training.optim.losses import balanced_weights, build_loss, disagreement


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


def test_disagreement_is_the_divergence_of_the_pixels_that_count() -> None:
    rng = np.random.default_rng(4)
    gappy, whole = rng.normal(size=(2, 2, 3, 4, 5))
    known = rng.random((2, 4, 5)) < 0.6

    def shares(logits: NDArray[np.float64]) -> NDArray[np.float64]:
        raised = np.exp(logits)
        return np.asarray(raised / raised.sum(1, keepdims=True))

    wanted, said = shares(whole), shares(gappy)
    expected = (wanted * np.log(wanted / said)).sum(1)[known].mean()
    tensors = [torch.tensor(array) for array in (gappy, whole, known)]
    assert float(disagreement(*tensors)) == pytest.approx(expected, rel=1e-9)
    assert float(disagreement(tensors[1], tensors[1], tensors[2])) == pytest.approx(0)


def test_the_whole_window_teaches_and_learns_nothing_of_the_gaps() -> None:
    rng = np.random.default_rng(5)
    logits = torch.tensor(rng.normal(size=(4, 3, 2, 2)), dtype=torch.float32, requires_grad=True)
    truth = torch.full((4, 2, 2), NODATA)
    truth[2:] = 1
    with_twins = build_loss(recipe(agreement=2.0), training_pool())(logits, truth)
    alone = build_loss(recipe(), training_pool())(logits, truth)
    apart = disagreement(logits[2:], logits[:2], truth[2:] != NODATA)
    assert with_twins.item() == pytest.approx((alone + 2 * apart).item(), rel=1e-6)
    (gradient,) = torch.autograd.grad(with_twins, logits)
    assert not gradient[:2].any()
    assert gradient[2:].any()
