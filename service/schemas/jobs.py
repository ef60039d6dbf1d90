"""The JSON that the API takes and gives; names in camel case are OGC API - Processes'."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mfnet.service.domain.job import State
from mfnet.service.domain.job_uploads import UPLOADS
from mfnet.service.domain.model_version import REF
from mfnet.service.domain.reading_inputs import ReadingInputs
from mfnet.service.schemas.execution import Execution

ModelRef = Annotated[str, Field(pattern=f"^{REF}$")]
ModelSha256 = Annotated[
    str | None,
    Field(
        pattern="^[0-9a-f]{64}$",
        title="Sum of the model",
        description="sha256 of the model's file, as a job's status has it: one with another file "
        "is refused",
    ),
]
UploadRef = Annotated[str, Field(min_length=1, max_length=200)]
RasterInput = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        json_schema_extra={"contentMediaType": "image/tiff; application=geotiff"},
    ),
]
"""An upload's id, name or address."""
TiledInput = RasterInput | Annotated[list[RasterInput], Field(min_length=1, max_length=1000)]
"""The same, or those of several: tiles of one raster; of two that overlap the later one counts."""
PolygonsInput = Annotated[str, Field(min_length=1, max_length=2000)]
"""The same, of polygons: GeoPackage, GeoJSON, FlatGeobuf, a Shapefile in a zip."""
LayerName = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]


class Link(BaseModel):
    """A link of RFC 8288."""

    href: str
    rel: str | None = None
    type: str | None = None
    title: str | None = None


class InlineOutput(BaseModel):
    """An output that stands in the results themselves."""

    value: Any
    mediaType: str


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

    ortho: TiledInput = Field(
        title="Orthophoto",
        description="id or address of an upload, or the name of your newest one so called; several "
        "are tiles of one raster",
    )
    height: TiledInput | None = Field(
        default=None,
        title="Height raster",
        description="an upload with heights above ground (nDSM) in metres, or a surface with "
        "`dtm`; without one all is mapped by its colour",
    )
    dtm: TiledInput | None = Field(
        default=None,
        title="Terrain",
        description="an upload to subtract from `height`; or `auto`: derive the terrain from it",
    )
    largest_building: float | None = Field(
        default=None,
        ge=1,
        le=1000,
        title="Largest building",
        description="metres; with a terrain that is derived, what is wider stays terrain",
    )
    aoi: PolygonsInput | None = Field(
        default=None,
        title="Area of interest",
        description="an upload of polygons, in any CRS: the map is made inside of them alone",
    )
    aoi_layer: LayerName | None = Field(
        default=None, title="Its layer", description="of `aoi`, where it has several"
    )
    zones: PolygonsInput | None = Field(
        default=None,
        title="Zones",
        description="an upload of polygons such as parcels: what each class covers in them is a "
        "result",
    )
    zones_layer: LayerName | None = Field(
        default=None, title="Their layer", description="of `zones`, where it has several"
    )
    align: bool = Field(
        default=False,
        title="Align",
        description="measure how far the heights lie beside the orthophoto, and move them back",
    )
    model: ModelRef = Field(
        default="town",
        title="Model",
        description="its name, for the version in use; or NAME@VERSION",
    )
    model_sha256: ModelSha256 = None
    stride: int | None = Field(
        default=None,
        ge=16,
        le=4096,
        title="Stride",
        description="pixels from window to window; less is slower and smoother; the model's own "
        "without it",
    )
    blend: Literal["mean", "hann"] = Field(
        default="hann",
        title="Blending",
        description="how overlapping windows are weighted: less towards their rims, or alike",
    )
    tta: Literal["none", "flips", "turns"] = Field(
        default="none",
        title="Views of a window",
        description="test-time augmentation: the mean of four mirrored views of each window, or of "
        "eight mirrored and turned ones; so many times as slow",
    )
    sieve: int | None = Field(
        default=None,
        ge=2,
        le=100_000_000,
        title="Sieve",
        description="islands under so many pixels get the class of their largest neighbour",
    )
    confidence: bool = Field(
        default=False, title="Confidence", description="write confidence.tif, too"
    )
    quality: bool = Field(
        default=False,
        title="Quality",
        description="write quality.tif, too: what each pixel of the map rests on, and why it has "
        "gaps",
    )
    polygons: bool = Field(
        default=False, title="Polygons", description="write the map as polygons.gpkg, too"
    )
    min_area: float = Field(
        default=0.0,
        ge=0,
        le=1e12,
        title="Smallest polygon",
        description="square metres; polygons that are smaller are left out",
    )
    simplify: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        title="Simplify polygons",
        description="metres; borders are straightened by about so much, and stay shared",
    )
    stac: bool = Field(
        default=False,
        title="STAC item",
        description="write item.json, too: the map's entry in a catalogue",
    )

    @model_validator(mode="after")
    def _has_heights_for_options(self) -> "SegmentInputs":
        if self.height is None and (self.dtm is not None or self.align):
            name = "align" if self.dtm is None else "dtm"
            raise ValueError(f"{name} is for heights: expected inputs.height beside it")
        return self


class Execute(Execution):
    """A request to run the segmentation; every job of it is asynchronous."""

    uploads = frozenset(UPLOADS)

    inputs: SegmentInputs
    reuse: bool = Field(
        default=True,
        description="take over the results of an earlier job of yours with the same inputs, model "
        "and outputs, where there is one; false: compute anew",
    )


class EchoInputs(BaseModel):
    """What comes back."""

    model_config = ConfigDict(extra="forbid")

    message: str = Field(max_length=10_000, title="Message", description="what comes back")
    pause: float = Field(
        default=0,
        ge=0,
        le=30,
        strict=True,
        title="Pause",
        description="seconds until it comes back",
    )


class ExecuteEcho(Execution):
    """A request for an echo, to try a client with."""

    inputs: EchoInputs


# ---- jobs -----------------------------------------------------------------------------------


class Remark(BaseModel):
    """Something to know that is no reason to refuse."""

    code: str
    message: str


class JobEstimate(BaseModel):
    """What a map will take."""

    pixels: int = Field(description="of the orthophoto")
    windows: int = Field(description="that the model will see")
    memory_bytes: int = Field(description="of the worker's, beside the model")
    disk_bytes: int = Field(description="at most, with what waits until the results are made")
    seconds: float | None = Field(
        default=None,
        description="of work, by a map made here with the same model and options, of those made "
        "lately the one most like this in size; not before there is one",
    )


class StatusInfo(BaseModel):
    """How far a job is, in the words of OGC API - Processes 1.0 and of the draft of 2.0."""

    jobID: str
    id: str
    type: Literal["process"] = "process"
    processingEntityType: Literal["ogc-api-processes"] = "ogc-api-processes"
    processID: str
    status: State
    message: str
    progress: int = Field(ge=0, le=100, description="never falls, whatever becomes of a worker")
    secondsLeft: int | None = Field(
        default=None, ge=0, description="when it was `updated`; not while nobody can tell"
    )
    device: str | None = Field(default=None, description="what computed the result")
    estimate: JobEstimate | None = Field(
        default=None, description="of a map: what it takes, as was told before it began"
    )
    batch: str | None = Field(default=None, description="id of the batch that it is a job of")
    reused: str | None = Field(
        default=None,
        description="id of the earlier job whose results these are, since it had the same inputs; "
        "nothing was computed",
    )
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    updated: datetime
    expires: datetime | None = Field(
        default=None, description="when it is removed with its results, where it is"
    )
    inputs: dict[str, Any] = Field(description="of the request; uploads by their ids")
    exception: dict[str, Any] | None = Field(
        default=None, description="why the job failed, as problem+json"
    )
    remarks: list[Remark] = Field(
        description="how the rasters are read, what is odd about them, and what of them the model "
        "has never seen"
    )
    links: list[Link]


class CallbackInfo(BaseModel):
    """How it goes with telling a job's subscriber."""

    told: str = Field(description="the state that was told last; done: nothing more will be told")
    attempts: int = Field(description="at telling the present state, which failed")
    next: datetime | None = Field(default=None, description="not before then is it tried again")
    failure: str | None = Field(default=None, description="of the last attempt")


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


class NewImport(BaseModel):
    """A file on the server."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(
        min_length=1,
        max_length=4096,
        description="on the server, from the root: a file below one of MFNET_IMPORT_FOLDERS",
    )


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
