"""`/jobs/{id}/tiles` and `/wmts`: a map as tiles for a GIS or a web page; and links to a job for
whoever has no key."""

import time
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response

from mfnet.service.api.auth import CallerOf
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.api.documents import wmts
from mfnet.service.api.routes.job.jobs import found
from mfnet.service.api.shared_links import Shared, token
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.tables import Job
from mfnet.service.errors import NoSuchResult
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.operations.pictures import map_tiles
from mfnet.service.schemas.jobs import moment
from mfnet.service.schemas.map_tiles import NewLink, SharedLink, TileJson

router = APIRouter(prefix="/jobs/{job_id}", tags=["results"])

Layer = Literal["classes", "confidence", "ortho", "hillshade"]
Index = Annotated[int, Path(ge=0, le=2**31)]
_NEVER_CHANGES = {"Cache-Control": "private, max-age=86400"}
_DAY_S = 24 * 3600


@router.get("/tiles/{layer}.json")
def map_tilejson(
    job_id: str, layer: Layer, request: Request, services: ServicesOf, caller: CallerOf
) -> TileJson:
    """Where the tiles of a layer are, in TileJSON."""
    extent = map_tiles.extent(services, _job(job_id, services, caller), layer)
    return TileJson(
        name=f"{job_id[:8]} {layer}",
        tiles=[_template(request, job_id, layer)],
        minzoom=extent.minzoom,
        maxzoom=extent.maxzoom,
        bounds=list(extent.bounds),
    )


@router.get(
    "/tiles/{layer}/{z}/{x}/{y}.png",
    response_class=Response,
    responses={200: {"description": "The tile", "content": {"image/png": {}}}},
)
def map_tile(
    job_id: str,
    layer: Layer,
    z: Index,
    x: Index,
    y: Index,
    services: ServicesOf,
    caller: CallerOf,
) -> Response:
    """A tile of EPSG:3857, PNG of 256 pixels a side, transparent where the map is not."""
    png = map_tiles.draw(services, _job(job_id, services, caller), layer, z, x, y)
    return Response(png, media_type="image/png", headers=_NEVER_CHANGES)


@router.get(
    "/wmts",
    response_class=Response,
    responses={200: {"description": "The capabilities", "content": {wmts.MEDIA_TYPE: {}}}},
)
def map_wmts(job_id: str, request: Request, services: ServicesOf, caller: CallerOf) -> Response:
    """WMTS capabilities: a GIS adds the map by this address."""
    job = _job(job_id, services, caller)
    layers = map_tiles.layers(services, job)
    if not layers:
        raise NoSuchResult(f"job {job_id} has no map that could be shown", job=job_id)
    told = [
        (layer, map_tiles.extent(services, job, layer), _template(request, job_id, layer))
        for layer in layers
    ]
    document = wmts.capabilities(f"MFNet {job_id[:8]}", told)
    return Response(document, media_type=wmts.MEDIA_TYPE)


@router.post("/links", status_code=201)
def share_job(
    job_id: str, body: NewLink, request: Request, services: ServicesOf, caller: CallerOf
) -> SharedLink:
    """Addresses of the results and tiles that need no key, for so many days."""
    job = _job(job_id, services, caller)
    if job.result_epoch is None:
        raise NoSuchResult(f"job {job_id} has no results to share", job=job_id)
    expires = int(time.time() + body.days * _DAY_S)
    given = token(services.link_secret, Shared(job.id, job.owner), expires)
    own = str(request.base_url).rstrip("/")
    address = str(request.url_for("job_status", job_id=job_id))
    shared = address.replace(own, f"{own}/shared/{given}", 1)
    names = services.storage.result_names(job.id, job.result_epoch)
    return SharedLink(
        expires=moment(expires),
        results=f"{shared}/results",
        files={name: f"{shared}/results/{name}" for name in names},
        wmts=f"{shared}/wmts",
        tilejson=f"{shared}/tiles/classes.json",
    )


def _template(request: Request, job_id: str, layer: str) -> str:
    one = str(request.url_for("map_tile", job_id=job_id, layer=layer, z=0, x=0, y=0))
    return f"{one.removesuffix('0/0/0.png')}{{z}}/{{x}}/{{y}}.png"


def _job(job_id: str, services: Services, caller: Caller) -> Job:
    with services.database.reading() as session:
        return found(JobRepository(session).get(job_id, caller.scope), job_id)
