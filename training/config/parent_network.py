"""A recipe's table `network` for going on from a model that there is."""

from pathlib import Path
from typing import Any

from mfnet.model.config import ENCODERS, ModelConfig
from mfnet.model.errors import BadRecipe
from mfnet.model.weights.sam_base import PUBLISHED


def network_of(config: ModelConfig, parent: str | Path) -> dict[str, Any]:
    """The table for a parent's network; all of it that a recipe can say.

    A parent that sees rasters at about its own pixel size needs it in the recipe's `data.gsd_m`.

    Args:
        config: The parent's.
        parent: Its name or file.

    Raises:
        BadRecipe: It is a rule, or its encoder is none that a recipe can name.
    """
    names = [name for name, encoder in ENCODERS.items() if encoder == config.encoder]
    if not names or config.kind != "mfnet":
        raise BadRecipe(
            f"the encoder of {config.name!r} is none of {', '.join(ENCODERS)}; expected one of "
            "these, to be trained further"
            if config.kind == "mfnet"
            else f"{config.name!r} has no weights to be trained further; expected a network"
        )
    ranges = [(m.low, m.high) for m in config.modalities if m.name == "ndsm"]
    return {
        "encoder": names[0],
        "tuning": config.tuning,
        "fusion": config.fusion,
        "modalities": [modality.name for modality in config.modalities],
        **({"height_range_m": list(ranges[0])} if ranges else {}),
        "window_px": config.window_px,
        "detail_channels": config.detail_channels,
        "rescale": config.rescale,
        "train_encoder": names[0] not in PUBLISHED,  # SAM's stays as it is
        "parent": str(parent),
    }
