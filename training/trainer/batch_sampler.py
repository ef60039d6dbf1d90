"""Which samples a step takes, and their reading ahead of it.

The samples of a run are counted through: step s takes `batch_size` of them from s · batch_size on,
its part p the p-th share of those. The numbers depend on nothing else, so a run that goes on sees
what it would have seen, and processes share the parts without a word.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from mfnet.model.config import ModelConfig
from mfnet.training.config.optimizer_recipe import OptimizerRecipe
from mfnet.training.datasets.tiles.augmentation import twin
from mfnet.training.datasets.tiles.interface import Pool
from mfnet.training.datasets.tiles.samples import Batch, collate
from mfnet.training.trainer.distributed import Processes

TWINS = 1
"""Sets the chance of the twins' gaps apart from that of the windows."""

Item = TypeVar("Item")
Made = TypeVar("Made")


def part_samples(step: int, part: int, recipe: OptimizerRecipe) -> range:
    """The numbers of the samples of one part of a step's batch."""
    size = recipe.batch_size // recipe.accumulation
    first = step * recipe.batch_size + part * size
    return range(first, first + size)


def own_parts(recipe: OptimizerRecipe, processes: Processes) -> range:
    """The parts of each batch that this process computes."""
    return range(processes.rank, recipe.accumulation, processes.count)


def batches(
    pool: Pool, config: ModelConfig, recipe: OptimizerRecipe, processes: Processes, first_step: int
) -> Iterator[list[Batch]]:
    """This process's parts of each batch from a step to the last, read ahead in a thread.

    Yields:
        A batch a part, on the process's device; with twins, where the loss wants their agreement,
        behind the windows.
    """

    def read(samples: range) -> Batch:
        windows = [pool.sample(number, config.window_px, recipe.seed) for number in samples]
        if recipe.agreement:
            seeds = ((recipe.seed, number, TWINS) for number in samples)
            windows += [
                twin(window, np.random.default_rng(seed))
                for window, seed in zip(windows, seeds, strict=True)
            ]
        batch = collate(windows, config.modalities)
        return _moved(batch, Tensor.pin_memory) if processes.device.type == "cuda" else batch

    def move(tensor: Tensor) -> Tensor:
        return tensor.to(processes.device, non_blocking=True)

    own = own_parts(recipe, processes)
    wanted = (
        part_samples(step, part, recipe) for step in range(first_step, recipe.steps) for part in own
    )
    # GDAL and NumPy let go of the interpreter's lock, so threads are enough, and a few of them.
    parts = in_order(read, wanted, threads=min(4, torch.get_num_threads()))
    for _ in range(first_step, recipe.steps):
        yield [_moved(part, move) for part in islice(parts, len(own))]


def in_order(make: Callable[[Item], Made], items: Iterable[Item], threads: int) -> Iterator[Made]:
    """Like `map`, a few items ahead of the caller in threads."""
    items = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        pending = deque(pool.submit(make, item) for item in islice(items, 2 * threads))
        while pending:
            made = pending.popleft().result()
            pending.extend(pool.submit(make, item) for item in islice(items, 1))
            yield made


def _moved(batch: Batch, move: Callable[[Tensor], Tensor]) -> Batch:
    inputs = {name: move(tensor) for name, tensor in batch.inputs.items()}
    return Batch(inputs, move(batch.truth_BHW))
