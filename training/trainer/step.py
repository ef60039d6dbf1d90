"""One step of training: the gradient of a batch, computed in parts, and what it changes.

Shapes: B batch, K classes, H W pixels.
"""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mfnet.model.errors import TrainingDiverged
from mfnet.training.datasets.tiles.samples import Batch
from mfnet.training.trainer.batch_sampler import own_parts
from mfnet.training.trainer.run_state import Run


def take_step(
    run: Run, net: nn.Module, parts: Sequence[Batch], loss_of: nn.Module
) -> dict[str, float]:
    """Changes a run's weights by one batch.

    Args:
        run: Is changed.
        net: `run.shared_net()`.
        parts: Of the batch, those that this process computes.
        loss_of: From logits and truth.

    Returns:
        The loss before the step, the gradient's norm, the learning rate, the seconds.

    Raises:
        TrainingDiverged: The loss or its gradient is NaN or Inf; the weights stay as they were.
    """
    began = time.perf_counter()
    recipe = run.recipe.optimizer
    run.optimizer.zero_grad(set_to_none=True)
    loss = run.processes.mean(_gradient(run, net, parts, loss_of))
    _require_finite("loss", loss, run)
    norm = nn.utils.clip_grad_norm_(run.net.parameters(), recipe.clip_norm or float("inf"))
    _require_finite("gradient's norm", norm, run)  # clipping by it would make all weights NaN
    rate = float(run.schedule.get_last_lr()[0])
    run.optimizer.step()
    run.schedule.step()
    run.average.update(run.net)
    run.step += 1
    return {
        "loss": float(loss),
        "gradient_norm": float(norm),
        "learning_rate": rate,
        "seconds_a_step": round(time.perf_counter() - began, 3),
    }


def _gradient(run: Run, net: nn.Module, parts: Sequence[Batch], loss_of: nn.Module) -> Tensor:
    """Adds the gradient of the parts' mean loss to the weights; returns that loss."""
    recipe, device = run.recipe.optimizer, run.processes.device
    total = torch.zeros((), device=device)
    for number, part in zip(own_parts(recipe, run.processes), parts, strict=True):
        _seed_dropout(recipe.seed, run.step, number)
        with _gathering(net, last=part is parts[-1]):
            with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
                logits_BKHW = net(part.inputs)
            loss = loss_of(logits_BKHW, part.truth_BHW) / len(parts)
            loss.backward()
        total += loss.detach()
    return total


def _seed_dropout(seed: int, step: int, part: int) -> None:
    """Makes dropout depend on the part alone, wherever and by whichever process it is computed."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, part)).generate_state(1)[0]))


def _gathering(net: nn.Module, *, last: bool) -> AbstractContextManager[Any]:
    """Processes exchange their gradients with the last part alone."""
    if isinstance(net, DistributedDataParallel) and not last:
        return net.no_sync()
    return nullcontext()


def _require_finite(what: str, value: Tensor, run: Run) -> None:
    if not bool(torch.isfinite(value)):
        rate = run.recipe.optimizer.learning_rate
        raise TrainingDiverged(
            f"the {what} is {value.item()} at step {run.step}; expected a finite number: lower "
            f"optimizer.learning_rate ({rate}) or set optimizer.precision to fp32",
            step=run.step,
        )
