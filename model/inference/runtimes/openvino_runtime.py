"""An exported network by OpenVINO: the processor's runtime, without torch.

Windows are computed one by one, as many at a time as there are cores, so that what a window gives
depends on no other window, batch or core.

Shapes: B batch, K classes, S side of a window.
"""

import os
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfnet.model.config import ModelConfig
from mfnet.model.engine_options import Precision, require_known
from mfnet.model.errors import BadCheckpoint, BadOption, NonFiniteLogits
from mfnet.model.inference.arrays.host import HostArrays
from mfnet.model.inference.runtimes.cores import usable_cores
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.runtimes.rescaled import at_its_size
from mfnet.model.weights.catalog import read_config
from mfnet.model.weights.file_hash import sha256_of

# OpenVINO tells its makers of every import, over the network and from a forked process that may
# hang. Without the package that does so, it has a stand-in of its own that does nothing.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
import openvino  # noqa: E402

_HINTS = {"fp32": "f32", "bf16": "bf16"}


class OpenVinoRuntime:
    """A network in an ONNX file, compiled for this processor. See `Runtime`.

    Args:
        path: From `mfnet models export`; what strangers made is to be checked before.
        precision: `fp32` or `bf16`; `auto` is `fp32`.
        cache: Where compiled networks are kept for the next start; nowhere if not given.

    Raises:
        BadCheckpoint: OpenVINO cannot read it.
        BadOption: An unknown precision, or one that this processor has no instructions for.
    """

    name = "openvino"
    device = "cpu"
    batch_size = 8

    def __init__(self, path: Path, precision: str = "auto", cache: Path | None = None) -> None:
        require_known("precision", precision, [each.value for each in Precision])
        self.config: ModelConfig = read_config(path)
        self.precision = "fp32" if precision == "auto" else precision
        self.arrays = HostArrays()
        self._path, self._cache = path, cache
        self._cores = usable_cores()
        core = openvino.Core()
        if self.precision == "bf16" and not _has_bf16(core):
            # OpenVINO would compute in float32 without a word, and the map's tags say otherwise.
            raise BadOption(
                "this processor has no instructions for bf16, expected avx512_bf16 or amx_bf16: "
                "leave --precision away, or pass --precision fp32"
            )
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
            "INFERENCE_NUM_THREADS": self._cores,
            "NUM_STREAMS": self._cores,
        }
        if cache is not None and _writable(cache):
            options["CACHE_DIR"] = str(cache)
        try:
            compiled = core.compile_model(path, "CPU", options)
        except RuntimeError as error:
            raise BadCheckpoint(
                f"{path.name} cannot be compiled: {str(error)[:300]}", path=path.name
            ) from error
        self._queue = openvino.AsyncInferQueue(compiled, self._cores)
        self._queue.set_callback(_keep)

    @property
    def conditions(self) -> Mapping[str, str | int]:
        """See `Runtime`. The number of cores changes nothing."""
        return {"openvino": openvino.get_version()}

    @cached_property
    def fingerprint(self) -> str:
        """See `Runtime`."""
        return sha256_of(self._path)

    def at(self, gsd_m: float | None) -> Runtime:
        """See `Runtime`."""
        return at_its_size(self, gsd_m)

    def __call__(self, inputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """See `Runtime`. A window that is not finite in bf16 is computed once more in fp32."""
        logits_BKSS = self._computed(inputs)
        # NaN and Inf survive in a sum, which is cheaper to look at; finite values may overflow it.
        for number in np.flatnonzero(~np.isfinite(logits_BKSS.sum((1, 2, 3)))):
            if np.isfinite(logits_BKSS[number]).all():
                continue
            if self.precision == "fp32":
                raise NonFiniteLogits("the network returned NaN or Inf in float32")
            alone = {name: values[number : number + 1] for name, values in inputs.items()}
            logits_BKSS[number] = self._exact(alone)[0]
        return logits_BKSS

    @cached_property
    def _exact(self) -> "OpenVinoRuntime":
        """The network in float32; compiled where it is wanted."""
        return OpenVinoRuntime(self._path, "fp32", self._cache)

    def _computed(self, inputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        count = len(next(iter(inputs.values())))
        found: list[NDArray[np.float32] | None] = [None] * count
        for number in range(count):
            window = {
                name: np.ascontiguousarray(values[number : number + 1])
                for name, values in inputs.items()
            }
            self._queue.start_async(window, (found, number))
        self._queue.wait_all()
        return np.concatenate([one for one in found if one is not None])


def _has_bf16(core: openvino.Core) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _keep(request: Any, place: tuple[list[NDArray[np.float32] | None], int]) -> None:
    """Takes a window's logits out of the request, which is used again."""
    found, number = place
    found[number] = request.get_output_tensor(0).data.copy()


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
