"""From a batch of normalised windows to logits: device and precision."""

import hashlib
from collections.abc import Mapping
from functools import cached_property

import torch
from torch import Tensor

from mfnet.model.engine_options import Device, Precision, require_known
from mfnet.model.errors import BadOption, NonFiniteLogits
from mfnet.model.network.encoder import Positions
from mfnet.model.network.mfnet import MFNet
from mfnet.model.network.rule import Rule

DEVICES = tuple(device.value for device in Device)
PRECISIONS = tuple(precision.value for precision in Precision)
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

Network = MFNet | Rule
"""What turns windows into logits."""


class Predictor:
    """A network ready to answer batches.

    All of it runs in one precision: weights that are cast once take half the memory, and none of
    the time that autocast spends on casting them in every call.

    Args:
        net: Left as it is; what needs no conversion is shared with it.
        device: `auto` takes CUDA where there is one.
        precision: `auto` takes bf16 on CUDA.

    Raises:
        BadOption: An unknown device or precision, or a device that this machine lacks.

    Attributes:
        net: The network on the device, in the precision, in evaluation mode.
    """

    def __init__(self, net: Network, device: str = "auto", precision: str = "auto") -> None:
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self._dtype = _DTYPES[self.precision]
        self.net: Network = net.converted(self.device, self._dtype).eval()
        # Transposed convolutions, most of the fusion's time, are faster so (docs/measurements).
        self.net.to(memory_format=torch.channels_last)
        self._positions: dict[torch.Size, Positions | None] = {}

    def at(self, gsd_m: float | None) -> "Predictor":
        """The same for pixels of this size in metres; itself where that does not matter."""
        net = self.net.at(gsd_m)
        return self if net is self.net else Predictor(net, self.device.type, self.precision)

    @torch.inference_mode()
    def __call__(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Logits (B, K, H, W), float32, on the device.

        Raises:
            NonFiniteLogits: NaN or Inf, also when computed once more in float32.
        """
        cast = {name: image.to(self._dtype) for name, image in inputs.items()}
        logits_BKHW: Tensor = self.net(cast, self._positions_of(cast)).float()
        if self.precision == "bf16" and not _finite(logits_BKHW):
            logits_BKHW = self._exact(inputs)
        if not _finite(logits_BKHW):
            raise NonFiniteLogits("the network returned NaN or Inf in float32")
        return logits_BKHW

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what the network is: its configuration, and all of its weights as they run."""
        digest = hashlib.sha256(self.net.config.model_dump_json().encode())
        for name, weights in sorted(self.net.state_dict().items()):
            digest.update(name.encode())
            digest.update(weights.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    @cached_property
    def _exact(self) -> Network:
        """The network in float32; made where it is wanted."""
        return self.net.converted(self.device, torch.float32)

    def _positions_of(self, inputs: Mapping[str, Tensor]) -> Positions | None:
        """Gathered once for windows of a size."""
        size = next(iter(inputs.values())).shape[-2:]
        if size not in self._positions:
            self._positions[size] = self.net.positions(*size)
        return self._positions[size]


def choose_device(name: str) -> torch.device:
    """The device of a name in `DEVICES`."""
    require_known("device", name, DEVICES)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise BadOption("no CUDA device on this machine; use device auto or cpu", device=name)
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> str:
    """`fp32` or `bf16` for a name in `PRECISIONS`."""
    require_known("precision", name, PRECISIONS)
    if name == "auto":
        return "bf16" if device.type == "cuda" else "fp32"
    return name


def _finite(x: Tensor) -> bool:
    # NaN and Inf survive in a sum, a fortieth of the work on a CPU; finite values may overflow it.
    return bool(x.sum().isfinite()) or bool(x.isfinite().all())
