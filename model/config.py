"""What a model is beside its weights. Frozen; travels inside the checkpoint as JSON."""

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mfnet.model.classes import ISPRS, ClassScheme
from mfnet.model.input_ranges import Seen


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EncoderConfig(_Frozen):
    """Shape of SAM's ViT image encoder (segment_anything/build_sam.py)."""

    embed_dim: int
    depth: int
    num_heads: int
    global_attn_indexes: tuple[int, ...]
    window_size: int = Field(default=14, description="tokens a side of a windowed block")
    patch_size: int = 16
    grid: int = Field(default=64, description="tokens a side that the positions were trained on")
    out_chans: int = 256


ENCODERS: dict[str, EncoderConfig] = {
    "vit_b": EncoderConfig(
        embed_dim=768, depth=12, num_heads=12, global_attn_indexes=(2, 5, 8, 11)
    ),
    "vit_l": EncoderConfig(
        embed_dim=1024, depth=24, num_heads=16, global_attn_indexes=(5, 11, 17, 23)
    ),
    "vit_h": EncoderConfig(
        embed_dim=1280, depth=32, num_heads=16, global_attn_indexes=(7, 15, 23, 31)
    ),
    # Ours, for the demo and the tests: trained from nothing, so its grid is that of one window.
    "small": EncoderConfig(
        embed_dim=160, depth=6, num_heads=5, global_attn_indexes=(2, 5), window_size=8, grid=16
    ),
}


class Modality(_Frozen):
    """One input raster of the network and the range that maps to 0..1.

    `reflectance` rasters are first divided by their white point (255 for uint8), so that `low` and
    `high` are fractions of white; `metre` rasters are heights above ground. The range belongs to
    the model and is never computed from the raster at hand: the same pixel gets the same class
    whatever the crop.
    """

    name: str
    bands: Literal[1, 3] = Field(description="one is shown to SAM's encoder three times")
    unit: Literal["reflectance", "metre"]
    low: float = 0.0
    high: float = 1.0
    neutral: tuple[float, ...] | None = Field(
        default=None,
        description="what stands for a missing pixel, a band each, in the modality's unit; without "
        "it a grey (reflectance), or the ground (metres)",
    )

    @model_validator(mode="after")
    def _range_is_one(self) -> "Modality":
        if not self.low < self.high:
            raise ValueError(f"the range is {self.low} to {self.high}; expected low below high")
        return self

    @model_validator(mode="after")
    def _neutral_fits(self) -> "Modality":
        if self.neutral is not None and len(self.neutral) != self.bands:
            raise ValueError(
                f"neutral has {len(self.neutral)} values; expected {self.bands}, one a band"
            )
        return self


def neutral_values(modality: Modality) -> tuple[float, ...]:
    """What stands for a missing pixel of a modality, a band each, in its unit.

    It belongs to the model and not to the raster at hand, so that no window depends on others.
    """
    if modality.neutral is not None:
        return modality.neutral
    return (0.0 if modality.unit == "metre" else NEUTRAL_GREY,) * modality.bands


NEUTRAL_GREY = 0.35
"""Of white. With holes in three towns 99.65 % of the pixels farther than 32 pixels from one keep
their class, with grey of 0.3 to 0.45 alike; with the medians of the training's bands, a greenish
yellow, 99.3 %, with black 96.0 %."""

ORTHO = Modality(name="ortho", bands=3, unit="reflectance")
NDSM = Modality(name="ndsm", bands=1, unit="metre", low=0.0, high=30.0)


class BaseWeights(_Frozen):
    """The frozen weights that a model was fine-tuned on."""

    encoder: str = Field(description="a key of ENCODERS")
    sha256: str = Field(description="of the checkpoint file that they came from")


class ModelConfig(_Frozen):
    """Everything that inference needs beside the weights."""

    name: str = "unnamed"
    kind: Literal["mfnet", "rule", "rule-infrared"] = Field(
        default="mfnet", description="the network; or a rule without weights, whose encoder is none"
    )
    encoder: EncoderConfig
    tuning: str = Field(default="mmadapter", description="a key of network.tuning.TUNINGS")
    fusion: str = Field(default="dfm", description="a key of network.fusion.FUSIONS")
    modalities: tuple[Modality, ...] = Field(default=(ORTHO, NDSM), min_length=1)
    classes: ClassScheme = ISPRS
    window_px: int = 256
    stride_px: int = Field(default=128, description="default distance between windows")
    decode_channels: int = Field(default=64, ge=16, multiple_of=16)
    detail_channels: int = Field(
        default=0, ge=0, description="of the head at full resolution; 0 for none, as in the paper"
    )
    gsd_m: float | None = Field(default=None, description="ground sampling distance trained at")
    rescale: bool = Field(
        default=False,
        description="bring rasters to about `gsd_m` for the network, by factors of two",
    )
    temperature: float = Field(
        default=1.0,
        gt=0,
        allow_inf_nan=False,
        description="what mean logits are divided by for the confidence; changes no class",
    )
    seen: Seen | None = Field(default=None, description="the inputs that it was trained on")
    base: BaseWeights | None = Field(default=None, description="what the encoder's weights are")
    metrics: dict[str, Any] = Field(default_factory=dict, description="measured, with conditions")
    provenance: dict[str, Any] = Field(default_factory=dict, description="recipe, commit, parent")

    @model_validator(mode="after")
    def _window_suits_decoder(self) -> "ModelConfig":
        if not suits_decoder(self.window_px, self.encoder.patch_size):
            raise ValueError(
                f"window_px is {self.window_px}; expected a multiple of 32 from 160 upwards"
            )
        return self

    @model_validator(mode="after")
    def _modalities_differ(self) -> "ModelConfig":
        names = [modality.name for modality in self.modalities]
        if len(set(names)) < len(names):
            raise ValueError(f"modalities are {', '.join(names)}; expected each name once")
        return self

    def halvings(self, gsd_m: float | None) -> int:
        """How often a raster's pixels are halved in number for the network, metres a pixel.

        Below zero they are doubled; 0 where the network sees rasters as they are.
        """
        if not self.rescale or self.gsd_m is None or not gsd_m:
            return 0
        return halvings_to(self.gsd_m, gsd_m)

    def at(self, gsd_m: float | None) -> "ModelConfig":
        """The same for rasters of a pixel size: window and stride in pixels of theirs."""
        factor = 2.0 ** self.halvings(gsd_m)
        scaled = {
            "window_px": int(self.window_px * factor),
            "stride_px": max(1, int(self.stride_px * factor)),
        }
        return self.model_copy(update=scaled)


MOST_HALVINGS = 3
"""Either way: beyond eight times a pixel says too little, or a window is lost."""


def halvings_to(own_m: float, gsd_m: float) -> int:
    """Factors of two between a raster's pixels and those of about `own_m`, both in metres."""
    return max(-MOST_HALVINGS, min(MOST_HALVINGS, round(math.log2(own_m / gsd_m))))


def suits_decoder(side_px: int, patch_size: int) -> bool:
    """Whether the network takes images of this side.

    The pyramid halves the token grid once, and the decoder reflects its coarsest level (side / 32
    cells) up to a multiple of 8, which needs more cells than it adds.
    """
    coarsest = side_px // (2 * patch_size)
    return side_px % (2 * patch_size) == 0 and -coarsest % 8 < coarsest
