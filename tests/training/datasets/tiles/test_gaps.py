"""Gaps have the share that was asked for, and come again from the same seed."""

import numpy as np
import pytest

from mfnet.training.datasets.tiles.gaps import GAPS, draw_gaps


@pytest.mark.parametrize("kind", GAPS)
@pytest.mark.parametrize("share", [0.01, 0.1, 0.3])
def test_so_much_is_missing_on_average(kind: str, share: float) -> None:
    gaps = [draw_gaps(np.random.default_rng(seed), 256, 200, share, kind) for seed in range(40)]
    assert {gap.shape for gap in gaps} == {(256, 200)}
    assert np.mean([gap.mean() for gap in gaps]) == pytest.approx(share, rel=0.35)
    again = draw_gaps(np.random.default_rng(7), 256, 200, share, kind)
    assert np.array_equal(gaps[7], again)


def test_an_outline_begins_at_the_rim() -> None:
    for seed in range(20):
        gap = draw_gaps(np.random.default_rng(seed), 128, 128, 0.2, "outline")
        rim = np.concatenate([gap[0], gap[-1], gap[:, 0], gap[:, -1]])
        assert rim.any()
        assert not gap[48:80, 48:80].all()
