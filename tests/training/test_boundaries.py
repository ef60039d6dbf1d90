"""Boundaries of things, the truth that a base learns."""

import numpy as np
import pytest

from training.datasets.boundaries import BOUNDARIES, REACH_PX, boundaries
from training.datasets.opening import class_scheme, open_data
from training.datasets.recipe import TownRecipe


@pytest.mark.parametrize("seed", range(3))
def test_a_pixel_is_on_a_boundary_when_another_class_is_near_in_its_row_or_column(
    seed: int,
) -> None:
    truth = np.random.default_rng(seed).integers(0, 3, (5, 4)).repeat(4, 0).repeat(6, 1)
    truth = truth.astype(np.uint8)
    found = boundaries(truth)
    height, width = truth.shape
    for row in range(height):
        for col in range(width):
            near = {
                *truth[max(row - REACH_PX, 0) : row + REACH_PX + 1, col].tolist(),
                *truth[row, max(col - REACH_PX, 0) : col + REACH_PX + 1].tolist(),
            }
            assert found[row, col] == (len(near) > 1)


def test_towns_may_be_learned_by_their_boundaries_alone() -> None:
    data = TownRecipe(truth="boundaries", size_px=256, towns=1, validation_towns=1)
    splits = open_data(data, 160)
    assert splits.scheme == class_scheme(data) == BOUNDARIES
    sample = splits.train.sample(0, 160, seed=0)
    assert set(np.unique(sample.truth)) == {0, 1}
    assert 0.02 < sample.truth.mean() < 0.5
