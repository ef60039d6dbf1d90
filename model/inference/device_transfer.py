"""Between host and device: on CUDA pinned and beside the computation, on a CPU no copy at all.

Shapes: C bands, h rows, W width of the raster.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Upload:
    """Arrays on their way to the device.

    Args:
        tensors: By name; theirs are the arrays' dtypes.
        arrived: None where they are there already.
    """

    tensors: Mapping[str, Tensor]
    arrived: torch.cuda.Event | None

    def wait(self) -> Mapping[str, Tensor]:
        """The tensors, for what is computed on the caller's stream from here on."""
        if self.arrived is not None:
            stream = torch.cuda.current_stream()
            stream.wait_event(self.arrived)
            for tensor in self.tensors.values():
                tensor.record_stream(stream)
        return self.tensors


class Transfer:
    """Moves arrays both ways without stopping the computation.

    Args:
        device: The far end.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def upload(self, arrays: Mapping[str, NDArray[Any]]) -> Upload:
        """Starts moving arrays to the device; may be called from a thread beside the computing."""
        tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
        if self._stream is None:
            return Upload(tensors, arrived=None)
        with torch.cuda.stream(self._stream):
            tensors = {
                name: tensor.pin_memory().to(self._device, non_blocking=True)
                for name, tensor in tensors.items()
            }
            return Upload(tensors, arrived=self._stream.record_event())

    def download(self, tensor: Tensor) -> Callable[[], NDArray[Any]]:
        """Starts moving a tensor to the host, where the call of what is returned waits for it."""
        if self._stream is None:
            return tensor.numpy
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        host.copy_(tensor, non_blocking=True)
        arrived = torch.cuda.current_stream(self._device).record_event()

        def wait() -> NDArray[Any]:
            arrived.synchronize()
            return host.numpy()

        return wait
