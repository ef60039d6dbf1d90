"""What a worker and its engine say to each other: one JSON object a line, each way.

    → a request: map, key, part, join or retrain
    ← progress, any number of times
    ← done, or failed

Both ends read these types, and so does the engine that stands in for ours in tests.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# ---- requests ---------------------------------------------------------------------------------


class _Segmentation(_Message):
    """What all requests about a map have in common.

    Attributes:
        ortho: The orthophoto's file.
        height: The height raster's; None where colour is all.
        dtm: The terrain model's.
        terrain: Where the terrain model is that is derived of `height`, or is to be put.
        largest_building: For that, in metres.
        aoi: Polygons that the map is made inside of; `aoi_layer` of them.
        zones: Polygons that areas are summed in; `zones_layer` of them.
        preview: Folder for pictures of finished rows.
        min_area: Of polygons, in square metres.
        simplify: Them, by about so many metres.
        further: Files to make beside the map, by `service/domain/map_outputs.py`.
        names: What their senders call them, by the files' own names.
        model: Name or file of the model.
        model_sha256: Of the file, where the model is a registered one.
        model_ref: NAME@VERSION of a registered model.
        models_dir: Folder of installed models.
        options: Stride, blend, tta, sieve, device, precision, confidence.
        reading: How the rasters are to be read.
        links: Where rasters are read over the network, by role, in the place of their files.
        sums: The sha256 of these; `sizes`: their bytes.
        seen: When the orthophoto came, in seconds since 1970, where it is one of these.
    """

    ortho: Path
    height: Path | None = None
    dtm: Path | None = None
    terrain: Path | None = None
    largest_building: float | None = None
    aoi: Path | None = None
    aoi_layer: str | None = None
    zones: Path | None = None
    zones_layer: str | None = None
    preview: Path | None = None
    min_area: float = 0
    simplify: float = 0
    further: tuple[str, ...] = ()
    names: dict[str, str] = {}
    model: str
    model_sha256: str | None = None
    model_ref: str | None = None
    models_dir: Path
    options: dict[str, Any] = {}
    reading: dict[str, Any] = {}
    links: dict[str, str] = {}
    sums: dict[str, str] = {}
    sizes: dict[str, int] = {}
    seen: float | None = None


class MapRequest(_Segmentation):
    """Compute a map into a folder."""

    step: Literal["map"] = "map"
    out: Path


class KeyRequest(_Segmentation):
    """Say what the parts of a map have to agree in."""

    step: Literal["key"] = "key"


class PartRequest(_Segmentation):
    """Compute rows of a map into a folder that workers share, if they would agree."""

    step: Literal["part"] = "part"
    parts: Path
    rows: tuple[int, int]
    key: str


class JoinRequest(_Segmentation):
    """Make a map of finished parts."""

    step: Literal["join"] = "join"
    parts: Path
    cuts: tuple[tuple[int, int], ...]
    out: Path


class RecentMap(_Message):
    """A user's map, for which it is shown what a retrained model would change."""

    job: str
    ortho: Path
    height: Path | None = None
    dtm: Path | None = None
    options: dict[str, Any] = {}
    reading: dict[str, Any] = {}


class RetrainRequest(_Message):
    """Retrain a model.

    Attributes:
        model: The parent's file, `model_sha256` its sum, `model_ref` its NAME@VERSION.
        models_dir: Folder of installed models.
        tiles: Folders of labelled tiles.
        scenes: Folder of evaluation scenes.
        run: Where the run is kept; `before`: where an earlier attempt's is.
        out: Folder of the report.
        recent: Maps to compare.
        recipe: Name of a recipe, changed by `changes`.
        steps: Of the training, at most; `minutes`: how long it may take.
        margin: How much a class may lose.
    """

    step: Literal["retrain"] = "retrain"
    model: Path
    model_sha256: str
    model_ref: str
    models_dir: Path
    tiles: tuple[Path, ...]
    scenes: Path
    run: Path
    before: Path | None
    out: Path
    recent: tuple[RecentMap, ...]
    recipe: str = "retrain"
    changes: tuple[str, ...] = ()
    steps: int | None = None
    minutes: float | None = None
    margin: float = 0.02


SegmentRequest = MapRequest | KeyRequest | PartRequest | JoinRequest
Request = SegmentRequest | RetrainRequest
REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="step")])


# ---- replies ----------------------------------------------------------------------------------


class Progress(_Message):
    """How far it is: steps done, their total, and what is done where that is said."""

    kind: Literal["progress"] = "progress"
    done: int
    total: int
    what: str | None = None


class Done(_Message):
    """The request is carried out; the result depends on the request."""

    kind: Literal["done"] = "done"
    result: dict[str, Any]


class Failed(_Message):
    """The request is refused, or failed."""

    kind: Literal["failed"] = "failed"
    code: str
    message: str
    params: dict[str, Any]
    input_fault: bool


Reply = Progress | Done | Failed
REPLY: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="kind")])
