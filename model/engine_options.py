"""Options that are names from a list; known without torch, so that `--help` answers at once."""

from collections.abc import Collection
from enum import StrEnum

from mfnet.model.errors import BadOption

DEFAULT_MODEL = "town"
"""The model that maps where nobody names one."""


PAPER_STRIDE = 32
"""Pixels between windows in the paper's tests on Vaihingen and Potsdam, which it averages."""


class Blend(StrEnum):
    """How windows are weighed where they overlap."""

    MEAN = "mean"
    HANN = "hann"


class Augmentation(StrEnum):
    """How often the network looks at each window, turned another way (test-time augmentation)."""

    NONE = "none"
    FLIPS = "flips"
    TURNS = "turns"


class Device(StrEnum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class RuntimeName(StrEnum):
    """What computes the network."""

    AUTO = "auto"
    TORCH = "torch"
    OPENVINO = "openvino"


class Precision(StrEnum):
    """Of the network's arithmetic."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"


def require_known(what: str, name: str, known: Collection[str]) -> None:
    """Refuses a name that is not in the list.

    Raises:
        BadOption: The message lists the names that there are.
    """
    if name not in known:
        raise BadOption(f"no {what} {name!r}; there are: {', '.join(known)}", name=name)
