"""Samples, augmentation, losses."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from rasterio.windows import Window
from torch.nn import functional as F

from mfnet.model.classes import NODATA
from mfnet.model.config import NDSM, NEUTRAL_GREY, ORTHO
from mfnet.training.datasets.sources.synthetic_towns import TownPool, TownTile, draw_pool
from mfnet.training.datasets.tiles.augmentation import augment, flip, relight, resurvey, turn
from mfnet.training.datasets.tiles.samples import Sample, collate, of_rasters
from mfnet.training.optim.losses import SegmentationLoss, dice_loss
from mfnet.training.synthetic.town import draw_town


def sample(seed: int = 0, side: int = 8) -> Sample:
    """A sample whose rasters all hold the truth, so that they can be compared with it."""
    truth = np.random.default_rng(seed).integers(0, 6, (side, side)).astype(np.uint8)
    ortho = np.repeat(truth[None], 3, axis=0)
    return of_rasters(ortho, truth.astype(np.float32), truth)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("quarter_turns", range(4))
def test_turning_keeps_truth_and_rasters_together(quarter_turns: int, mirror: bool) -> None:
    turned = turn(sample(), quarter_turns, mirror)
    for raster in turned.rasters.values():
        assert all(np.array_equal(band, turned.truth) for band in raster)


def test_the_eight_turns_are_eight() -> None:
    turns = {turn(sample(), q, m).truth.tobytes() for q in range(4) for m in (False, True)}
    assert len(turns) == 8


def test_augmentation_keeps_shapes_and_the_counts_of_classes() -> None:
    rng = np.random.default_rng(1)
    for seed in range(30):
        before = sample(seed)
        after = augment(before, rng)
        known = after.truth != NODATA
        gap = np.zeros((8, 8), bool) if after.no_ortho is None else after.no_ortho
        assert np.array_equal(known, ~gap)  # nothing is learned where there is no orthophoto
        kept = np.bincount(after.truth[known], minlength=6)
        assert (kept <= np.bincount(before.truth.ravel(), minlength=6)).all()
        assert after.rasters["ortho"].shape == (3, 8, 8)
        assert after.rasters["ndsm"].shape == (1, 8, 8)


def test_another_light_stays_between_black_and_white() -> None:
    rng = np.random.default_rng(2)
    ortho = rng.integers(0, 256, (3, 16, 16)).astype(np.uint8)
    for _ in range(20):
        lit = relight(ortho, 255.0, rng)
        assert 0 <= lit.min() <= lit.max() <= 255


def test_another_survey_moves_heights_little_and_seldom_loses_them() -> None:
    rng = np.random.default_rng(3)
    surveys = [resurvey(np.full((1, 16, 16), 5, np.float32), rng) for _ in range(300)]
    lost = [np.isnan(s).all() for s in surveys]
    assert 1 <= sum(lost) < 40
    kept = np.concatenate([s[~np.isnan(s)] for s in surveys])
    assert abs(kept.mean() - 5) < 0.05
    assert kept.std() < 0.3


def test_flips_are_four_and_equally_frequent() -> None:
    whole = sample()
    rng = np.random.default_rng(5)
    seen = Counter(flip(whole, rng).truth.tobytes() for _ in range(400))
    truth = whole.truth
    assert set(seen) == {
        t.tobytes() for t in (truth, truth[::-1], truth[:, ::-1], truth[::-1, ::-1])
    }
    assert min(seen.values()) > 60


def test_noise_is_drawn_in_metres_whatever_the_unit() -> None:
    metres = resurvey(np.full((1, 16, 16), 5, np.float32), np.random.default_rng(1))
    shares = resurvey(np.full((1, 16, 16), 0.5, np.float32), np.random.default_rng(1), metre=0.1)
    np.testing.assert_allclose(metres / 10, shares, atol=1e-6)


def test_a_batch_is_normalised_and_gaps_and_pits_are_zero() -> None:
    whole = sample()
    heights = np.asarray(whole.rasters["ndsm"]).copy()
    heights[0, 2, 3] = np.nan
    heights[0, 2, 4] = -3
    batch = collate([whole.with_rasters(ndsm=heights)] * 2, (ORTHO, NDSM))
    assert batch.inputs["ortho"].shape == (2, 3, 8, 8)
    np.testing.assert_allclose(batch.inputs["ortho"][0, 0], whole.truth / 255.0, rtol=1e-6)
    assert batch.inputs["ndsm"][0, 0, 2, 3] == 0
    assert batch.inputs["ndsm"][0, 0, 2, 4] == 0
    assert batch.inputs["ndsm"][1, 0, 5, 5] == pytest.approx(heights[0, 5, 5] / 30)
    assert batch.truth_BHW.dtype == torch.int64


def test_a_pool_is_the_same_for_any_number_of_processes() -> None:
    alone, together = (draw_pool([3, 4], 96, 0.125, workers) for workers in (1, 2))
    for one, other in zip(alone.tiles(96), together.tiles(96), strict=True):
        assert np.array_equal(one.rasters["ortho"], other.rasters["ortho"])
        assert np.array_equal(one.truth, other.truth)


def test_tiles_are_all_whole_windows_of_a_pool() -> None:
    pool = TownPool([draw_town(1, 100), draw_town(2, 100)])
    assert len(list(pool.tiles(32))) == 2 * 9


def test_random_windows_have_the_size_asked_for_and_do_not_repeat() -> None:
    windows = TownPool([draw_town(1, 100)]).windows(32, np.random.default_rng(0))
    first, second = next(windows), next(windows)
    assert first.truth.shape == (32, 32)
    assert not np.array_equal(first.rasters["ortho"], second.rasters["ortho"])


def test_a_tile_gives_the_window_asked_for() -> None:
    town = draw_town(1, 64)
    part = TownTile.of(town).read(Window(5, 2, 4, 3))
    assert np.array_equal(part.truth, town.truth[2:5, 5:9])
    assert np.array_equal(part.rasters["ortho"], town.ortho[:, 2:5, 5:9])
    assert part.rasters["ndsm"].shape == (1, 3, 4)


def test_the_loss_is_cross_entropy_over_labelled_pixels() -> None:
    torch.manual_seed(0)
    logits, truth = torch.randn(2, 6, 5, 5), torch.randint(0, 6, (2, 5, 5))
    truth[0, :3] = NODATA
    weights = [1.0, 2.0, 1.0, 1.0, 3.0, 0.5]
    labelled = truth != NODATA
    log_share = logits.double().log_softmax(1).permute(0, 2, 3, 1)[labelled]
    w = torch.tensor(weights, dtype=torch.float64)[truth[labelled]]
    expected = -(w * log_share[torch.arange(len(w)), truth[labelled]]).sum() / w.sum()
    assert SegmentationLoss(weights)(logits, truth).item() == pytest.approx(expected.item(), 1e-5)


def test_dice_is_that_of_its_formula_and_zero_for_a_perfect_map() -> None:
    torch.manual_seed(0)
    logits, truth = torch.randn(2, 6, 5, 5).double(), torch.randint(0, 5, (2, 5, 5))
    truth[1, 2] = NODATA
    labelled, share = truth != NODATA, logits.softmax(1)
    dice = []
    for value in range(5):
        said, true = share[:, value][labelled], (truth == value)[labelled].double()
        dice.append(2 * (said * true).sum() / (said.sum() + true.sum()))
    expected = 1 - torch.stack(dice).mean()
    assert dice_loss(logits.float(), truth).item() == pytest.approx(expected.item(), rel=1e-5)
    certain = 50 * F.one_hot(truth.clamp(max=5), 6).permute(0, 3, 1, 2).float()
    assert dice_loss(certain, truth).item() == pytest.approx(0, abs=1e-6)


def test_pixels_without_a_class_have_no_gradient() -> None:
    logits = torch.randn(1, 6, 4, 4, requires_grad=True)
    truth = torch.randint(0, 6, (1, 4, 4))
    truth[0, 0] = NODATA
    SegmentationLoss(dice=0.5)(logits, truth).backward()
    assert logits.grad is not None
    assert (logits.grad[0, :, 0] == 0).all()
    assert (logits.grad[0, :, 1:] != 0).any()


def test_no_labelled_pixel_gives_zero_and_not_nan() -> None:
    logits = torch.randn(1, 6, 4, 4, requires_grad=True)
    loss = SegmentationLoss(dice=0.5)(logits, torch.full((1, 4, 4), NODATA))
    loss.backward()
    assert loss.item() == 0


def test_a_gap_is_the_models_grey_and_the_ground() -> None:
    before = sample(1)
    gap = np.zeros((8, 8), bool)
    gap[2:4, 3:6] = True
    heights = np.where(gap, np.float32(np.nan), np.asarray(before.rasters["ndsm"], np.float32))
    holed = replace(before, no_ortho=gap).with_rasters(ndsm=heights)
    whole, found = collate([before], [ORTHO, NDSM]), collate([holed], [ORTHO, NDSM])
    for name, value in (("ortho", NEUTRAL_GREY), ("ndsm", 0.0)):
        inputs = found.inputs[name][0].numpy()
        assert np.allclose(inputs[:, gap], value)
        assert np.array_equal(inputs[:, ~gap], whole.inputs[name][0].numpy()[:, ~gap])
