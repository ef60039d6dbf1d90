"""The processes that the service offers, as OGC API - Processes describes them.

The inputs' description is `SegmentInputs` read aloud, so the two cannot differ.
"""

from importlib.metadata import version
from typing import Any

from service.errors import NoSuchProcess
from service.schemas import Link, Process, SegmentInputs

SEGMENT = "segment"

MEDIA_TYPES = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".json": "application/json",
    ".xml": "application/xml",
    ".qml": "application/xml",
}
"""Media types of results, by the file's suffix."""

_OUTPUTS = {
    "classes.tif": "class raster on the orthophoto's grid; 255 is nodata",
    "classes.tif.aux.xml": "the classes' names, for GDAL",
    "classes.qml": "the classes' colours and names, for QGIS",
    "statistics.json": "pixels, square metres and share of each class",
    "confidence.tif": "percent of the winning class, where `confidence` is asked for",
}


def segment(links: list[Link]) -> Process:
    """The one process of today.

    Args:
        links: Its links, which depend on the address that the request came to.
    """
    return Process(
        id=SEGMENT,
        version=version("mfnet"),
        title="Land-cover map",
        description="A class for every pixel of an orthophoto, from it and a height raster.",
        jobControlOptions=["async-execute", "dismiss"],
        outputTransmission=["reference"],
        inputs=_inputs(),
        outputs={name: _output(name, text) for name, text in _OUTPUTS.items()},
        links=links,
    )


def check_exists(process_id: str) -> None:
    """Raises `NoSuchProcess` for every id but ours."""
    if process_id != SEGMENT:
        raise NoSuchProcess(f"no process {process_id!r}; there is: {SEGMENT}", process=process_id)


def media_type(file_name: str) -> str:
    """The media type of a result, from its name."""
    suffix = "." + file_name.rpartition(".")[2]
    return MEDIA_TYPES.get(suffix, "application/octet-stream")


def _inputs() -> dict[str, Any]:
    schema = SegmentInputs.model_json_schema()
    described = {}
    for name, field in schema["properties"].items():
        texts = {key: field.pop(key) for key in ("title", "description")}
        required = int(name in schema["required"])
        described[name] = {**texts, "schema": field, "minOccurs": required, "maxOccurs": 1}
    return described


def _output(name: str, text: str) -> dict[str, Any]:
    schema = {"type": "string", "contentMediaType": media_type(name)}
    return {"title": name, "description": text, "schema": schema}
