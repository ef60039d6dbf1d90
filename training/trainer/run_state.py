"""A training run in progress."""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from mfnet.model.classes import ClassScheme
from mfnet.model.errors import BadRecipe
from mfnet.model.network.mfnet import MFNet
from mfnet.training.config.recipe import Recipe
from mfnet.training.datasets.tiles.interface import Pool
from mfnet.training.optim.lr_schedule import rate_factor
from mfnet.training.optim.optimizer import build_optimizer
from mfnet.training.optim.weight_averaging import WeightAverage
from mfnet.training.trainer.distributed import Processes
from mfnet.training.trainer.initial_weights import Origin, first_network
from mfnet.training.trainer.precision import settle_precision


@dataclass
class Run:
    """All that changes while a network is trained, and what decides how.

    Args:
        recipe: What to do, in the precision that was settled.
        origin: Where the first weights came from.
        processes: Who computes.
        net: Is trained; on the process's device.
        average: The mean of its weights, which is what is kept.
        optimizer: Of the net.
        schedule: Of the optimizer's rate.
        step: Steps done.
        remarks: What a person should know of the start.
    """

    recipe: Recipe
    origin: Origin
    processes: Processes
    net: MFNet
    average: WeightAverage
    optimizer: Optimizer
    schedule: LambdaLR
    step: int = 0
    remarks: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """What decides the run, JSON values: the recipe's dotted keys, the first weights."""
        return facts_of(self.recipe, self.origin)

    def shared_net(self) -> nn.Module:
        """The network as a step runs it: with several processes, their gradients' mean is taken."""
        if self.processes.count == 1:
            return self.net
        with warnings.catch_warnings():
            # The name that is to take its place is unknown to the oldest torch that we run on.
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            # Each keeps the running statistics of its own parts; those of the first are saved.
            return DistributedDataParallel(self.net, broadcast_buffers=False)


def facts_of(recipe: Recipe, origin: Origin) -> dict[str, Any]:
    """What decides a run of a recipe, JSON values; see `Run.facts`."""
    return {**_flat(recipe.model_dump(mode="json")), **origin.facts()}


def changed_facts(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """In which facts two runs differ, for people."""
    return [
        f"{key} was {then.get(key)}, is {now.get(key)}"
        for key in {**now, **then}
        if then.get(key) != now.get(key)
    ]


def start(
    recipe: Recipe,
    scheme: ClassScheme,
    origin: Origin,
    processes: Processes | None = None,
    pool: Pool | None = None,
) -> Run:
    """A run at step 0.

    Args:
        recipe: What to do.
        scheme: The data's classes.
        origin: From `find_origin`.
        processes: This one on the CPU if not given.
        pool: What is learned from, as `first_network` takes it.

    Raises:
        BadRecipe: The processes cannot share a batch's parts evenly.
    """
    processes = processes or Processes(torch.device("cpu"))
    _require_even_shares(recipe, processes)
    recipe, of_precision = settle_precision(recipe, processes.device)
    net, remarks = first_network(recipe, scheme, origin, pool)
    net.to(processes.device)
    if not recipe.network.train_encoder:
        net.freeze()
    optimizer = build_optimizer(net, recipe.optimizer)
    schedule = LambdaLR(optimizer, lambda step: rate_factor(step, recipe.optimizer))
    average = WeightAverage(net, recipe.optimizer.averaging)  # also keeps what is frozen exact
    net.encoder.checkpointing = recipe.optimizer.checkpointing
    if recipe.optimizer.precision == "bf16" and not recipe.network.train_encoder:
        net.encoder.vit.to(torch.bfloat16)  # nothing trains it: cast once, not in every step
    return Run(
        recipe, origin, processes, net.train(), average, optimizer, schedule,
        remarks=(*remarks, *of_precision),
    )  # fmt: skip


def _require_even_shares(recipe: Recipe, processes: Processes) -> None:
    parts = recipe.optimizer.accumulation
    if parts % processes.count:
        raise BadRecipe(
            f"optimizer.accumulation is {parts}: {processes.count} processes cannot share a "
            f"batch's parts evenly; expected a multiple of {processes.count}"
        )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested tables by dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        whole = prefix + key
        flat |= _flat(value, f"{whole}.") if isinstance(value, dict) else {whole: value}
    return flat
