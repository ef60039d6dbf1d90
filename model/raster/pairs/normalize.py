"""From digital numbers and metres to the network's input.

The ranges belong to the model and are never taken from the raster at hand, so that a pixel's class
does not depend on what else is in the picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import DTypeLike

from mfnet.model.config import Modality, ModelConfig, neutral_values
from mfnet.model.errors import BadOption, ModelInput

BANDS = {"ortho": 3, "ndsm": 1}
"""What a raster pair offers: bands by modality."""


@dataclass(frozen=True)
class Scaling:
    """A linear map: value × scale + offset; and what stands for a missing pixel.

    Attributes:
        scale: Factor.
        offset: Added after it.
        neutral: The network's input where nothing is known, a band each; 0 if none is given.
    """

    scale: float
    offset: float
    neutral: tuple[float, ...] = ()


def scaling(modality: Modality, white: float) -> Scaling:
    """The map that takes a modality's range to 0..1; values beyond it go beyond 0..1.

    Args:
        modality: Of the model.
        white: The digital number of full reflectance; matters to `reflectance` alone.

    Raises:
        BadOption: White is not a positive number.
    """
    if not 0 < white < float("inf"):
        raise BadOption(f"white is {white}; expected a positive number", white=str(white))
    unit = white if modality.unit == "reflectance" else 1.0
    span = modality.high - modality.low
    return Scaling(scale=1 / (unit * span), offset=-modality.low / span)


def scalings(config: ModelConfig, white: float) -> dict[str, Scaling]:
    """The scaling of each of a model's modalities, reflectance before metres.

    Args:
        config: The model's.
        white: As in `scaling`.

    Raises:
        ModelInput: The model takes a modality or a number of bands that no pair offers.
    """
    for modality in config.modalities:
        if BANDS.get(modality.name) != modality.bands:
            raise ModelInput(
                f"model {config.name!r} takes {modality.bands} bands of {modality.name!r}; a pair "
                "offers 3 of 'ortho' and 1 of 'ndsm': choose another model",
                modality=modality.name,
                bands=modality.bands,
            )
    ordered = sorted(config.modalities, key=lambda modality: modality.unit == "metre")
    return {modality.name: _with_neutral(modality, white) for modality in ordered}


def _with_neutral(modality: Modality, white: float) -> Scaling:
    to_input = scaling(modality, white)
    return replace(to_input, neutral=neutral_input(modality, neutral_values(modality)))


def neutral_input(modality: Modality, neutral: Sequence[float]) -> tuple[float, ...]:
    """The network's input for values in the modality's unit, whatever white is."""
    of_unit = scaling(modality, white=1.0)
    return tuple(value * of_unit.scale + of_unit.offset for value in neutral)


def white_point(dtype: DTypeLike) -> float:
    """Full reflectance of a pixel type: its largest integer, 1 for floating point."""
    kind = np.dtype(dtype)
    return float(np.iinfo(kind).max) if np.issubdtype(kind, np.integer) else 1.0
