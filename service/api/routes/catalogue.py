"""`/stac`: the caller's maps as a STAC catalogue that can be searched by place and time.

Source: STAC API 1.0.0, core, collections, features and item search. A map is in it if its job was
asked for `stac`.
"""

import json
from typing import Annotated, Any
from urllib.parse import urljoin

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import URL

from mfnet.service.api.auth import CallerOf
from mfnet.service.api.dependencies import ServicesOf, known_parameters
from mfnet.service.api.requests.place_and_time import wanted_of
from mfnet.service.api.routes.job.jobs import found
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.tables import Job
from mfnet.service.domain.map_outputs import ITEM
from mfnet.service.errors import BadSearch, NoSuchCollection, NoSuchResult
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.catalogue import Item, item_of, search
from mfnet.service.operations.context import Services
from mfnet.service.schemas.catalogue import (
    BBOX,
    DATETIME,
    INTERSECTS,
    Catalogue,
    Collection,
    Collections,
    Items,
    ItemSearch,
    Pick,
)

router = APIRouter(prefix="/stac", tags=["catalogue"])

MAPS = "maps"
_JSON, _GEOJSON = "application/json", "application/geo+json"
_MOST = 1000
_STAC = "https://api.stacspec.org/v1.0.0/"
_FEATURES = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/"
_CLASSES = [
    *(_STAC + name for name in ("core", "collections", "ogcapi-features", "item-search")),
    *(_FEATURES + name for name in ("core", "oas30", "geojson")),
]

Bbox = Annotated[str | None, Query(description=f"{BBOX}; separated by commas")]
Moment = Annotated[str | None, Query(alias="datetime", description=DATETIME)]
Limit = Annotated[int, Query(ge=1, description="maps of a page; at most 1,000")]
Token = Annotated[str | None, Query(pattern="^[0-9a-f]{32}$", description="of the next page")]
Names = Annotated[str | None, Query(description="only these, separated by commas")]
Geometry = Annotated[str | None, Query(description=INTERSECTS)]
_only_known = [Depends(known_parameters)]


class GeoJson(JSONResponse):
    """GeoJSON says so in its media type."""

    media_type = _GEOJSON


@router.get("", response_model_exclude_none=True)
def stac_catalogue(request: Request, _caller: CallerOf) -> Catalogue:
    """Where the maps are, and how they are searched."""
    there = _links(request)
    return Catalogue(
        id="mfnet",
        title="Land-cover maps",
        description="The maps that jobs made which asked for `stac`.",
        conformsTo=_CLASSES,
        links=[
            *(there("self", "stac_catalogue"), there("root", "stac_catalogue")),
            there("service-desc", "api_description", "application/vnd.oai.openapi+json"),
            there("service-doc", "api_page", "text/html"),
            *(there("conformance", "stac_conformance"), there("data", "stac_collections")),
            there("child", "stac_collection", collection_id=MAPS),
            there("search", "search_maps", _GEOJSON, method="GET"),
            there("search", "search_maps_by_body", _GEOJSON, method="POST"),
        ],
    )


@router.get("/conformance")
def stac_conformance(_caller: CallerOf) -> dict[str, list[str]]:
    """The conformance classes of STAC API 1.0 that hold."""
    return {"conformsTo": _CLASSES}


@router.get("/collections", response_model_exclude_none=True)
def stac_collections(request: Request, _caller: CallerOf) -> Collections:
    """The one collection that there is."""
    there = _links(request)
    return Collections(
        collections=[_collection(request)],
        links=[there("self", "stac_collections"), there("root", "stac_catalogue")],
    )


@router.get("/collections/{collection_id}", response_model_exclude_none=True)
def stac_collection(collection_id: str, request: Request, _caller: CallerOf) -> Collection:
    """All your maps."""
    _require_maps(collection_id)
    return _collection(request)


@router.get(
    "/collections/{collection_id}/items",
    response_model=Items,
    response_class=GeoJson,
    response_model_exclude_none=True,
    dependencies=_only_known,
)
def stac_items(
    collection_id: str,
    request: Request,
    services: ServicesOf,
    caller: CallerOf,
    limit: Limit = 10,
    bbox: Bbox = None,
    moment: Moment = None,
    collections: Names = None,  # of clients that say it twice
    token: Token = None,
) -> GeoJson:
    """Your maps, newest first, a page at a time."""
    _require_maps(collection_id)
    wanted = ItemSearch(
        bbox=_numbers(bbox),
        datetime=moment,
        collections=_listed(collections),
        limit=limit,
        token=token,
    )
    return _answer(wanted, request, services, caller)


@router.get(
    "/collections/{collection_id}/items/{item_id}",
    response_model=dict[str, Any],
    response_class=GeoJson,
)
def stac_item(
    collection_id: str, item_id: str, request: Request, services: ServicesOf, caller: CallerOf
) -> GeoJson:
    """A map; its id is its job's."""
    _require_maps(collection_id)
    with services.database.reading() as session:
        job = found(JobRepository(session).get(item_id, caller.scope), item_id)
    item = item_of(services, job)
    if item is None:
        raise NoSuchResult(f"job {item_id} has no map that was to be in the catalogue", name=ITEM)
    return GeoJson(_item(job, item, request))


@router.get(
    "/search",
    response_model=Items,
    response_class=GeoJson,
    response_model_exclude_none=True,
    dependencies=_only_known,
)
def search_maps(
    request: Request,
    services: ServicesOf,
    caller: CallerOf,
    limit: Limit = 10,
    bbox: Bbox = None,
    moment: Moment = None,
    intersects: Geometry = None,
    ids: Names = None,
    collections: Names = None,
    token: Token = None,
) -> GeoJson:
    """Your maps of a place and a time, newest first."""
    wanted = ItemSearch(
        bbox=_numbers(bbox),
        datetime=moment,
        intersects=None if intersects is None else _geometry(intersects),
        ids=_listed(ids),
        collections=_listed(collections),
        limit=limit,
        token=token,
    )
    return _answer(wanted, request, services, caller)


@router.post(
    "/search", response_model=Items, response_class=GeoJson, response_model_exclude_none=True
)
def search_maps_by_body(
    body: ItemSearch, request: Request, services: ServicesOf, caller: CallerOf
) -> GeoJson:
    """The same, asked for in JSON."""
    return _answer(body, request, services, caller)


def _answer(wanted: ItemSearch, request: Request, services: Services, caller: Caller) -> GeoJson:
    limit = min(wanted.limit, _MOST)
    matching: list[tuple[Job, Item]] = []
    if wanted.collections is None or MAPS in wanted.collections:
        matching = search(services, caller.scope, wanted_of(wanted), limit + 1, wanted.token)
    there = _links(request)
    links = [
        there("root", "stac_catalogue"),
        Pick(href=str(request.url), rel="self", type=_GEOJSON),
    ]
    if len(matching) > limit:
        links.append(_next(request, wanted, matching[limit - 1][0].id))
    features = [_item(job, item, request) for job, item in matching[:limit]]
    page = Items(features=features, links=links, numberReturned=len(features))
    told = page.model_dump(exclude_none=True, exclude={"features"})
    return GeoJson(told | {"features": features})  # an item's nulls say something


def _next(request: Request, wanted: ItemSearch, token: str) -> Pick:
    if request.method == "POST":
        body = wanted.model_dump(exclude_none=True) | {"token": token}
        href = str(request.url_for("search_maps_by_body"))
        return Pick(href=href, rel="next", type=_GEOJSON, method="POST", body=body)
    following = URL(str(request.url)).include_query_params(token=token)
    return Pick(href=str(following), rel="next", type=_GEOJSON, method="GET")


def _item(job: Job, written: Item, request: Request) -> Item:
    """As its job wrote it, under the job's id and with whole addresses."""
    address = str(request.url_for("job_result", job_id=job.id, name=ITEM))
    assets = {
        name: asset | {"href": urljoin(address, asset["href"])}
        for name, asset in written["assets"].items()
    }
    there = _links(request)
    links = [
        there("self", "stac_item", _GEOJSON, collection_id=MAPS, item_id=job.id),
        there("root", "stac_catalogue"),
        there("parent", "stac_collection", collection_id=MAPS),
        there("collection", "stac_collection", collection_id=MAPS),
        there("via", "job_status", job_id=job.id),
    ]
    told = [link.model_dump(exclude_none=True) for link in links]
    return written | {"id": job.id, "collection": MAPS, "assets": assets, "links": told}


def _collection(request: Request) -> Collection:
    there = _links(request)
    return Collection(
        id=MAPS,
        title="Land-cover maps",
        description="Your maps whose jobs were asked for `stac`, newest first.",
        license="other",
        extent={
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [[None, None]]},
        },
        links=[
            there("self", "stac_collection", collection_id=MAPS),
            there("root", "stac_catalogue"),
            there("parent", "stac_catalogue"),
            there("items", "stac_items", _GEOJSON, collection_id=MAPS),
        ],
    )


def _links(request: Request) -> Any:
    """What makes a link to one of our routes."""

    def link(rel: str, route: str, kind: str = _JSON, *, method: Any = None, **names: str) -> Pick:
        return Pick(href=str(request.url_for(route, **names)), rel=rel, type=kind, method=method)

    return link


def _require_maps(collection_id: str) -> None:
    if collection_id != MAPS:
        raise NoSuchCollection(
            f"no collection {collection_id!r}; there is: {MAPS}", collection=collection_id
        )


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else text.split(",")


def _numbers(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BadSearch(f"bbox: got {text!r}, expected {BBOX}", bbox=text) from None


def _geometry(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadSearch(f"intersects: got {text[:80]!r}, expected {INTERSECTS}")
    return value
