"""A network by torch: on CUDA, and on a processor wherever torch is installed."""

import hashlib
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mfnet.model.config import ModelConfig
from mfnet.model.engine_options import Device, Precision, require_known
from mfnet.model.errors import BadOption, NonFiniteLogits
from mfnet.model.inference.arrays.device import DeviceArrays
from mfnet.model.inference.arrays.host import HostArrays
from mfnet.model.inference.arrays.interface import Array, Arrays
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.runtimes.rescaled import at_its_size
from mfnet.model.network.encoder import Positions
from mfnet.model.network.mfnet import MFNet

DEVICES = tuple(device.value for device in Device)
PRECISIONS = tuple(precision.value for precision in Precision)
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_BATCH_SIZE = {"cpu": 8, "cuda": 64}


class TorchRuntime:
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
        precision: `fp32` or `bf16`.
        arrays: NumPy's on a processor, which torch takes as they are; torch's on CUDA.
    """

    name = "torch"

    def __init__(self, net: MFNet, device: str = "auto", precision: str = "auto") -> None:
        self._device = choose_device(device)
        self.precision = choose_precision(precision, self._device)
        self._dtype = _DTYPES[self.precision]
        self.net = net.converted(self._device, self._dtype).eval()
        # Transposed convolutions, most of the fusion's time, are faster so (docs/measurements).
        self.net.to(memory_format=torch.channels_last)
        self._on_cpu = self._device.type == "cpu"
        # float32 is float32: cuDNN would round the factors of convolutions to 10 bits.
        torch.backends.cudnn.allow_tf32 = False
        self.arrays: Arrays = HostArrays() if self._on_cpu else DeviceArrays(self._device)
        self._positions: dict[torch.Size, Positions] = {}

    @property
    def config(self) -> ModelConfig:
        """See `Runtime`."""
        return self.net.config

    @property
    def device(self) -> str:
        """See `Runtime`."""
        return str(self._device.type)

    @property
    def batch_size(self) -> int:
        """See `Runtime`."""
        return _BATCH_SIZE[self.device]

    @property
    def conditions(self) -> Mapping[str, str | int]:
        """See `Runtime`."""
        processor = (
            torch.backends.cpu.get_cpu_capability()
            if self._on_cpu
            else torch.cuda.get_device_name(self._device)
        )
        # Threads share the sums.
        threads = torch.get_num_threads()
        return {"torch": torch.__version__, "processor": processor, "threads": threads}

    @cached_property
    def fingerprint(self) -> str:
        """See `Runtime`; of the weights as they run."""
        digest = hashlib.sha256(self.config.model_dump_json().encode())
        for name, weights in sorted(self.net.state_dict().items()):
            digest.update(name.encode())
            digest.update(weights.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def at(self, gsd_m: float | None) -> Runtime:
        """See `Runtime`."""
        return at_its_size(self, gsd_m)

    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        """See `Runtime`. A result that is not finite in bf16 is computed once more in fp32."""
        if not self._on_cpu:
            return self.logits(inputs)
        tensors = {name: torch.from_numpy(np.asarray(values)) for name, values in inputs.items()}
        return self.logits(tensors).numpy()

    @torch.inference_mode()
    def logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The same for tensors on the device."""
        cast = {name: image.to(self._dtype) for name, image in inputs.items()}
        logits_BKHW: Tensor = self.net(cast, self._positions_of(cast)).float()
        if self.precision == "bf16" and not _finite(logits_BKHW):
            logits_BKHW = self._exact(inputs)
        if not _finite(logits_BKHW):
            raise NonFiniteLogits("the network returned NaN or Inf in float32")
        return logits_BKHW

    @cached_property
    def _exact(self) -> MFNet:
        """The network in float32; made where it is wanted."""
        return self.net.converted(self._device, torch.float32)

    def _positions_of(self, inputs: Mapping[str, Tensor]) -> Positions:
        """Gathered once for windows of a size."""
        size = next(iter(inputs.values())).shape[-2:]
        if size not in self._positions:
            self._positions[size] = self.net.encoder.positions(*size)
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
