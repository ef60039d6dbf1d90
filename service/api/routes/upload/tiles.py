"""`/jobs/{id}/corrections` and `/tiles`: corrected maps, for a retraining to learn from."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse

from mfnet.service.api.answers.data_file import DataFile
from mfnet.service.api.auth import CallerOf
from mfnet.service.api.dependencies import ServicesOf, known_parameters
from mfnet.service.api.documents.process_descriptions import media_type
from mfnet.service.db.repositories.tiles import TileRepository
from mfnet.service.db.tables import Tile
from mfnet.service.errors import NoSuchResult
from mfnet.service.operations import labelled_tiles
from mfnet.service.schemas.jobs import Link, moment
from mfnet.service.schemas.tiles import Correction, TileInfo, TileList

router = APIRouter(tags=["tiles"])

Limit = Annotated[int, Query(ge=1, le=1000)]


@router.post("/jobs/{job_id}/corrections", status_code=201)
def correct_map(
    job_id: str,
    body: Correction,
    request: Request,
    response: Response,
    services: ServicesOf,
    caller: CallerOf,
) -> TileInfo:
    """Correct a job's map: the whole class raster, or polygons over it. Makes a labelled tile."""
    info = _info(labelled_tiles.correct(services, caller, job_id, body), request)
    response.headers["Location"] = str(request.url_for("get_tile", tile_id=info.id))
    return info


@router.get("/tiles", dependencies=[Depends(known_parameters)])
def list_tiles(
    request: Request, services: ServicesOf, caller: CallerOf, limit: Limit = 100
) -> TileList:
    """Your labelled tiles, newest first."""
    with services.database.reading() as session:
        tiles = TileRepository(session).page(caller.scope, limit=limit)
    return TileList(tiles=[_info(tile, request) for tile in tiles])


@router.get("/tiles/{tile_id}")
def get_tile(tile_id: str, request: Request, services: ServicesOf, caller: CallerOf) -> TileInfo:
    """What was corrected, by whom, and what of."""
    return _info(_tile(tile_id, services, caller), request)


@router.get("/tiles/{tile_id}/labels.tif", response_class=FileResponse)
def get_tile_labels(tile_id: str, services: ServicesOf, caller: CallerOf) -> DataFile:
    """The label raster: the classes' numbers, 255 where nothing is said."""
    path = services.storage.here(services.storage.labels(_tile(tile_id, services, caller).id))
    if not path.is_file():
        raise NoSuchResult(f"the labels of tile {tile_id} are no longer there", tile=tile_id)
    return DataFile(path, media_type=media_type(path.name), filename=path.name)


@router.delete("/tiles/{tile_id}", status_code=204)
def delete_tile(tile_id: str, services: ServicesOf, caller: CallerOf) -> None:
    """Forget a tile that no unfinished retraining learns from."""
    labelled_tiles.remove(services, caller, tile_id)


def _tile(tile_id: str, services: ServicesOf, caller: CallerOf) -> Tile:
    with services.database.reading() as session:
        return labelled_tiles.found(TileRepository(session).get(tile_id, caller.scope), tile_id)


def _info(tile: Tile, request: Request) -> TileInfo:
    rasters = {"ortho": tile.ortho, "height": tile.height, "dtm": tile.dtm}
    own = str(request.url_for("get_tile", tile_id=tile.id))
    labels = str(request.url_for("get_tile_labels", tile_id=tile.id))
    return TileInfo(
        id=tile.id,
        job=tile.job_id,
        created=moment(tile.created),
        rasters={role: upload for role, upload in rasters.items() if upload is not None},
        sha256=tile.sha256,
        report=tile.report,
        provenance=tile.provenance,
        links=[
            Link(href=own, rel="self", type="application/json"),
            Link(href=labels, rel="item", type=media_type("labels.tif"), title="labels"),
        ],
    )
