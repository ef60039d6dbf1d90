"""The processes of one run: this one alone, or those that torchrun started."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from mfnet.model.inference.runtimes.torch_runtime import choose_device


@dataclass(frozen=True)
class Processes:
    """Who takes part in a run.

    Args:
        device: This process's.
        rank: Its number; 0 writes the files.
        count: How many there are.
    """

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def mean(self, value: Tensor) -> Tensor:
        """The mean of each process's value; all of them must ask."""
        if self.count > 1:
            distributed.all_reduce(value)
            value = value / self.count
        return value

    def any(self, said: bool) -> bool:
        """Whether one of the processes says so; all of them must ask."""
        return bool(self.mean(torch.tensor(float(said), device=self.device)) > 0)


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Joins the processes that torchrun started; without it there is this one.

    Args:
        device: A name in `mfnet.model.engine_options.Device`; on CUDA each process of a machine
        takes a GPU.

    Raises:
        BadOption: This machine lacks the device.
    """
    chosen = choose_device(device)
    if not distributed.is_torchelastic_launched():
        yield Processes(chosen)
        return
    # It is said of kernels with one input channel, along which a stride means nothing.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    if chosen.type == "cuda":
        chosen = torch.device("cuda", distributed.get_node_local_rank())
        torch.cuda.set_device(chosen)
    try:
        yield Processes(chosen, distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
