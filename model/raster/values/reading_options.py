"""How a pair is to be read where its files do not say, or say it wrong."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from mfnet.model.errors import BadOption
from mfnet.model.raster.values.height_units import UNIT_NAMES, metres_of

Band = Annotated[int, Field(ge=1, le=64)]
Pixels = Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)]


def _unit(text: str) -> str:
    if metres_of(text) is None:
        raise ValueError(
            f"{text!r} is no unit of height; expected {', '.join(UNIT_NAMES)}, or metres a step "
            "such as 0.2"
        )
    return text


def _listed(value: Any) -> Any:
    """`"3,2,1"` as the command line has it."""
    return value.split(",") if isinstance(value, str) else value


class ReadingOptions(BaseModel):
    """Overrides of what a program would read out of the files by itself.

    Every field is optional: without it the tags decide, then the pixels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bands: Annotated[tuple[Band, Band, Band] | None, BeforeValidator(_listed)] = Field(
        default=None, description="bands of the orthophoto for red, green, blue, counted from 1"
    )
    white: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="digital number of full reflectance in the orthophoto",
    )
    collar: bool = Field(
        default=True,
        description="take a flat collar at the orthophoto's rim, and flat holes in it, for no data",
    )
    unmultiply: bool = Field(
        default=True,
        description="divide colours by alpha where they have been multiplied by it",
    )
    height_band: Band | None = Field(
        default=None, description="band of the height raster, counted from 1"
    )
    dtm_band: Band | None = Field(
        default=None, description="band of the terrain model, counted from 1"
    )
    height_unit: Annotated[str, AfterValidator(_unit)] | None = Field(
        default=None,
        description="unit of the heights and the terrain model: `m`, `dm`, `cm`, `mm`, `ft`, "
        "`us-ft`, or metres a step such as `0.2`",
    )
    dtm_unit: Annotated[str, AfterValidator(_unit)] | None = Field(
        default=None, description="of the terrain model, where it is another than the heights'"
    )
    height_offset: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="metres to add to the heights above ground; 0: they are right as they are",
    )
    height_shift: Annotated[tuple[Pixels, Pixels] | None, BeforeValidator(_listed)] = Field(
        default=None,
        description="columns and rows of the orthophoto by which the heights lie too far right and "
        "down",
    )
    height_nodata: Annotated[float, Field(allow_inf_nan=False)] | Literal["none"] | None = Field(
        default=None,
        description="value that stands for a missing height, in place of a declared one; none: no "
        "value does",
    )
    spikes: bool = Field(
        default=True, description="take narrow spikes far above all around them for missing heights"
    )
    crs: str | None = Field(
        default=None,
        max_length=4096,
        description="CRS of the raster that names none: `EPSG:25832`, or WKT",
    )

    @classmethod
    def read(cls, **values: Any) -> "ReadingOptions":
        """Options as a person typed them.

        Raises:
            BadOption: One is out of its range.
        """
        from pydantic import ValidationError

        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]).replace("_", "-")
            reason = first["msg"].removeprefix("Value error, ")
            raise BadOption(f"--{name}: {reason}", option=name) from None

    def unit_of(self, *, is_dtm: bool) -> str | None:
        """The unit that was given for a height raster, or for a terrain model."""
        return self.dtm_unit or self.height_unit if is_dtm else self.height_unit

    def chosen(self) -> dict[str, Any]:
        """Those that were given, as JSON values."""
        return self.model_dump(mode="json", exclude_defaults=True)
