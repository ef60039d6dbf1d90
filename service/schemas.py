"""The JSON that the API takes and gives; names in camel case are OGC API - Processes'."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.jobs import State
from service.models import REF, ModelState

ModelRef = Annotated[str, Field(pattern=f"^{REF}$")]
TileRef = Annotated[str, Field(min_length=1, max_length=64)]
# What is learned from is chosen by `tiles` and `folder` alone, and the network is the parent's.
RecipeChange = Annotated[
    str,
    Field(
        pattern=r"^(check_every|log_every|data\.(augmentation|sampling)|(optimizer|evaluation)\.\w+)=",
        max_length=200,
    ),
]
UploadRef = Annotated[str, Field(min_length=1, max_length=200)]


class Link(BaseModel):
    """A link of RFC 8288."""

    href: str
    rel: str | None = None
    type: str | None = None
    title: str | None = None


# ---- processes ------------------------------------------------------------------------------


class Landing(BaseModel):
    """Where everything is."""

    title: str
    description: str
    links: list[Link]


class Conformance(BaseModel):
    """What the API promises."""

    conformsTo: list[str]


class ProcessSummary(BaseModel):
    """A process in a list."""

    id: str
    version: str
    title: str
    description: str
    jobControlOptions: list[str]
    outputTransmission: list[str]
    links: list[Link]


class Process(ProcessSummary):
    """A process with what goes in and what comes out."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]


class ProcessList(BaseModel):
    """All processes."""

    processes: list[ProcessSummary]
    links: list[Link]


class SegmentInputs(BaseModel):
    """What a segmentation takes."""

    model_config = ConfigDict(extra="forbid")

    ortho: UploadRef = Field(
        title="Orthophoto", description="id of an upload, or the name of your newest one so called"
    )
    height: UploadRef = Field(
        title="Height raster",
        description="an upload with heights above ground (nDSM) in metres, or a surface with `dtm`",
    )
    dtm: UploadRef | None = Field(
        default=None, title="Terrain", description="an upload to subtract from `height`"
    )
    model: ModelRef = Field(
        default="town-small",
        title="Model",
        description="its name, for the version in use; or NAME@VERSION",
    )
    stride: int | None = Field(
        default=None,
        ge=16,
        le=4096,
        title="Stride",
        description="pixels from window to window; less is slower and smoother; the model's own "
        "without it",
    )
    blend: Literal["mean", "hann"] = Field(
        default="mean", title="Blending", description="how overlapping windows are weighted"
    )
    confidence: bool = Field(
        default=False, title="Confidence", description="write confidence.tif, too"
    )
    white: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        title="White point",
        description="digital number of full reflectance; by the pixel type without it",
    )


class RetrainInputs(BaseModel):
    """What a retraining takes: labelled tiles, a folder of them, or both."""

    model_config = ConfigDict(extra="forbid")

    model: ModelRef = Field(
        default="town-small",
        title="Parent",
        description="the model to go on from: its name, for the version in use; or NAME@VERSION",
    )
    tiles: list[TileRef] | Literal["all"] = Field(
        default=[],
        title="Labelled tiles",
        description="ids of corrections, or all of them",
        max_length=10_000,
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


class Execute(BaseModel):
    """A request to run the segmentation. Members that OGC clients add beside these are ignored:
    every job is asynchronous and writes all of its outputs."""

    inputs: SegmentInputs


class ExecuteRetrain(BaseModel):
    """A request to retrain a model; for admins."""

    inputs: RetrainInputs


# ---- jobs -----------------------------------------------------------------------------------


class Remark(BaseModel):
    """Something to know that is no reason to refuse."""

    code: str
    message: str


class StatusInfo(BaseModel):
    """How far a job is, in the words of OGC API - Processes 1.0 and of the draft of 2.0."""

    jobID: str
    id: str
    type: Literal["process"] = "process"
    processingEntityType: Literal["ogc-api-processes"] = "ogc-api-processes"
    processID: str
    status: State
    message: str
    progress: int = Field(ge=0, le=100)
    created: datetime
    started: datetime | None
    finished: datetime | None
    updated: datetime
    exception: dict[str, Any] | None = Field(description="why the job failed, as problem+json")
    remarks: list[Remark] = Field(description="what of the input the model has never seen")
    links: list[Link]


class JobList(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[StatusInfo]
    links: list[Link]


# ---- uploads --------------------------------------------------------------------------------


class UploadInfo(BaseModel):
    """A file that was received whole and found readable."""

    id: str
    name: str
    bytes: int
    sha256: str
    created: datetime
    report: dict[str, Any] = Field(description="what `mfnet inspect` says of it")


class UploadList(BaseModel):
    """The newest uploads first."""

    uploads: list[UploadInfo]


# ---- models ---------------------------------------------------------------------------------


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


class Reason(BaseModel):
    """Why something is done, for the log."""

    model_config = ConfigDict(extra="forbid")

    why: str = Field(default="", max_length=1000)


class Promotion(Reason):
    """What a promotion takes."""

    replaces: int | None = Field(
        default=None, ge=1, description="only if this version is the active one until then"
    )


# ---- health ---------------------------------------------------------------------------------


class Health(BaseModel):
    """That the service answers."""

    status: Literal["ok"] = "ok"


def moment(seconds: float) -> datetime:
    """A time of the database (seconds since 1970) as RFC 3339 has it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
