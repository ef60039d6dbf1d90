"""A training run in small: it learns, stops, goes on, and its model runs through the engine."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from model import load_model
from model.config import ENCODERS, EncoderConfig
from model.errors import BadRecipe, TrainingDiverged
from training import loop
from training.datasets.towns import TownPool, draw_pool
from training.evaluate import evaluate
from training.recipe import Recipe, parse_recipe

TOML = """
name = "tiny"
check_every = 5
log_every = 1
[network]
encoder = "tiny"
window_px = 160
train_encoder = true
[data]
size_px = 256
towns = 2
held_out_towns = 1
held_out_size_px = 256
[optimizer]
steps = 10
batch_size = 1
learning_rate = 1e-2
warmup_steps = 2
dice = 0.5
averaging = 0.5
"""


@pytest.fixture(autouse=True)
def tiny_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = EncoderConfig(
        embed_dim=16, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=4, grid=10
    )
    monkeypatch.setitem(ENCODERS, "tiny", tiny)


@pytest.fixture(scope="module")
def pool() -> TownPool:
    """One window: every step sees the same ground, turned and in another light."""
    return draw_pool(1000, 1, 160, 0.125, workers=1)


@pytest.fixture(scope="module")
def held_out() -> TownPool:
    return draw_pool(500_000, 1, 160, 0.125, workers=1)


def changed(**optimizer: object) -> Recipe:
    recipe = parse_recipe(TOML)
    changed = recipe.optimizer.model_copy(update=optimizer)
    return recipe.model_copy(update={"optimizer": changed})


def test_a_run_lowers_the_loss_and_leaves_a_model(
    tmp_path: Path, pool: TownPool, held_out: TownPool
) -> None:
    said: list[dict[str, object]] = []
    path = loop.train(parse_recipe(TOML), pool, held_out, tmp_path, report=said.append)
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert logged == said
    losses = [found["loss"] for found in logged if "loss" in found]
    assert len(losses) == 10
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:2])
    assert [found["step"] for found in logged if "miou" in found] == [5, 10]
    net = load_model(path)
    assert net.config.gsd_m == 0.125
    figures = evaluate(net, parse_recipe(TOML))
    assert figures["pixels"] == 256 * 256
    assert 0 < figures["oa"] < 1
    assert figures["conditions"]["stride_px"] == 80


def test_the_same_seed_gives_the_same_weights(
    tmp_path: Path, pool: TownPool, held_out: TownPool
) -> None:
    recipe = changed(steps=2)
    runs = [loop.train(recipe, pool, held_out, tmp_path / name) for name in "ab"]
    first, second = (load_model(path).state_dict() for path in runs)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_goes_on_from_its_state(
    tmp_path: Path, pool: TownPool, held_out: TownPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = loop.Run.save_state

    def save_and_stop(run: loop.Run, path: Path) -> None:
        save(run, path)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop.Run, "save_state", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        loop.train(parse_recipe(TOML), pool, held_out, tmp_path)
    monkeypatch.setattr(loop.Run, "save_state", save)
    said: list[dict[str, object]] = []
    loop.train(parse_recipe(TOML), pool, held_out, tmp_path, report=said.append, resume=True)
    assert [found["step"] for found in said if "loss" in found] == [6, 7, 8, 9, 10]


def test_a_loss_that_is_no_number_stops_the_run_with_a_word(
    tmp_path: Path, pool: TownPool, held_out: TownPool
) -> None:
    recipe = changed(learning_rate=1e30, warmup_steps=0, clip_norm=1e30)
    with pytest.raises(TrainingDiverged, match="learning_rate"):
        loop.train(recipe, pool, held_out, tmp_path)


def test_without_train_encoder_only_the_declared_parameters_move(
    tmp_path: Path, pool: TownPool, held_out: TownPool
) -> None:
    recipe = parse_recipe(TOML.replace("train_encoder = true", ""))
    run = loop.start(recipe)
    assert not any(p.requires_grad for p in run.net.encoder.vit.parameters())
    assert all(p.requires_grad for p in run.net.trainable_parameters())
    trained = sum(len(group["params"]) for group in run.optimizer.param_groups)
    assert trained == len(list(run.net.trainable_parameters()))


def test_the_rate_rises_and_falls_to_nothing() -> None:
    recipe = changed(steps=100, warmup_steps=10).optimizer
    factors = [loop.rate_factor(step, recipe) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[10] == 1
    assert np.all(np.diff(factors[:10]) > 0)
    assert np.all(np.diff(factors[10:]) < 0)
    assert factors[100] == pytest.approx(0)


def test_the_average_of_weights_that_stand_still_is_those_weights() -> None:
    run = loop.start(parse_recipe(TOML))
    for _ in range(3):
        run.average.update(run.net)
    for name, weight in run.net.state_dict().items():
        torch.testing.assert_close(run.average.net.state_dict()[name], weight)


def test_a_model_of_other_classes_is_not_measured_on_towns() -> None:
    from model.classes import MMHUNAN
    from model.network.mfnet import MFNet

    recipe = parse_recipe(TOML)
    net = MFNet(recipe.model_config_for(classes=MMHUNAN))
    with pytest.raises(BadRecipe, match="mmhunan"):
        evaluate(net, recipe)
