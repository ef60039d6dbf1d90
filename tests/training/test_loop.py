"""A training run in small: it learns, stops, goes on, and its model runs through the engine."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from model import load_model
from model.base import base_tensors, import_base
from model.config import ENCODERS, BaseWeights, EncoderConfig
from model.errors import BadCheckpoint, BadRecipe, BaseMissing, TrainingDiverged
from model.models_cli import app as models_app
from model.network.encoder import build_vit
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
    path = loop.train(loop.start(parse_recipe(TOML)), pool, held_out, tmp_path, report=said.append)
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
    runs = [loop.train(loop.start(recipe), pool, held_out, tmp_path / name) for name in "ab"]
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
        loop.train(loop.start(parse_recipe(TOML)), pool, held_out, tmp_path)
    monkeypatch.setattr(loop.Run, "save_state", save)
    said: list[dict[str, object]] = []
    run = loop.start(parse_recipe(TOML))
    run.resume(tmp_path / "state.pt")
    loop.train(run, pool, held_out, tmp_path, report=said.append)
    assert [found["step"] for found in said if "loss" in found] == [6, 7, 8, 9, 10]


def test_a_run_of_another_recipe_does_not_go_on(
    tmp_path: Path, pool: TownPool, held_out: TownPool
) -> None:
    loop.train(loop.start(changed(steps=2)), pool, held_out, tmp_path)
    other = loop.start(changed(steps=1, learning_rate=0.5))
    words = r"steps was 2, is 1; optimizer\.learning_rate was 0\.01, is 0\.5; give"
    with pytest.raises(BadRecipe, match=words):
        other.resume(tmp_path / "state.pt")


def test_a_run_that_has_ended_has_nothing_left_to_do(
    tmp_path: Path, pool: TownPool, held_out: TownPool
) -> None:
    path = loop.train(loop.start(changed(steps=2)), pool, held_out, tmp_path)
    content = path.read_bytes()
    again = loop.start(changed(steps=2))
    again.resume(tmp_path / "state.pt")
    said: list[dict[str, object]] = []
    assert loop.train(again, pool, held_out, tmp_path, report=said.append) == path
    assert (said, path.read_bytes()) == ([], content)


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    run = loop.start(parse_recipe(TOML))
    run.save_state(tmp_path / "state.pt")
    content = (tmp_path / "state.pt").read_bytes()
    (tmp_path / "state.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadCheckpoint, match="train without --resume"):
        run.resume(tmp_path / "state.pt")
    torch.save({"step": 3}, tmp_path / "state.pt")
    with pytest.raises(BadCheckpoint, match="no state of a training run"):
        run.resume(tmp_path / "state.pt")


def test_a_loss_that_is_no_number_stops_the_run_with_a_word(
    tmp_path: Path, pool: TownPool, held_out: TownPool
) -> None:
    recipe = changed(learning_rate=1e30, warmup_steps=0, clip_norm=1e30)
    with pytest.raises(TrainingDiverged, match="learning_rate"):
        loop.train(loop.start(recipe), pool, held_out, tmp_path)


def test_a_gradient_that_is_no_number_stops_the_run_before_the_step(
    tmp_path: Path, pool: TownPool, held_out: TownPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steep(logits_BKHW: torch.Tensor, truth_BHW: torch.Tensor) -> torch.Tensor:
        return (logits_BKHW * 0).sum().sqrt()  # 0, of infinite slope

    monkeypatch.setattr(loop, "SegmentationLoss", lambda *_: steep)
    run = loop.start(parse_recipe(TOML))
    before = [weight.detach().clone() for weight in run.net.parameters()]
    with pytest.raises(TrainingDiverged, match="gradient's norm is nan at step 0"):
        loop.train(run, pool, held_out, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(before, run.net.parameters(), strict=True))


ON_SAM = TOML.replace('encoder = "tiny"', 'encoder = "vit_b"').replace("train_encoder = true", "")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BaseWeights:
    """Random weights of the tiny shape, installed in tmp_path as if they were SAM's vit_b."""
    monkeypatch.setitem(ENCODERS, "vit_b", ENCODERS["tiny"])
    vit = build_vit(ENCODERS["tiny"])
    source = tmp_path / "sam_vit_b_random.pth"
    torch.save(
        {f"image_encoder.{name}": torch.rand_like(w) for name, w in vit.state_dict().items()},
        source,
    )
    return import_base(source, tmp_path)


def test_without_train_encoder_sams_weights_stay_and_only_the_declared_parameters_move(
    tmp_path: Path, pool: TownPool, held_out: TownPool, base: BaseWeights
) -> None:
    run = loop.start(parse_recipe(ON_SAM.replace("steps = 10", "steps = 2")), tmp_path)
    before = {name: weight.clone() for name, weight in run.net.state_dict().items()}
    trained = sum(len(group["params"]) for group in run.optimizer.param_groups)
    assert trained == len(list(run.net.trainable_parameters()))
    net = load_model(loop.train(run, pool, held_out, tmp_path))
    assert net.config.base == base
    frozen = base_tensors(base, ENCODERS["vit_b"], tmp_path)
    after = run.net.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in frozen.items())
    assert any(not torch.equal(after[name], weight) for name, weight in before.items())


def test_bf16_rounds_the_frozen_weights_for_the_run_and_not_for_the_model(
    tmp_path: Path, pool: TownPool, held_out: TownPool, base: BaseWeights
) -> None:
    toml = ON_SAM.replace("steps = 10", 'steps = 1\nprecision = "bf16"\ncheckpointing = true')
    run = loop.start(parse_recipe(toml), tmp_path)
    loop.train(run, pool, held_out, tmp_path)
    assert {p.dtype for p in run.net.encoder.vit.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in run.net.trainable_parameters()} == {torch.float32}
    kept = run.average.net.state_dict()
    for name, weight in base_tensors(base, ENCODERS["vit_b"], tmp_path).items():
        assert torch.equal(kept[name], weight)


def test_a_model_trained_on_sam_is_exported_without_it(
    tmp_path: Path, pool: TownPool, held_out: TownPool, base: BaseWeights
) -> None:
    run = loop.start(parse_recipe(ON_SAM.replace("steps = 10", "steps = 1")), tmp_path)
    path = loop.train(run, pool, held_out, tmp_path)
    out = tmp_path / "delta.safetensors"
    command = ["export", str(path), "-o", str(out), "--delta", "--models-dir", str(tmp_path)]
    done = CliRunner().invoke(models_app, command)
    assert done.exit_code == 0, done.output
    whole, delta = load_model(path).state_dict(), load_model(out, tmp_path).state_dict()
    for name, weight in whole.items():
        torch.testing.assert_close(delta[name], weight, rtol=1e-3, atol=1e-6)


def test_without_sams_weights_there_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(BaseMissing, match="`mfnet models fetch-base vit_b`"):
        loop.start(parse_recipe(ON_SAM), tmp_path)


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
