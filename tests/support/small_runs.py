"""Training runs of seconds: a tiny network on one window of a town."""

from pathlib import Path
from typing import Any

import pytest

from mfnet.model.classes import ISPRS, ClassScheme
from mfnet.model.config import ENCODERS, EncoderConfig
from mfnet.training.config.recipe import Recipe, parse_recipe
from mfnet.training.datasets.sources.synthetic_towns import draw_pool
from mfnet.training.datasets.tiles.interface import Pool
from mfnet.training.trainer import loop
from mfnet.training.trainer.initial_weights import find_origin
from mfnet.training.trainer.run_state import Run, start

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

ON_SAM = TOML.replace('encoder = "tiny"', 'encoder = "vit_b"').replace("train_encoder = true", "")

TINY = EncoderConfig(
    embed_dim=16, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=4, grid=10
)


def use_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets recipes name the tiny encoder."""
    monkeypatch.setitem(ENCODERS, "tiny", TINY)


def training_pool() -> Pool:
    """One window: every step sees the same ground, turned and in another light."""
    return draw_pool([1000], 160, 0.125, workers=1)


def held_out_pool() -> Pool:
    """Another one."""
    return draw_pool([500_000], 160, 0.125, workers=1)


def changed(toml: str = TOML, **optimizer: Any) -> Recipe:
    """A recipe with other keys of its optimizer."""
    recipe = parse_recipe(toml)
    table = {**recipe.optimizer.model_dump(), **optimizer}
    new = type(recipe.optimizer).model_validate(table)
    return recipe.model_copy(update={"optimizer": new})


def started(recipe: Recipe, models_dir: Path | None = None, scheme: ClassScheme = ISPRS) -> Run:
    """A run at step 0."""
    return start(recipe, scheme, find_origin(recipe, models_dir))


def finished(recipe: Recipe, pool: Pool, held_out: Pool, out: Path) -> Path:
    """The model of a whole run."""
    return loop.train(started(recipe), pool, held_out, out)
