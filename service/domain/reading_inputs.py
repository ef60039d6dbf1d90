"""How a pair is to be read: the options of a job that say what its files do not, or say wrong.

They are `mfnet.model.raster.values.reading_options.ReadingOptions` in a request's words; a test
compares the two.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mfnet.service.domain.job_uploads import AUTO, derives_terrain

Band = Annotated[int, Field(ge=1, le=64)]


class ReadingInputs(BaseModel):
    """What a job may say about its rasters; the messages that ask for one name it."""

    model_config = ConfigDict(extra="forbid")

    white: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        title="White point",
        description="digital number of full reflectance; without it, tags and pixels decide",
    )
    bands: tuple[Band, Band, Band] | None = Field(
        default=None,
        title="Colour bands",
        description="bands of the orthophoto for red, green, blue, counted from 1",
    )
    collar: bool | None = Field(
        default=None,
        title="Collar",
        description="false: a flat collar of the orthophoto, and flat holes in it, are ground",
    )
    unmultiply: bool | None = Field(
        default=None,
        title="Divide by alpha",
        description="false: colours beside partly transparent pixels are as they should be",
    )
    height_band: Band | None = Field(
        default=None, title="Height band", description="band of the heights, counted from 1"
    )
    dtm_band: Band | None = Field(
        default=None, title="Terrain band", description="band of the terrain, counted from 1"
    )
    height_unit: str | None = Field(
        default=None,
        max_length=40,
        title="Unit of the heights",
        description="m, dm, cm, mm, ft, us-ft, or metres a step such as 0.2",
    )
    dtm_unit: str | None = Field(
        default=None,
        max_length=40,
        title="Unit of the terrain model",
        description="where it is another than the heights'",
    )
    height_offset: float | None = Field(
        default=None,
        allow_inf_nan=False,
        title="Height offset",
        description="metres to add to heights above ground; 0: they are right as they are",
    )
    height_shift: tuple[float, float] | None = Field(
        default=None,
        title="Height shift",
        description="columns and rows of the orthophoto by which the heights lie too far right "
        "and down",
    )
    height_nodata: Annotated[float, Field(allow_inf_nan=False)] | Literal["none"] | None = Field(
        default=None,
        title="Missing height",
        description="value that stands for a missing height; none: every value is a height",
    )
    spikes: bool | None = Field(
        default=None,
        title="Spikes",
        description="false: narrow spikes far above all around them are heights",
    )
    crs: str | None = Field(
        default=None,
        max_length=4096,
        title="Coordinate reference system",
        description="CRS of the raster that names none, such as EPSG:25832",
    )


NAMES = tuple(ReadingInputs.model_fields)


def reading_of(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Those that a job was given; a terrain that is derived is one band, in metres."""
    given = {name: inputs[name] for name in NAMES if inputs.get(name) is not None}
    if derives_terrain(inputs):
        given.pop("dtm_band", None)
        given["dtm_unit"] = "m"
    return given


FURTHER = ("largest_building", "align", "aoi_layer", "zones_layer", "stride")
"""Inputs beside these and the uploads that `mfnet inspect` has as options."""


def inspection_options(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a pair is inspected with before it is mapped with these inputs."""
    given = reading_of(inputs)
    if derives_terrain(inputs):
        given["dtm"] = AUTO
    return given | {name: inputs[name] for name in FURTHER if inputs.get(name) not in (None, False)}


def as_arguments(options: Mapping[str, Any]) -> list[str]:
    """Options as `mfnet inspect` takes them."""
    return [_argument(name, value) for name, value in options.items()]


def _argument(name: str, value: Any) -> str:
    option = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return option if value else option.replace("--", "--no-", 1)
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    # With an equals sign: what begins with a dash is a value all the same.
    return f"{option}={value}"
