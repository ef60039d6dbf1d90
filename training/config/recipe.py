"""A recipe: everything that decides a training run, read from TOML and kept with its result."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from mfnet.model.classes import ISPRS, MMHUNAN
from mfnet.model.config import ENCODERS, ORTHO, Modality, ModelConfig
from mfnet.model.errors import BadRecipe
from mfnet.model.network.fusion import FUSIONS
from mfnet.model.network.tuning import TUNINGS
from mfnet.model.weights.sam_base import PUBLISHED
from mfnet.training.config.data import DataRecipe, check_data, data_part
from mfnet.training.config.optimizer_recipe import OptimizerRecipe, require_one_a_class
from mfnet.training.config.published_schemes import DFC2019, FLAIR, GEONRW
from mfnet.training.config.recipe_toml import read_toml, write_toml
from mfnet.training.config.table import RecipePart

_SCHEMES = {
    "town": ISPRS,
    "places": ISPRS,
    "vaihingen": ISPRS,
    "potsdam": ISPRS,
    "mmhunan": MMHUNAN,
    "flair": FLAIR,
    "geonrw": GEONRW,
    "dfc2019": DFC2019,
}
"""By kind of data; a folder's manifest has its own."""


class NetworkRecipe(RecipePart):
    """Which network."""

    encoder: str = Field(description="one of " + ", ".join(ENCODERS))
    tuning: str = Field(
        default="mmadapter",
        description="how the frozen encoder is tuned: one of " + ", ".join(TUNINGS),
    )
    fusion: str = Field(
        default="dfm", description="how the modalities are joined: one of " + ", ".join(FUSIONS)
    )
    modalities: tuple[Literal["ortho", "ndsm"], ...] = Field(
        default=("ortho", "ndsm"), min_length=1, description="rasters that the network is given"
    )
    height_range_m: tuple[float, float] = Field(
        default=(0.0, 30.0),
        description="heights that become 0 and 1: metres, or 0 and 1 with per-raster heights",
    )
    window_px: int = Field(default=256, description="side of a window, in pixels")
    detail_channels: int = Field(
        default=0,
        ge=0,
        description="channels of a head at full resolution behind the decoder; 0, as in the paper, "
        "for none",
    )
    rescale: bool = Field(
        default=False,
        description="the network sees tiles and rasters at about `data.gsd_m`, brought there by "
        "factors of two",
    )
    train_encoder: bool = Field(
        default=False, description="train every weight of the encoder; false: it stays frozen"
    )
    base: str | None = Field(
        default=None,
        description="name or file of the model whose encoder takes the place of SAM's",
    )
    parent: str | None = Field(
        default=None, description="name or file of the model whose weights are the first ones"
    )


class EvaluationRecipe(RecipePart):
    """How a model is looked at while it is trained, which one is kept, and how it is measured."""

    windows: int = Field(
        default=64, gt=0, description="windows of the validation areas that each check looks at"
    )
    keep: Literal["best", "last"] = Field(
        default="best",
        description="keep the model of the check with the highest mIoU, or the last one",
    )
    patience: int | None = Field(
        default=None,
        gt=0,
        description="end after so many checks without a higher mIoU; left out, all steps are done",
    )
    stride_px: int | None = Field(
        default=None,
        gt=0,
        description="pixels between the windows of whole rasters; left out, the model's own",
    )
    blend: Literal["hann", "mean"] = Field(
        default="hann",
        description="how overlapping windows are weighted: less towards their rims; or alike, as "
        "in the paper",
    )


class Recipe(RecipePart):
    """A training run."""

    name: str = Field(
        pattern=r"^[\w.-]+$",
        description="name of the run and its model: letters, digits, `_`, `.` and `-`",
    )
    network: NetworkRecipe
    data: DataRecipe
    optimizer: OptimizerRecipe
    evaluation: EvaluationRecipe = EvaluationRecipe()
    log_every: int = Field(default=20, gt=0, description="steps between lines of the log")
    check_every: int = Field(default=250, gt=0, description="steps between checks and checkpoints")

    @property
    def seen_at_m(self) -> float | None:
        """Side of the pixels that the network sees all tiles in, about; None: their own."""
        return self.data.gsd_m if self.network.rescale else None

    def toml(self) -> str:
        """The recipe with every key, as a file that `read_recipe` reads."""
        return write_toml(self.model_dump(mode="json"))

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
            detail_channels=self.network.detail_channels,
            rescale=self.network.rescale,
            stride_px=self.network.window_px * 3 // 4,
            gsd_m=self.data.gsd_m,
            **facts,
        )


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Reads a recipe.

    Args:
        path: A TOML file.
        changes: `key=value` each, as `parse_recipe` takes them.

    Raises:
        BadRecipe: The file is missing or no TOML, a key is unknown (the message names the nearest
            known one), or a value is out of range.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadRecipe(
            f"recipe {path} cannot be read: {error.strerror}", path=str(path)
        ) from error
    except UnicodeDecodeError as error:
        raise BadRecipe(f"recipe {path} is no TOML: {error}", path=str(path)) from error
    return parse_recipe(text, changes)


def parse_recipe(text: str, changes: Sequence[str] = ()) -> Recipe:
    """A recipe from TOML and changes like `optimizer.steps=9`; raises as `read_recipe` does."""
    values = read_toml(text, changes)
    _refuse_unknown(values, Recipe, "")
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        # pydantic names the kind of a data table behind the table; in the file it is no level
        place = first["loc"]
        place = (place[0], *place[2:]) if place[:1] == ("data",) else place
        key = ".".join(map(str, place))
        reason = first["msg"].removeprefix("Value error, ")
        raise BadRecipe(f"recipe key {key!r}: {reason}", key=key) from error
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
        of_data = part is Recipe and key == "data" and isinstance(value, dict)
        kind = data_part(value) if of_data else known[key].annotation
        if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, BaseModel):
            _refuse_unknown(value, kind, f"{prefix}{key}.")


def _check(recipe: Recipe) -> None:
    """What pydantic does not: names, and what concerns more than one key."""
    _check_network(recipe.network)
    check_data(recipe.data, recipe.network.window_px, recipe.network.height_range_m)
    weights, scheme = recipe.optimizer.class_weights, _SCHEMES.get(recipe.data.kind)
    if weights is not None and scheme is not None:
        require_one_a_class(weights, scheme)
    try:
        recipe.model_config_for()
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadRecipe(f"recipe table 'network': {reason}") from error


def _check_network(network: NetworkRecipe) -> None:
    _require_known("encoder", network.encoder, ENCODERS)
    _require_known("tuning", network.tuning, TUNINGS)
    _require_known("fusion", network.fusion, FUSIONS)
    if network.base is not None and network.parent is not None:
        raise BadRecipe(
            f"network.base is {network.base!r} and network.parent {network.parent!r}; expected one "
            "of both: a parent brings its own encoder"
        )
    given = network.encoder in PUBLISHED or network.parent or network.base
    if not network.train_encoder and not given:
        raise BadRecipe(
            f"network.encoder is {network.encoder!r}, of which SAM has no weights; expected "
            f"network.train_encoder = true, a base, a parent, or one of {', '.join(PUBLISHED)}"
        )
    low, high = network.height_range_m
    if not low < high:
        raise BadRecipe(f"network.height_range_m is {low} to {high}; expected low below high")


def _require_known(key: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise BadRecipe(f"network.{key} is {name!r}; expected one of {', '.join(known)}")
