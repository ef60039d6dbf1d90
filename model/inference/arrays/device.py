"""torch's tensors, on a device: moved through pinned memory, beside the computation.

Shapes: C bands, h rows, W width of the raster.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class OnTheWay:
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


class DeviceArrays:
    """See `Arrays`.

    Args:
        device: Where they lie. On the CPU, which tests use, nothing is moved.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def zeros(self, *shape: int) -> Tensor:
        """See `Arrays`."""
        return torch.zeros(shape, device=self._device)

    def constant(self, values: NDArray[Any]) -> Tensor:
        """See `Arrays`."""
        return torch.tensor(values, device=self._device)

    def upload(self, arrays: Mapping[str, NDArray[Any]]) -> OnTheWay:
        """See `Arrays`."""
        tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
        if self._stream is None:
            return OnTheWay(tensors, arrived=None)
        with torch.cuda.stream(self._stream):
            tensors = {
                name: tensor.pin_memory().to(self._device, non_blocking=True)
                for name, tensor in tensors.items()
            }
            return OnTheWay(tensors, arrived=self._stream.record_event())

    def download(self, array: Tensor) -> Callable[[], NDArray[Any]]:
        """See `Arrays`."""
        if self._stream is None:
            return array.numpy
        host = torch.empty(array.shape, dtype=array.dtype, pin_memory=True)
        host.copy_(array, non_blocking=True)
        arrived = torch.cuda.current_stream(self._device).record_event()

        def wait() -> NDArray[Any]:
            arrived.synchronize()
            return host.numpy()

        return wait

    def flip(self, array: Tensor, axes: tuple[int, ...]) -> Tensor:
        """See `Arrays`."""
        return array.flip(axes)

    def windows(self, values_CSW: Tensor, spacing: int) -> Tensor:
        """See `Arrays`."""
        return values_CSW.unfold(2, values_CSW.shape[1], spacing).permute(2, 0, 1, 3)

    def highest(self, scores_KhW: Tensor) -> Tensor:
        """See `Arrays`."""
        return scores_KhW.max(0).indices.to(torch.uint8)

    def percent_of_highest(self, mean_KhW: Tensor, temperature: float) -> Tensor:
        """See `Arrays`."""
        scaled_KhW = mean_KhW / temperature
        shares_KhW = (scaled_KhW - scaled_KhW.amax(0)).exp()
        return (100 / shares_KhW.sum(0)).round().to(torch.uint8)
