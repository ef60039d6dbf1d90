"""A training run in small: it learns, stops with a word, and its model runs through the engine."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import (
    ON_SAM,
    TOML,
    changed,
    finished,
    held_out_pool,
    started,
    training_pool,
    use_tiny,
)
from typer.testing import CliRunner

from mfnet.model.classes import ISPRS, MMHUNAN, NODATA
from mfnet.model.cli.models import app as models_app
from mfnet.model.config import ENCODERS, BaseWeights
from mfnet.model.errors import BadRecipe, BaseMissing, TrainingDiverged
from mfnet.model.network.encoder import build_vit
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.checkpoint import load_model
from mfnet.model.weights.sam_base import base_tensors, import_base
from mfnet.training.config.recipe import Recipe, parse_recipe
from mfnet.training.datasets.tiles.interface import Pool
from mfnet.training.datasets.tiles.samples import Batch
from mfnet.training.evaluation.evaluate import evaluate
from mfnet.training.optim.losses import SegmentationLoss
from mfnet.training.trainer import loop
from mfnet.training.trainer.batch_sampler import batches
from mfnet.training.trainer.distributed import Processes
from mfnet.training.trainer.initial_weights import find_origin
from mfnet.training.trainer.measured_ranges import seen_in
from mfnet.training.trainer.run_state import start
from mfnet.training.trainer.step import take_step


@pytest.fixture(autouse=True)
def tiny_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny(monkeypatch)


@pytest.fixture(scope="module")
def pool() -> Pool:
    return training_pool()


@pytest.fixture(scope="module")
def held_out() -> Pool:
    return held_out_pool()


def test_a_run_lowers_the_loss_and_leaves_a_model(
    tmp_path: Path, pool: Pool, held_out: Pool
) -> None:
    said: list[dict[str, object]] = []
    run = started(parse_recipe(TOML))
    path = loop.train(run, pool, held_out, tmp_path, report=said.append)
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert logged == said
    losses = [found["loss"] for found in logged if "loss" in found]
    assert len(losses) == 10
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:2])
    checks = [found for found in logged if "miou" in found]
    assert [found["step"] for found in checks] == [5, 10]
    assert np.sum(checks[0]["confusion"]) == 160 * 160
    assert list(tmp_path.glob("events.out.tfevents.*"))
    net = load_model(path)
    assert net.config.gsd_m == 0.125
    assert net.config.seen == seen_in(pool, net.config.modalities, 0.125)
    found = evaluate(net, held_out.areas, held_out.scheme)
    figures = found.summary()
    assert figures["pixels"] == 160 * 160
    assert 0 < figures["oa"] < 1
    assert figures["conditions"]["stride_px"] == 120


def test_the_same_seed_gives_the_same_weights(tmp_path: Path, pool: Pool, held_out: Pool) -> None:
    paths = [finished(changed(steps=2), pool, held_out, tmp_path / name) for name in "ab"]
    first, second = (load_model(path).state_dict() for path in paths)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_gradient_of_parts_is_that_of_their_mean(pool: Pool) -> None:
    """Of two parts; where one is silent, half the other's gradient is left."""
    plan = changed(batch_size=2, accumulation=2, clip_norm=0.0)
    run = started(plan)
    parts = next(batches(pool, run.net.config, plan.optimizer, run.processes, 0))
    silent = Batch(parts[0].inputs, torch.full_like(parts[0].truth_BHW, NODATA))
    first, second = (gradient(plan, shown) for shown in ([parts[0], silent], [silent, parts[1]]))
    for one, other, both in zip(first, second, gradient(plan, parts), strict=True):
        torch.testing.assert_close(one + other, both, rtol=1e-4, atol=1e-6)


def gradient(plan: Recipe, parts: Sequence[Batch]) -> list[torch.Tensor]:
    """Of the first weights."""
    run = started(plan)
    take_step(run, run.net, parts, SegmentationLoss())
    return [p.grad for p in run.net.parameters() if p.grad is not None]


def test_processes_that_cannot_share_the_parts_are_told_so() -> None:
    recipe = changed(batch_size=6, accumulation=3)
    with pytest.raises(BadRecipe, match=r"accumulation is 3: 2 processes.*a multiple of 2"):
        start(recipe, ISPRS, find_origin(recipe), Processes(torch.device("cpu"), 0, 2))


@pytest.mark.parametrize(
    "optimizer",
    [
        {"name": "sgd", "learning_rate": 0.05, "clip_norm": 0.0, "averaging": 0.0},
        {"balanced": True, "precision": "bf16", "checkpointing": True, "learning_rate": 0.02},
    ],
    ids=["sgd", "balanced-bf16"],
)
def test_other_recipes_learn_too(
    tmp_path: Path, pool: Pool, held_out: Pool, optimizer: dict[str, object]
) -> None:
    said: list[dict[str, float]] = []
    run = started(changed(**optimizer))
    loop.train(run, pool, held_out, tmp_path, report=said.append)
    losses = [found["loss"] for found in said if "loss" in found]
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:2])


def test_without_averaging_the_last_weights_are_kept(
    tmp_path: Path, pool: Pool, held_out: Pool
) -> None:
    run = started(changed(averaging=0.0, steps=2))
    loop.train(run, pool, held_out, tmp_path)
    kept = run.average.net.state_dict()
    assert all(torch.equal(kept[name], weight) for name, weight in run.net.state_dict().items())


def test_a_loss_that_is_no_number_stops_the_run_with_a_word(
    tmp_path: Path, pool: Pool, held_out: Pool
) -> None:
    recipe = changed(learning_rate=1e30, warmup_steps=0, clip_norm=1e30)
    with pytest.raises(TrainingDiverged, match="learning_rate"):
        finished(recipe, pool, held_out, tmp_path)


def test_a_gradient_that_is_no_number_stops_the_run_before_the_step(
    tmp_path: Path, pool: Pool, held_out: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Steep(torch.nn.Module):
        def forward(self, logits_BKHW: torch.Tensor, truth_BHW: torch.Tensor) -> torch.Tensor:
            return (logits_BKHW * 0).sum().sqrt()  # 0, of infinite slope

    monkeypatch.setattr(loop, "build_loss", lambda *_: Steep())
    run = started(parse_recipe(TOML))
    before = [weight.detach().clone() for weight in run.net.parameters()]
    with pytest.raises(TrainingDiverged, match="gradient's norm is nan at step 0"):
        loop.train(run, pool, held_out, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(before, run.net.parameters(), strict=True))


# ---- on SAM's weights -------------------------------------------------------------------------


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
    tmp_path: Path, pool: Pool, held_out: Pool, base: BaseWeights
) -> None:
    run = started(changed(ON_SAM, steps=2), tmp_path)
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
    tmp_path: Path, pool: Pool, held_out: Pool, base: BaseWeights
) -> None:
    run = started(changed(ON_SAM, steps=1, precision="bf16", checkpointing=True), tmp_path)
    loop.train(run, pool, held_out, tmp_path)
    assert {p.dtype for p in run.net.encoder.vit.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in run.net.trainable_parameters()} == {torch.float32}
    kept = run.average.net.state_dict()
    for name, weight in base_tensors(base, ENCODERS["vit_b"], tmp_path).items():
        assert torch.equal(kept[name], weight)


def test_a_model_trained_on_sam_is_exported_without_it(
    tmp_path: Path, pool: Pool, held_out: Pool, base: BaseWeights
) -> None:
    run = started(changed(ON_SAM, steps=1), tmp_path)
    path = loop.train(run, pool, held_out, tmp_path)
    out = tmp_path / "delta.safetensors"
    command = ["export", str(path), str(out), "--delta", "--models-dir", str(tmp_path)]
    done = CliRunner().invoke(models_app, command)
    assert done.exit_code == 0, done.output
    whole, delta = load_model(path).state_dict(), load_model(out, tmp_path).state_dict()
    for name, weight in whole.items():
        torch.testing.assert_close(delta[name], weight, rtol=1e-3, atol=1e-6)


def test_without_sams_weights_there_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(BaseMissing, match="`mfnet models fetch-base vit_b`"):
        started(parse_recipe(ON_SAM), tmp_path)


# ---- the mean of the weights, and measuring ---------------------------------------------------


def test_the_average_of_weights_that_stand_still_is_those_weights() -> None:
    run = started(parse_recipe(TOML))
    for _ in range(3):
        run.average.update(run.net)
    for name, weight in run.net.state_dict().items():
        torch.testing.assert_close(run.average.net.state_dict()[name], weight)


def test_a_model_of_other_classes_is_not_measured(held_out: Pool) -> None:
    net = MFNet(parse_recipe(TOML).model_config_for(classes=MMHUNAN))
    with pytest.raises(BadRecipe, match=r"'mmhunan'.*the data have 'isprs'"):
        evaluate(net, held_out.areas, held_out.scheme)
