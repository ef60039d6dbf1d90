"""The JSON of corrections and labelled tiles."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from mfnet.service.schemas.jobs import Link, UploadRef

ColumnName = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]


class Correction(BaseModel):
    """What a user says of a job's map."""

    model_config = ConfigDict(extra="forbid")

    labels: UploadRef = Field(
        description="an upload, by id or name: the map corrected (GeoTIFF), or polygons over it "
        "(GeoPackage, GeoJSON, FlatGeobuf, or a Shapefile in a zip)"
    )
    column: ColumnName = Field(default="class", description="of polygons: holds the class")
    layer: ColumnName | None = Field(default=None, description="of polygons; the only one without")
    keep_map: bool = Field(
        default=False, description="where no polygon lies, the map's class is learned"
    )


class TileInfo(BaseModel):
    """A labelled tile, ready for a retraining."""

    id: str
    job: str = Field(description="whose map was corrected; it may be gone")
    created: datetime
    rasters: dict[str, str] = Field(description="ids of the uploads, by role")
    sha256: str = Field(description="of the label raster")
    report: dict[str, Any] = Field(description="the classes, and what was changed")
    provenance: dict[str, Any] = Field(description="model, rasters, who corrected with what")
    links: list[Link]


class TileList(BaseModel):
    """The newest tiles first."""

    tiles: list[TileInfo]
