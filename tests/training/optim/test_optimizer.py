"""The optimizer of a recipe: its rate over the steps, and which weights decay."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import MultiStepLR

from mfnet.model.config import NDSM, ORTHO, EncoderConfig, ModelConfig
from mfnet.model.network.mfnet import MFNet
from mfnet.training.config.optimizer_recipe import OptimizerRecipe
from mfnet.training.optim.lr_schedule import rate_factor
from mfnet.training.optim.optimizer import build_optimizer, decaying

ENCODER = EncoderConfig(
    embed_dim=16, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=4, grid=10
)


def recipe(**values: Any) -> OptimizerRecipe:
    return OptimizerRecipe.model_validate({"steps": 100, **values})


def tiny(tuning: str) -> MFNet:
    return MFNet(ModelConfig(encoder=ENCODER, tuning=tuning, window_px=160))


def test_the_rate_rises_and_falls_to_nothing() -> None:
    factors = [rate_factor(step, recipe(warmup_steps=10)) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[10] == 1
    assert np.all(np.diff(factors[:10]) > 0)
    assert np.all(np.diff(factors[10:]) < 0)
    assert factors[100] == pytest.approx(0)


def test_the_rate_of_milestones_is_that_of_the_released_loop() -> None:
    """There the scheduler steps before each epoch; its milestones are 25, 35, 45 of 50 epochs."""
    batches = 2
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = MultiStepLR(optimizer, [25, 35, 45], gamma=0.1)
    released = []
    for _ in range(50):
        optimizer.step()
        scheduler.step()
        released += [scheduler.get_last_lr()[0]] * batches
    milestones = tuple(batches * (epoch - 1) for epoch in (25, 35, 45))
    ours = recipe(steps=100, schedule="steps", milestones=milestones, warmup_steps=0)
    assert [rate_factor(step, ours) for step in range(100)] == pytest.approx(released)


@pytest.mark.parametrize(
    ("tuning", "spared"),
    [
        ("mmadapter", {"encoder.tuning.0.mixing.weights"}),
        ("lora", set()),
        (
            "mmdora",
            {
                f"encoder.tuning.0.{name}"
                for name in (
                    "mixing1.weights", "mixing2.weights", "length_qkv", "length1", "length2",
                )
            },
        ),
    ],
)  # fmt: skip
def test_only_matrices_and_kernels_decay(tuning: str, spared: set[str]) -> None:
    net = tiny(tuning)
    tables = {name for name, weight in net.named_parameters() if weight.ndim > 1} - decaying(net)
    positions = {
        "encoder.vit.pos_embed",
        "encoder.vit.blocks.0.attn.rel_pos_h",
        "encoder.vit.blocks.0.attn.rel_pos_w",
    }
    biases = {f"decoder.block_{level}.attention.bias_table" for level in (8, 16, 32)}
    assert tables == positions | biases | spared
    assert all(net.get_parameter(name).ndim > 1 for name in decaying(net))


def test_each_trained_weight_is_in_one_group_and_the_papers_all_decay() -> None:
    net = tiny("mmadapter").freeze()
    trained = {id(p) for p in net.trainable_parameters()}
    for decayed, some in (("matrices", True), ("all", False)):
        decay, spare = build_optimizer(net, recipe(decayed=decayed)).param_groups
        both = [id(p) for p in (*decay["params"], *spare["params"])]
        assert len(both) == len(trained)
        assert {*both} == trained
        assert bool(spare["params"]) is some
        assert (decay["weight_decay"], spare["weight_decay"]) == (0.05, 0)


def test_a_recipe_names_its_optimizer() -> None:
    sgd = build_optimizer(tiny("none"), recipe(name="sgd", momentum=0.8, learning_rate=0.01))
    assert isinstance(sgd, SGD)
    assert all((g["lr"], g["momentum"]) == (0.01, 0.8) for g in sgd.param_groups)
    assert isinstance(build_optimizer(tiny("none"), recipe()), AdamW)


def test_the_model_has_both_modalities() -> None:
    """Else the mixing weights above would be empty."""
    assert tiny("mmadapter").config.modalities == (ORTHO, NDSM)
