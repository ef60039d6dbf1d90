"""The JSON of the maps' catalogue: STAC API 1.0."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mfnet.service.schemas.jobs import Link

BBOX = "west, south, east, north, in degrees; with the lowest and highest height in between"
DATETIME = "when the place looked so: an instant, or START/END, where one may be `..`; RFC 3339"
INTERSECTS = "a GeoJSON geometry that the map meets, in degrees; not beside bbox"


class Pick(Link):
    """A link that says how it is followed."""

    method: Literal["GET", "POST"] | None = None
    body: dict[str, Any] | None = None


class Catalogue(BaseModel):
    """Where the maps and their search are."""

    type: Literal["Catalog"] = "Catalog"
    stac_version: str = "1.1.0"
    id: str
    title: str
    description: str
    conformsTo: list[str]
    links: list[Pick]


class Collection(BaseModel):
    """All maps of whoever asks."""

    type: Literal["Collection"] = "Collection"
    stac_version: str = "1.1.0"
    id: str
    title: str
    description: str
    license: str
    extent: dict[str, Any]
    links: list[Pick]


class Collections(BaseModel):
    """The one collection that there is."""

    collections: list[Collection]
    links: list[Pick]


class Items(BaseModel):
    """A page of maps."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[dict[str, Any]] = Field(description="STAC items")
    links: list[Pick]
    numberReturned: int


class ItemSearch(BaseModel):
    """What maps are wanted."""

    model_config = ConfigDict(extra="forbid")

    bbox: list[float] | None = Field(default=None, description=BBOX)
    datetime: str | None = Field(default=None, description=DATETIME)
    intersects: dict[str, Any] | None = Field(default=None, description=INTERSECTS)
    ids: list[str] | None = Field(default=None, description="only these maps")
    collections: list[str] | None = Field(default=None, description="only of these collections")
    limit: int = Field(default=10, ge=1, description="maps of a page; at most 1,000")
    token: str | None = Field(
        default=None, pattern="^[0-9a-f]{32}$", description="of the next page"
    )
