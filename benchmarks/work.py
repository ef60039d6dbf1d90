"""What a call computes and moves, counted operation by operation; and what the machine could do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

# Answered by another view of the same bytes, or by nothing read yet.
_MOVE_NOTHING = ("aten.empty", "aten.detach", "aten._unsafe_view")


@dataclass(frozen=True)
class Work:
    """Of one call.

    Attributes:
        flop: Floating-point operations of products and convolutions; two a multiply-add.
        bytes: Read and written by all operations, each on its own: what fusing them can save is
            in it, what a cache keeps between two of them, too.
    """

    flop: float
    bytes: float

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.flop / self.bytes


@dataclass(frozen=True)
class Machine:
    """What was measured of the machine, in the same turns as the contestants.

    Attributes:
        flop_s: Operations a second of a large square product, by precision.
        bytes_s: Bytes read and written a second, copying a large array.
    """

    flop_s: Mapping[str, float]
    bytes_s: float

    def floor_s(self, work: Work, precision: str) -> float:
        """The shortest time for the operations alone: bytes can be kept in caches, these not."""
        return work.flop / self.flop_s[precision]


def count(call: Callable[[], object]) -> Work:
    """The work of one call, on whatever device it runs."""
    with FlopCounterMode(display=False) as flops:
        call()
    with _Bytes() as moved:
        call()
    return Work(flops.get_total_flops(), moved.total)


def machine_calls(device: str, precisions: Mapping[str, torch.dtype]) -> dict[str, Any]:
    """Calls to time: a product in each precision, and a copy."""
    side = _side(device)
    calls = {}
    for name, dtype in precisions.items():
        a, b = torch.randn(2, side, side, device=device).to(dtype)
        calls[f"matrix {name}"] = partial(torch.matmul, a, b)
    source, target = torch.randn(2, 8 * side, side, device=device)
    return {**calls, "copy": partial(target.copy_, source)}


def measured(seconds: Mapping[str, float], device: str) -> Machine:
    """The machine, from the times of `machine_calls`."""
    side = _side(device)
    rates = {
        name.split()[1]: 2 * side**3 / s for name, s in seconds.items() if name.startswith("matrix")
    }
    return Machine(rates, bytes_s=2 * 4 * 8 * side**2 / seconds["copy"])


class _Bytes(TorchDispatchMode):
    """Adds up what goes in and out of each operation that makes or changes a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        name = str(function)
        if not function.is_view and not name.startswith(_MOVE_NOTHING):
            tensors = tree_leaves((args, kwargs or {}, out))
            self.total += sum(x.numel() * x.element_size() for x in tensors if _is_tensor(x))
        return out


def _is_tensor(x: object) -> bool:
    return isinstance(x, Tensor)


def _side(device: str) -> int:
    return 8192 if device.startswith("cuda") else 2048
