"""The processes that the service offers, as OGC API - Processes describes them.

A description of inputs is the class that checks them read aloud, so the two cannot differ.
"""

from importlib.metadata import version
from typing import Any

from pydantic import BaseModel

from mfnet.service.domain.job import RETRAIN, SEGMENT
from mfnet.service.errors import NoSuchProcess
from mfnet.service.schemas.jobs import Link, Process, SegmentInputs
from mfnet.service.schemas.models import RetrainInputs

MEDIA_TYPES = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".json": "application/json",
    ".xml": "application/xml",
    ".qml": "application/xml",
    ".html": "text/html",
    ".gpkg": "application/geopackage+sqlite3",
}
"""Media types of results, by the file's suffix."""

_OUTPUTS = {
    SEGMENT: {
        "classes.tif": "class raster on the orthophoto's grid; 255 is nodata",
        "classes.tif.aux.xml": "the classes' names, for GDAL",
        "classes.qml": "the classes' colours and names, for QGIS",
        "statistics.json": "pixels, square metres and share of each class",
        "confidence.tif": "percent of the winning class, where `confidence` is asked for",
        "least_sure.gpkg": "the windows of the lowest confidence, where `confidence` is asked for",
    },
    RETRAIN: {
        "report.html": "the training: figures, curves, confusion matrix, example maps, recipe",
        "gate.json": "parent and candidate, class by class, and what the gate says",
        "changes.json": "how many pixels of users' newest maps would change, from class to class",
        "changes-JOB.tif": "the new class where it would; one for each of up to three jobs",
    },
}

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
}

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
        jobControlOptions=["async-execute", "dismiss"],
        outputTransmission=["reference"],
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


def media_type(file_name: str) -> str:
    """The media type of a result, from its name."""
    suffix = "." + file_name.rpartition(".")[2]
    return MEDIA_TYPES.get(suffix, "application/octet-stream")


def _inputs(inputs: type[BaseModel]) -> dict[str, Any]:
    schema = inputs.model_json_schema()
    described = {}
    for name, field in schema["properties"].items():
        texts = {key: field.pop(key) for key in ("title", "description")}
        required = int(name in schema.get("required", ()))
        described[name] = {**texts, "schema": field, "minOccurs": required, "maxOccurs": 1}
    return described


def _output(name: str, text: str) -> dict[str, Any]:
    schema = {"type": "string", "contentMediaType": media_type(name)}
    return {"title": name, "description": text, "schema": schema}
