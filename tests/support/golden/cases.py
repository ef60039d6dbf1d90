"""Golden cases: weights and inputs by formula, what the released code makes of them from a file.

`NAME.json` lists each tensor of the released state dict with its shape and the bounds of its
values; `NAME.npz` holds every 4th feature channel and every 16th pixel of the logits, computed by
the authors' code (github.com/sstary/SSRS, commit 707b454; evaluation mode, float32, CPU).
"""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HERE = Path(__file__).parent


@dataclass(frozen=True)
class GoldenCase:
    """A state dict by the released names, inputs by modality, and the expected numbers."""

    state_dict: dict[str, Tensor]
    inputs: dict[str, Tensor]
    expected: dict[str, NDArray[np.float32]]


def load_case(name: str, expected: Path | None = None) -> GoldenCase:
    """The case `name`; `expected` replaces the project's own subset of the numbers."""
    case = json.loads((HERE / f"{name}.json").read_text())
    salt = case["salt"]
    state_dict = {
        tensor: uniform(salt + tensor, tuple(spec["shape"]), spec["low"], spec["high"])
        for tensor, spec in case["parameters"].items()
    }
    inputs = {
        modality: uniform(f"{salt}input/{modality}", tuple(shape), 0, 1)
        for modality, shape in case["inputs"].items()
    }
    inputs["ndsm"] = inputs["ndsm"][:, None]
    return GoldenCase(state_dict, inputs, dict(np.load(expected or HERE / f"{name}.npz")))


def uniform(name: str, shape: tuple[int, ...], low: float, high: float) -> Tensor:
    """Float32 in [low, high): splitmix64 of (crc32 of the name, flat index), the same anywhere."""
    count = int(np.prod(shape))
    state = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(zlib.crc32(name.encode()) << 32)
    with np.errstate(over="ignore"):
        state *= np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    state ^= state >> np.uint64(31)
    share = (state >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return torch.from_numpy((low + (high - low) * share).astype(np.float32).reshape(shape))
