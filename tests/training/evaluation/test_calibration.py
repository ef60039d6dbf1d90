"""The temperature against a search in float64, and on truth that was drawn at a known one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_runs import TOML, held_out_pool, use_tiny

from mfnet.model.classes import NODATA
from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
from mfnet.model.network.mfnet import MFNet
from mfnet.training.config.recipe import parse_recipe
from mfnet.training.datasets.sources.synthetic_towns import TownTile
from mfnet.training.datasets.tiles.interface import Area
from mfnet.training.datasets.tiles.samples import collate
from mfnet.training.evaluation.calibration import (
    COLDEST,
    HOTTEST,
    _mean_logits,
    calibrate,
    fit_temperature,
)
from mfnet.training.evaluation.validation import some_windows
from mfnet.training.synthetic.town import draw_town


def surprise(logits_NK: np.ndarray, truth_N: np.ndarray, temperature: float) -> float:
    """The mean of -log softmax, by its definition."""
    scaled = logits_NK.astype(np.float64) / temperature
    scaled -= scaled.max(1, keepdims=True)
    shares = np.exp(scaled) / np.exp(scaled).sum(1, keepdims=True)
    return float(-np.log(shares[np.arange(len(truth_N)), truth_N]).mean())


@given(st.integers(0, 2**32 - 1))
def test_no_other_temperature_is_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = (rng.normal(size=(200, 4)) * rng.uniform(0.5, 4)).astype(np.float32)
    truth = np.where(rng.random(200) < 0.7, logits.argmax(1), rng.integers(0, 4, 200))
    found = fit_temperature(logits, truth.astype(np.uint8))
    grid = np.geomspace(COLDEST, HOTTEST, 300)
    best = min(surprise(logits, truth, t) for t in grid)
    assert surprise(logits, truth, found) <= best + 1e-6


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_of_drawn_truth_is_found(temperature: float) -> None:
    rng = np.random.default_rng(11)
    logits = rng.normal(size=(60_000, 5)).astype(np.float32) * 2
    noise = rng.gumbel(size=logits.shape)  # the highest with it is a draw from the softmax
    truth = (logits / temperature + noise).argmax(1).astype(np.uint8)
    assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.03)


def test_who_is_always_right_or_never_gets_the_last_temperature_that_is_looked_at() -> None:
    logits = np.array([[0.4, 0], [0, 0.4]], np.float32)
    assert fit_temperature(logits, np.array([0, 1], np.uint8)) == COLDEST
    assert fit_temperature(logits, np.array([1, 0], np.uint8)) == HOTTEST


def test_a_model_is_fitted_on_the_engines_mean_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny(monkeypatch)
    torch.manual_seed(5)
    net = MFNet(parse_recipe(TOML).model_config_for()).eval()
    validation = held_out_pool()  # one window of 160 pixels
    (window,) = some_windows(validation.areas, 160, 5)
    means = _mean_logits(TorchRuntime(net, "cpu"), window)
    with torch.inference_mode():
        expected = net(collate([window], net.config.modalities).inputs)[0]
    torch.testing.assert_close(torch.from_numpy(means), expected, rtol=1e-4, atol=1e-4)
    found = calibrate(net, validation.areas, device="cpu")
    assert found is not None
    assert found.pixels == 160 * 160
    assert found.nll[1] < found.nll[0]
    assert found.after["ece"] < found.before["ece"]
    assert COLDEST <= found.temperature <= HOTTEST
    assert found == calibrate(net, validation.areas, device="cpu")


def test_a_model_whose_confidence_a_temperature_makes_worse_keeps_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_tiny(monkeypatch)
    torch.manual_seed(1)
    net = MFNet(parse_recipe(TOML).model_config_for()).eval()
    monkeypatch.setattr("mfnet.training.evaluation.calibration.fit_temperature", lambda *_: COLDEST)
    found = calibrate(net, held_out_pool().areas, device="cpu")
    assert found is not None
    assert found.temperature == 1
    assert found.after == found.before
    assert found.nll[0] == found.nll[1]


def test_without_labels_there_is_no_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny(monkeypatch)
    net = MFNet(parse_recipe(TOML).model_config_for()).eval()
    town = draw_town(4, 160)
    nothing = replace(town, truth=np.full_like(town.truth, NODATA))
    assert calibrate(net, [Area.whole(TownTile.of(nothing))], device="cpu") is None
