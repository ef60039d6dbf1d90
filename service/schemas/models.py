"""The JSON of models and of retrainings that the API takes and gives."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mfnet.service.domain.model_version import ModelState
from mfnet.service.schemas.execution import Execution
from mfnet.service.schemas.jobs import ModelRef, ModelSha256

TileRef = Annotated[str, Field(min_length=1, max_length=64)]
# What is learned from is chosen by `tiles` and `folder` alone, and the network is the parent's.
RecipeChange = Annotated[
    str,
    Field(
        pattern=r"^(check_every|log_every|data\.(augmentation|sampling)|(optimizer|evaluation)\.\w+)=",
        max_length=200,
    ),
]


class ModelInfo(BaseModel):
    """A version of a model."""

    name: str
    version: int
    state: ModelState
    sha256: str
    bytes: int
    job: str | None = Field(description="the retraining that made it")
    created: datetime


class ModelDetail(ModelInfo):
    """A version with what stands in its file."""

    config: dict[str, Any] = Field(description="as `mfnet models show` has it: classes, figures, …")


class ModelList(BaseModel):
    """All versions of all models, by name and the newest first."""

    models: list[ModelInfo]


class ModelEvent(BaseModel):
    """Something that happened to a version."""

    version: int
    event: str
    replaced: int | None
    who: str
    why: str
    at: datetime


class ModelEvents(BaseModel):
    """A model's past, the newest first."""

    events: list[ModelEvent]


class Replacement(BaseModel):
    """What a promotion or a roll back takes."""

    model_config = ConfigDict(extra="forbid")

    why: str = Field(default="", max_length=1000, description="for the log")
    replaces: int | None = Field(
        default=None, ge=1, description="only if this version is the active one until then"
    )


class Promotion(Replacement):
    """What a promotion takes."""

    force: bool = Field(
        default=False, description="also if the gate has refused the version; the history says so"
    )


class RetrainInputs(BaseModel):
    """What a retraining takes: labelled tiles, a folder of them, or both."""

    model_config = ConfigDict(extra="forbid")

    model: ModelRef = Field(
        default="town",
        title="Parent",
        description="the model to go on from: its name, for the version in use; or NAME@VERSION",
    )
    model_sha256: ModelSha256 = None
    tiles: Annotated[list[TileRef], Field(max_length=10_000)] | Literal["all"] = Field(
        default=[],
        title="Labelled tiles",
        description="ids of corrections, or all of the model's classes",
    )
    folder: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        title="Folder",
        description="of tiles with a manifest, on the server, below MFNET_TRAINING_ROOT",
    )
    recipe: str = Field(
        default="retrain",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        title="Recipe",
        description="name of one that comes with the program",
    )
    changes: list[RecipeChange] = Field(
        default=[],
        max_length=50,
        title="Changes",
        description="of the recipe, such as optimizer.learning_rate=1e-4",
    )
    steps: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        title="Steps",
        description="of training; the recipe's without it",
    )
    minutes: float | None = Field(
        default=None,
        gt=0,
        le=100_000,
        title="Minutes",
        description="training ends after so many, if its steps are not done by then",
    )
    promote: bool = Field(
        default=False,
        title="Promote",
        description="put the model into use if the gate has nothing against it",
    )
    margin: float = Field(
        default=0.02,
        ge=0,
        le=1,
        title="Margin",
        description="intersection over union that no class may fall by more than",
    )


class ExecuteRetrain(Execution):
    """A request to retrain a model; for admins."""

    inputs: RetrainInputs
