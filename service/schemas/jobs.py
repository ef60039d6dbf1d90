"""The JSON that the API takes and gives; names in camel case are OGC API - Processes'."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from mfnet.service.domain.job import State
from mfnet.service.domain.model_version import REF
from mfnet.service.domain.reading_inputs import ReadingInputs

ModelRef = Annotated[str, Field(pattern=f"^{REF}$")]
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


class SegmentInputs(ReadingInputs):
    """What a segmentation takes."""

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
        default="town",
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


class Execute(BaseModel):
    """A request to run the segmentation. Members that OGC clients add beside these are ignored:
    every job is asynchronous and writes all of its outputs."""

    inputs: SegmentInputs


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
    remarks: list[Remark] = Field(
        description="how the rasters are read, what is odd about them, and what of them the model "
        "has never seen"
    )
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


# ---- health ---------------------------------------------------------------------------------


class Health(BaseModel):
    """That the service answers."""

    status: Literal["ok"] = "ok"


def moment(seconds: float) -> datetime:
    """A time of the database (seconds since 1970) as RFC 3339 has it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
