"""The training loop.

Shapes: B batch, K classes, H W pixels.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from model.base import LOAD_ERRORS, installed_base
from model.checkpoint import new_model, save
from model.config import ModelConfig
from model.errors import BadCheckpoint, BadRecipe, TrainingDiverged
from model.network.mfnet import MFNet
from training.averaging import WeightAverage
from training.datasets.towns import TownPool
from training.losses import SegmentationLoss
from training.metrics import Confusion
from training.recipe import OptimizerRecipe, Recipe
from training.samples import Batch, Sample, collate

Report = Callable[[dict[str, Any]], None]
"""Called with what a step or a check found, JSON values; has "step" and "steps"."""

CHECK_TILES = 24
"""Held-out windows that are looked at while training goes on."""


@dataclass
class Run:
    """A training run in progress: all that a later process needs to go on with it."""

    recipe: Recipe
    net: MFNet
    average: WeightAverage
    optimizer: AdamW
    schedule: LambdaLR
    step: int = 0

    def save_state(self, path: Path) -> None:
        """Writes what `resume` reads, atomically."""
        part = path.with_name(path.name + ".part")
        state = {
            name: getattr(self, name).state_dict() for name in ("net", "optimizer", "schedule")
        }
        state |= {"average": self.average.net.state_dict(), "step": self.step}
        state["origin"] = self._origin()
        torch.save(state, part)
        part.replace(path)

    def resume(self, path: Path) -> None:
        """Goes on from where `save_state` was called.

        Raises:
            BadCheckpoint: The file is damaged, or no state of a run.
            BadRecipe: It is of a run of another recipe, or on another base; says what differs.
        """
        try:
            state = torch.load(path, weights_only=True)
            then, now = state["origin"], self._origin()
        except (*LOAD_ERRORS, KeyError, TypeError) as error:
            raise BadCheckpoint(
                f"{path} is no state of a training run; train without --resume"
            ) from error
        differing = [
            f"{key} was {then.get(key)}, is {now[key]}" for key in now if then.get(key) != now[key]
        ]
        if differing:
            raise BadRecipe(
                f"the run in {path.parent} cannot go on, its recipe has changed: "
                f"{'; '.join(differing)}; give the recipe as it was, or train without --resume"
            )
        for name in ("net", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(state[name])
        self.average.net.load_state_dict(state["average"])
        self.step = self.average.updates = state["step"]

    def _origin(self) -> dict[str, Any]:
        """What decides the run, JSON values by the recipe's dotted keys, and the base's sha256."""
        origin = _flat(self.recipe.model_dump(mode="json"))
        base = self.net.config.base
        return {**origin, "base": None if base is None else base.sha256}


def start(recipe: Recipe, models_dir: Path | None = None) -> Run:
    """A run at step 0: SAM's weights unless the encoder is trained too, the rest from a seed.

    Args:
        recipe: What to do.
        models_dir: Where the bases are installed.

    Raises:
        BaseMissing: The encoder is not to be trained, and no base of it is installed.
    """
    network = recipe.network
    base = None if network.train_encoder else installed_base(network.encoder, models_dir)
    torch.manual_seed(recipe.optimizer.seed)
    net = new_model(recipe.model_config_for(base=base), models_dir)
    if not network.train_encoder:
        net.freeze()
    trained = [p for p in net.parameters() if p.requires_grad]
    optimizer = AdamW(_decay_groups(trained, recipe.optimizer), lr=recipe.optimizer.learning_rate)
    schedule = LambdaLR(optimizer, lambda step: rate_factor(step, recipe.optimizer))
    average = WeightAverage(net, recipe.optimizer.averaging)  # also keeps what is frozen exact
    net.encoder.checkpointing = recipe.optimizer.checkpointing
    if recipe.optimizer.precision == "bf16" and not network.train_encoder:
        net.encoder.vit.to(torch.bfloat16)  # nothing trains it: cast once, not in every step
    return Run(recipe, net.train(), average, optimizer, schedule)


def train(
    run: Run,
    pool: TownPool,
    held_out: TownPool,
    out: Path,
    *,
    report: Report = lambda found: None,
) -> Path:
    """Does the steps that are left of a run; writes the network at each check and at the end.

    Args:
        run: From `start`, or from `resume`; is changed.
        pool: Towns to learn from.
        held_out: Towns to check on; nothing is chosen by them.
        out: Folder for `<name>.safetensors`, `state.pt` (to resume from) and `log.jsonl`.
        report: Hears of the progress.

    Returns:
        Path of the model: the mean of the weights, half precision.

    Raises:
        TrainingDiverged: The loss or its gradient is NaN or Inf; the model of the last check stays.
    """
    recipe = run.recipe
    out.mkdir(parents=True, exist_ok=True)
    model = out / f"{recipe.name}.safetensors"
    with (out / "log.jsonl").open("a") as log:

        def tell(found: dict[str, Any]) -> None:
            found = {"step": run.step, "steps": recipe.optimizer.steps, **found}
            log.write(json.dumps(found) + "\n")
            log.flush()
            report(found)

        for found in _steps(run, pool):
            last = run.step == recipe.optimizer.steps
            if run.step % recipe.log_every == 0 or last:
                tell(found)
            if run.step % recipe.check_every == 0 or last:
                tell(check(run.average.net, held_out))
                save(run.average.net, model, torch.float16)
                run.save_state(out / "state.pt")
    return model


def check(net: MFNet, held_out: TownPool) -> dict[str, Any]:
    """Accuracy on some windows of held-out towns, spread evenly; a quick look, no evaluation."""
    tiles = list(held_out.tiles(net.config.window_px))
    confusion = Confusion(net.config.classes)
    for tile in tiles[:: max(1, len(tiles) // CHECK_TILES)]:
        batch = collate([tile], net.config.modalities)
        with torch.inference_mode():
            mapped_BHW = net(batch.inputs).argmax(1)
        confusion.add(batch.truth_BHW.numpy(), mapped_BHW.numpy())
    summary = confusion.summary()
    ious = {name: value["iou"] for name, value in summary["classes"].items()}
    return {"miou": summary["miou"], "mf1": summary["mf1"], "oa": summary["oa"], "iou": ious}


def rate_factor(step: int, recipe: OptimizerRecipe) -> float:
    """Share of the learning rate at a step: a linear rise, then half a cosine down to 0."""
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    left = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(left, 1.0)))


def _steps(run: Run, pool: TownPool) -> Iterator[dict[str, Any]]:
    """Runs the steps that are left; yields after each what it found."""
    recipe = run.recipe.optimizer
    loss_of = SegmentationLoss(recipe.class_weights, recipe.dice)
    batches = _batches(run.recipe, run.net.config, pool, run.step)
    for batch in islice(batches, recipe.steps - run.step):
        began = time.perf_counter()
        loss = _step(run, batch, loss_of)
        run.step += 1
        yield {
            "loss": round(loss, 4),
            "learning_rate": run.schedule.get_last_lr()[0],
            "seconds_a_step": round(time.perf_counter() - began, 3),
        }


def _step(run: Run, batch: Batch, loss_of: nn.Module) -> float:
    recipe = run.recipe.optimizer
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
        logits_BKHW = run.net(batch.inputs)
    loss = loss_of(logits_BKHW, batch.truth_BHW)
    _require_finite("loss", loss, run)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(run.net.parameters(), recipe.clip_norm)
    _require_finite("gradient's norm", norm, run)  # clipping by it would make all weights NaN
    run.optimizer.step()
    run.schedule.step()
    run.average.update(run.net)
    return float(loss.detach())


def _require_finite(what: str, value: Tensor, run: Run) -> None:
    if not bool(torch.isfinite(value)):
        rate = run.recipe.optimizer.learning_rate
        raise TrainingDiverged(
            f"the {what} is {value.item()} at step {run.step}; expected a finite number: lower "
            f"optimizer.learning_rate ({rate}) or set optimizer.precision to fp32",
            step=run.step,
        )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested tables by dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        whole = prefix + key
        flat |= _flat(value, f"{whole}.") if isinstance(value, dict) else {whole: value}
    return flat


def _batches(
    recipe: Recipe, config: ModelConfig, pool: TownPool, first_step: int
) -> Iterator[Batch]:
    """Batches without end; a run that was resumed sees others than it has seen before."""
    rng = np.random.default_rng((recipe.optimizer.seed, first_step))
    windows: Iterator[Sample] = pool.windows(config.window_px, rng)
    while True:
        yield collate(list(islice(windows, recipe.optimizer.batch_size)), config.modalities)


def _decay_groups(parameters: list[nn.Parameter], recipe: OptimizerRecipe) -> list[dict[str, Any]]:
    """Weight decay for what has two axes or more, none for the rest.

    So it meets matrices and kernels, but also positions, tables of relative positions and of
    biases by distance, and the modalities' mixing weights (M, 1); biases, norms and the decoder's
    shares (2,) are spared.
    """
    matrices = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
