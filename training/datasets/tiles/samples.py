"""Samples, and how they become batches of the network's inputs.

Shapes: B batch, C bands, H W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfnet.model.config import Modality, neutral_values
from mfnet.model.raster.pairs.normalize import neutral_input, scaling, white_point


@dataclass(frozen=True)
class Sample:
    """A labelled window in the units of its files.

    Args:
        rasters: By modality's name, (C, H, W): digital numbers or metres; NaN where nothing was
            measured.
        no_ortho: (H, W) bool, where the orthophoto, whose numbers have no NaN, has none.
        truth: (H, W) uint8 class values, 255 to be ignored.
        white: The digital number of white in reflectance rasters.
        metre: What a metre is in the heights' unit.
    """

    rasters: dict[str, NDArray[np.generic]]
    truth: NDArray[np.uint8]
    white: float = 255.0
    metre: float = 1.0
    no_ortho: NDArray[np.bool_] | None = None

    def with_rasters(self, **rasters: NDArray[np.generic]) -> "Sample":
        """The same sample with some rasters replaced."""
        return replace(self, rasters={**self.rasters, **rasters})


def of_rasters(
    ortho: NDArray[np.generic], ndsm: NDArray[np.floating[Any]], truth: NDArray[np.uint8]
) -> Sample:
    """A sample from an orthophoto (3, H, W) and heights (H, W) in metres above ground."""
    return Sample({"ortho": ortho, "ndsm": ndsm[None]}, truth, white_point(ortho.dtype))


@dataclass(frozen=True)
class Batch:
    """What a step takes: inputs by modality's name, (B, C, H, W), and truth (B, H, W) int64."""

    inputs: dict[str, Tensor]
    truth_BHW: Tensor


def collate(samples: Sequence[Sample], modalities: Sequence[Modality]) -> Batch:
    """Normalises samples into a batch, as the engine normalises rasters.

    Gaps become the model's neutral values, and heights below the ground 0, where nothing stands.
    """
    inputs = {
        m.name: torch.from_numpy(np.stack([_normalised(s, m) for s in samples])) for m in modalities
    }
    truth = np.stack([s.truth for s in samples]).astype(np.int64)
    return Batch(inputs, torch.from_numpy(truth))


def _normalised(sample: Sample, modality: Modality) -> NDArray[np.float32]:
    to_input = scaling(modality, sample.white)
    raster = np.asarray(sample.rasters[modality.name], np.float32)
    if modality.unit == "metre":
        raster = np.maximum(raster, 0)  # a gap (NaN) stays one
    values = raster * np.float32(to_input.scale) + np.float32(to_input.offset)
    gap = np.isnan(values).any(axis=0)
    if modality.name == "ortho" and sample.no_ortho is not None:
        gap |= sample.no_ortho
    neutral = np.asarray(neutral_input(modality, neutral_values(modality)), np.float32)
    return np.where(gap, neutral[:, None, None], values)
