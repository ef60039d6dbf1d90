"""The processes that the service offers, as OGC API - Processes describes them.

A description of inputs is the class that checks them read aloud, so the two cannot differ.
"""

from importlib.metadata import version
from typing import Any

from pydantic import BaseModel

from mfnet.service.domain.job import BATCH, ECHO, RETRAIN, SEGMENT
from mfnet.service.domain.map_outputs import TERRAIN
from mfnet.service.errors import NoSuchProcess
from mfnet.service.schemas.batches import BatchInputs
from mfnet.service.schemas.jobs import EchoInputs, Link, Process, SegmentInputs
from mfnet.service.schemas.models import RetrainInputs
from mfnet.service.schemas.openapi30 import input_schema

MEDIA_TYPES = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".json": "application/json",
    ".xml": "application/xml",
    ".qml": "application/xml",
    ".html": "text/html",
    ".gpkg": "application/geopackage+sqlite3",
    ".fgb": "application/vnd.flatgeobuf",
    ".csv": "text/csv",
    ".png": "image/png",
}
"""Media types of results, by the file's suffix."""

_CHANGES, _PICTURE = "changes-JOB.tif", "changes-JOB.png"

_OUTPUTS = {
    SEGMENT: {
        "classes.tif": "class raster on the orthophoto's grid; 255 is nodata",
        "classes.tif.aux.xml": "the classes' names, for GDAL",
        "classes.qml": "the classes' colours and names, for QGIS",
        "statistics.json": "pixels, square metres and share of each class",
        "confidence.tif": "percent of the winning class, where `confidence` is asked for",
        "quality.tif": "what each pixel of the map rests on, where `quality` is asked for",
        "quality.json": "pixels and square metres of each of these, where `quality` is asked for",
        "polygons.gpkg": "the map as polygons with class and area, where `polygons` is asked for",
        "polygons.fgb": "the same as FlatGeobuf, where it is chosen",
        "zones.gpkg": "the zones with what each class covers in them, where there are `zones`",
        "zones.csv": "the same without the polygons",
        "item.json": "a STAC item, the map's entry in a catalogue, where `stac` is asked for",
        "dtm.tif": "the terrain that was derived, where `dtm` is `auto`",
        "least_sure.gpkg": "the windows of the lowest confidence, where `confidence` is asked for",
    },
    RETRAIN: {
        "report.html": "the training: figures, curves, confusion matrix, example maps, recipe",
        "gate.json": "parent and candidate, class by class, and what the gate says",
        "changes.json": "how many pixels of users' newest maps would change, from class to class",
        _CHANGES: "the new class where it would; one for each of up to three jobs",
        _PICTURE: "the same as a picture, at most 1600 pixels a side",
    },
    BATCH: {"jobs": "the job of each pair: its id, its status, and where its results are"},
    ECHO: {"message": "what was sent"},
}

_VALUES = (*_OUTPUTS[BATCH], *_OUTPUTS[ECHO])
"""Outputs that are no files."""

_SIDECARS = {"quality.tif.aux.xml": "quality.tif", "quality.qml": "quality.tif"}

_TEXTS: dict[str, tuple[str, str, type[BaseModel]]] = {
    SEGMENT: (
        "Land-cover map",
        "A class for every pixel of an orthophoto, from it and a height raster.",
        SegmentInputs,
    ),
    RETRAIN: (
        "Retraining",
        "A model goes on learning from labelled tiles and becomes a candidate. For admins.",
        RetrainInputs,
    ),
    BATCH: (
        "Many land-cover maps",
        "A map of each of many pairs: a job for each, and one that stands for all.",
        BatchInputs,
    ),
    ECHO: ("Echo", "Gives a message back, to try a client with.", EchoInputs),
}

_CONTROL = {ECHO: ["sync-execute", "async-execute", "dismiss"]}

IDS = tuple(_TEXTS)
"""Of all processes."""


def describe(process_id: str, links: list[Link]) -> Process:
    """A process.

    Args:
        process_id: One of `IDS`.
        links: Its links, which depend on the address that the request came to.
    """
    title, description, inputs = _TEXTS[process_id]
    return Process(
        id=process_id,
        version=version("mfnet"),
        title=title,
        description=description,
        jobControlOptions=_CONTROL.get(process_id, ["async-execute", "dismiss"]),
        outputTransmission=["value"] if process_id in (BATCH, ECHO) else ["reference", "value"],
        inputs=_inputs(inputs),
        outputs={name: _output(name, text) for name, text in _OUTPUTS[process_id].items()},
        links=links,
    )


def check_exists(process_id: str) -> None:
    """Raises `NoSuchProcess` for every id but ours."""
    if process_id not in IDS:
        raise NoSuchProcess(
            f"no process {process_id!r}; there are: {', '.join(IDS)}", process=process_id
        )


def outputs(process_id: str) -> list[str]:
    """The names of the outputs of a process."""
    return list(_OUTPUTS[process_id])


def output_of(file_name: str) -> str:
    """The output that a file is of: a retraining has several of one, and some have sidecars."""
    if file_name.startswith("changes-"):
        return _PICTURE if file_name.endswith(".png") else _CHANGES
    return _SIDECARS.get(file_name, file_name)


def is_sidecar(file_name: str) -> bool:
    """Whether a file stands beside an output, of which it is a part."""
    return file_name in _SIDECARS


def is_inline(name: str) -> bool:
    """Whether an output may stand in the results themselves."""
    return name.endswith(".json") or name in _VALUES


def media_type(file_name: str) -> str:
    """The media type of a result, from its name."""
    if file_name == TERRAIN:  # which is no COG
        return "image/tiff; application=geotiff"
    suffix = "." + file_name.rpartition(".")[2]
    return MEDIA_TYPES.get(suffix, "application/octet-stream")


def _inputs(inputs: type[BaseModel]) -> dict[str, Any]:
    schema = inputs.model_json_schema()
    described = {}
    for name, field in schema["properties"].items():
        texts = {key: field.pop(key) for key in ("title", "description")}
        required = int(name in schema.get("required", ()))
        one, most = _occurrences(field)
        described[name] = {
            **texts,
            "schema": input_schema(one),
            "minOccurs": required,
            "maxOccurs": most,
        }
    return described


def _occurrences(field: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The schema of one value, and how many there may be: what may be a list of itself."""
    kinds = field.get("anyOf", [])
    for several in kinds:
        if several.get("items") in kinds:
            one = [kind for kind in kinds if kind is not several]
            rest = {key: value for key, value in field.items() if key != "anyOf"}
            return rest | (one[0] if len(one) == 1 else {"anyOf": one}), several["maxItems"]
    return field, 1


def _output(name: str, text: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if name.endswith(".json"):
        schema = {"type": "object", "contentMediaType": media_type(name)}
    elif name in _OUTPUTS[BATCH]:
        schema = {"type": "array", "items": {"type": "object"}}
    elif name not in _VALUES:
        schema |= {"contentMediaType": media_type(name), "format": "binary"}
    return {"title": name, "description": text, "schema": schema}
