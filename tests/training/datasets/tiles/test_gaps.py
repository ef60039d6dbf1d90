"""Gaps have the share that was asked for, and come again from the same seed; twins have them."""

import numpy as np
import pytest

from mfnet.model.classes import NODATA
from mfnet.training.datasets.tiles.augmentation import twin
from mfnet.training.datasets.tiles.gaps import GAPS, draw_gaps
from mfnet.training.datasets.tiles.samples import of_rasters


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


def test_a_twin_differs_by_gaps_in_either_raster_both_or_all_heights() -> None:
    ones = np.ones((64, 64), np.float32)
    window = of_rasters(np.full((3, 64, 64), 9, np.uint8), ones, np.zeros((64, 64), np.uint8))
    seen = set()
    for seed in range(60):
        other = twin(window, np.random.default_rng(seed))
        no_height = np.isnan(other.rasters["ndsm"][0])
        no_ortho = np.zeros((64, 64), bool) if other.no_ortho is None else other.no_ortho
        assert np.array_equal(other.truth == NODATA, no_ortho)
        assert np.array_equal(other.rasters["ndsm"][0][~no_height], ones[~no_height])
        assert np.array_equal(other.rasters["ortho"], window.rasters["ortho"])
        if no_ortho.any() and no_height.any():
            assert np.array_equal(no_ortho, no_height)
        seen.add((bool(no_ortho.any()), bool(no_height.any()), bool(no_height.all())))
    assert seen - {(False, False, False)} == {  # a ragged outline of a hundredth may leave all
        (True, False, False),
        (False, True, False),
        (True, True, False),
        (False, True, True),
    }
