"""From a batch of normalised windows to logits: device and precision."""

from collections.abc import Mapping

import torch
from torch import Tensor

from model.errors import BadOption, NonFiniteLogits
from model.network.mfnet import MFNet
from model.options import Device, Precision, require_known

DEVICES = tuple(device.value for device in Device)
PRECISIONS = tuple(precision.value for precision in Precision)


class Predictor:
    """A network ready to answer batches.

    Args:
        net: Moved to the device and set to evaluation mode.
        device: `auto` takes CUDA where there is one.
        precision: `bf16` by autocast; `auto` takes it on CUDA.

    Raises:
        BadOption: An unknown device or precision, or a device that this machine lacks.
    """

    def __init__(self, net: MFNet, device: str = "auto", precision: str = "auto") -> None:
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self.net = net.to(self.device).eval()

    @torch.inference_mode()
    def __call__(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Logits (B, K, H, W), float32, on the device.

        Raises:
            NonFiniteLogits: NaN or Inf, also when computed once more in float32.
        """
        logits_BKHW = self._run(inputs, self.precision == "bf16")
        if self.precision == "bf16" and not _finite(logits_BKHW):
            logits_BKHW = self._run(inputs, autocast=False)
        if not _finite(logits_BKHW):
            raise NonFiniteLogits("the network returned NaN or Inf in float32")
        return logits_BKHW

    def _run(self, inputs: Mapping[str, Tensor], autocast: bool) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=autocast):
            logits_BKHW: Tensor = self.net(inputs)
        return logits_BKHW.float()


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
    return bool(torch.isfinite(x).all())
