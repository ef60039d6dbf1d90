"""A recipe: everything that decides a training run, read from TOML and kept with its result."""

import tomllib
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.base import PUBLISHED
from model.classes import ISPRS
from model.config import ENCODERS, ORTHO, Modality, ModelConfig
from model.errors import BadRecipe
from model.network.fusion import FUSIONS
from model.network.tuning import TUNINGS


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NetworkRecipe(_Part):
    """Which network."""

    encoder: str = Field(description="a key of model.config.ENCODERS")
    tuning: str = Field(default="mmadapter", description="a key of model.network.tuning.TUNINGS")
    fusion: str = Field(default="dfm", description="a key of model.network.fusion.FUSIONS")
    modalities: tuple[Literal["ortho", "ndsm"], ...] = Field(
        default=("ortho", "ndsm"), min_length=1
    )
    height_range_m: tuple[float, float] = Field(
        default=(0.0, 30.0), description="heights that become 0 and 1"
    )
    window_px: int = 256
    train_encoder: bool = Field(
        default=False, description="train every weight; else SAM's, installed, stay as they are"
    )


class DataRecipe(_Part):
    """Which towns. Seeds of training and of holding out must not overlap."""

    gsd_m: float = Field(default=0.125, gt=0)
    size_px: int = Field(default=768, ge=256)
    first_seed: int = Field(default=1000, ge=0)
    towns: int = Field(default=200, ge=1)
    held_out_first_seed: int = Field(default=500_000, ge=0)
    held_out_towns: int = Field(default=12, ge=1)
    held_out_size_px: int = Field(default=1024, ge=256)


class OptimizerRecipe(_Part):
    """AdamW with a linear warm-up and a cosine's fall to nothing."""

    steps: int = Field(gt=0)
    batch_size: int = Field(default=4, gt=0)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    warmup_steps: int = Field(default=100, ge=0)
    clip_norm: float = Field(default=1.0, gt=0)
    class_weights: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        default=None, description="of the cross entropy, one a class of ISPRS"
    )
    dice: float = Field(default=0.0, ge=0)
    averaging: float = Field(default=0.998, ge=0, lt=1, description="decay of the mean of weights")
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="of the forward pass; bf16 also keeps the frozen weights so"
    )
    checkpointing: bool = Field(
        default=False,
        description="compute each block again on the way back: a fraction of the memory, a third "
        "more time",
    )
    seed: int = 0


class Recipe(_Part):
    """A training run."""

    name: str = Field(pattern=r"^[\w.-]+$")
    network: NetworkRecipe
    data: DataRecipe
    optimizer: OptimizerRecipe
    log_every: int = Field(default=20, gt=0, description="steps")
    check_every: int = Field(default=250, gt=0, description="steps between checks and checkpoints")

    def model_config_for(self, **facts: Any) -> ModelConfig:
        """The configuration of the model that this recipe trains; `facts` are fields of it."""
        low, high = self.network.height_range_m
        offered = {
            "ortho": ORTHO,
            "ndsm": Modality(name="ndsm", bands=1, unit="metre", low=low, high=high),
        }
        return ModelConfig(
            name=self.name,
            encoder=ENCODERS[self.network.encoder],
            tuning=self.network.tuning,
            fusion=self.network.fusion,
            modalities=tuple(offered[name] for name in self.network.modalities),
            window_px=self.network.window_px,
            stride_px=self.network.window_px // 2,
            gsd_m=self.data.gsd_m,
            **facts,
        )


def read_recipe(path: Path) -> Recipe:
    """Reads a recipe.

    Raises:
        BadRecipe: The file is missing or no TOML, a key is unknown (the message names the nearest
            known one), or a value is out of range.
    """
    try:
        return parse_recipe(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadRecipe(
            f"recipe {path} cannot be read: {error.strerror}", path=str(path)
        ) from error


def parse_recipe(text: str) -> Recipe:
    """A recipe from TOML; raises as `read_recipe` does."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadRecipe(f"the recipe is no TOML: {error}") from error
    _refuse_unknown(values, Recipe, "")
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise BadRecipe(f"recipe key {key!r}: {first['msg']}", key=key) from error
    _check(recipe)
    return recipe


def _refuse_unknown(values: dict[str, Any], part: type[BaseModel], prefix: str) -> None:
    known = part.model_fields
    for key, value in values.items():
        if key not in known:
            near = get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise BadRecipe(
                f"unknown recipe key {prefix + key!r}; the nearest known one is {prefix + near!r}",
                key=prefix + key,
                nearest=prefix + near,
            )
        kind = known[key].annotation
        if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, BaseModel):
            _refuse_unknown(value, kind, f"{prefix}{key}.")


def _check(recipe: Recipe) -> None:
    """What pydantic does not: names, and what concerns more than one key."""
    _check_network(recipe.network)
    _check_towns(recipe.data, recipe.network.window_px)
    weights = recipe.optimizer.class_weights
    if weights is not None and len(weights) != len(ISPRS):
        raise BadRecipe(
            f"optimizer.class_weights are {len(weights)}; expected {len(ISPRS)}, for "
            f"{', '.join(ISPRS.names)}"
        )
    try:
        recipe.model_config_for()
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadRecipe(f"recipe table 'network': {reason}") from error


def _check_network(network: NetworkRecipe) -> None:
    _require_known("encoder", network.encoder, ENCODERS)
    _require_known("tuning", network.tuning, TUNINGS)
    _require_known("fusion", network.fusion, FUSIONS)
    if not network.train_encoder and network.encoder not in PUBLISHED:
        raise BadRecipe(
            f"network.encoder is {network.encoder!r}, of which SAM has no weights; expected "
            f"network.train_encoder = true, or one of {', '.join(PUBLISHED)}"
        )
    low, high = network.height_range_m
    if not low < high:
        raise BadRecipe(f"network.height_range_m is {low} to {high}; expected low below high")


def _require_known(key: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise BadRecipe(f"network.{key} is {name!r}; expected one of {', '.join(known)}")


def _check_towns(data: DataRecipe, window_px: int) -> None:
    training = range(data.first_seed, data.first_seed + data.towns)
    held_out = range(data.held_out_first_seed, data.held_out_first_seed + data.held_out_towns)
    if training.start < held_out.stop and held_out.start < training.stop:
        raise BadRecipe(
            f"towns {held_out.start} to {held_out.stop - 1} are held out and among the training "
            f"towns {training.start} to {training.stop - 1}; choose another held_out_first_seed"
        )
    for key, size_px in (("size_px", data.size_px), ("held_out_size_px", data.held_out_size_px)):
        if size_px < window_px:
            raise BadRecipe(
                f"data.{key} is {size_px}; expected at least network.window_px, {window_px}"
            )
