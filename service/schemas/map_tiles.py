"""The JSON of a map's tiles, and of links to a job for whoever has no key."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class TileJson(BaseModel):
    """TileJSON 3.0: where the tiles of a layer are."""

    tilejson: str = "3.0.0"
    name: str
    scheme: str = "xyz"
    tiles: list[str]
    minzoom: int
    maxzoom: int
    bounds: list[float] = Field(description="west, south, east, north, in degrees")


class NewLink(BaseModel):
    """What a link takes."""

    model_config = ConfigDict(extra="forbid")

    days: float = Field(default=7, gt=0, le=366, description="after which it ends")


class SharedLink(BaseModel):
    """Addresses of a job's results and tiles that need no key until they end."""

    expires: datetime
    results: str
    files: dict[str, str] = Field(description="each result's address")
    wmts: str
    tilejson: str
