"""What the engine asks of whatever turns windows into logits.

Shapes: B batch, K classes, S side of a window.
"""

from collections.abc import Mapping
from typing import Protocol

from mfnet.model.config import ModelConfig
from mfnet.model.inference.arrays.interface import Array, Arrays


class Runtime(Protocol):
    """A network on a device, ready to answer batches."""

    @property
    def config(self) -> ModelConfig:
        """The model's."""

    @property
    def name(self) -> str:
        """For people: `torch`, `openvino`, `rule`."""

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""

    @property
    def precision(self) -> str:
        """`fp32` or `bf16`."""

    @property
    def arrays(self) -> Arrays:
        """The arrays that windows come in and logits go out in."""

    @property
    def batch_size(self) -> int:
        """Windows a call, where nobody says otherwise."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what the network is: its configuration, and all of its weights."""

    @property
    def conditions(self) -> Mapping[str, str | int]:
        """What else logits may depend on in their last bits: versions, processor, threads."""

    def at(self, gsd_m: float | None) -> "Runtime":
        """The same for pixels of this size in metres; itself where that does not matter."""

    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        """Logits (B, K, S, S), float32, of normalised windows by modality, (B, C, S, S).

        Raises:
            NonFiniteLogits: NaN or Inf.
        """
