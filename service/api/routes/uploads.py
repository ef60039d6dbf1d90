"""`/uploads`: files come in, are looked at, and wait to be used."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Query, Request, Response
from sqlalchemy.exc import IntegrityError

from mfnet.service.api.auth import CallerOf
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.api.upload_stream import Received, announced_sha256, checked_name, receive
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.tiles import TileRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.tables import Upload
from mfnet.service.errors import NoSuchUpload, UploadInUse
from mfnet.service.files import sidecar_files
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.schemas.jobs import UploadInfo, UploadList, moment

router = APIRouter(prefix="/uploads", tags=["uploads"])

Limit = Annotated[int, Query(ge=1, le=1000)]
Sha256 = Annotated[str | None, Query(description="what the bytes hash to, in hex; checked")]
ContentDigest = Annotated[str | None, Header(description="the same, as in RFC 9530")]
ContentLength = Annotated[int | None, Header(ge=0)]

_BINARY = {"requestBody": {"required": True, "content": {"application/octet-stream": {}}}}


@router.put("/{name}", status_code=201, openapi_extra=_BINARY)
async def put_upload(
    name: str,
    request: Request,
    response: Response,
    services: ServicesOf,
    caller: CallerOf,
    sha256: Sha256 = None,
    content_digest: ContentDigest = None,
    content_length: ContentLength = None,
) -> UploadInfo:
    """Send a GeoTIFF or GeoPackage, as `curl -T` does. It is looked at before this answers.

    What stands beside a GeoTIFF (ortho.tfw, ortho.prj, ortho.tif.aux.xml, ortho.tif.msk) comes
    before it, and is read with it."""
    name, announced = checked_name(name), announced_sha256(sha256, content_digest)
    upload_id = uuid.uuid4().hex
    received = await receive(
        request.stream(),
        services.storage.upload(upload_id),
        limit_bytes=services.settings.upload_limit_bytes,
        declared_bytes=content_length,
        sha256=announced,
    )
    upload = await to_thread.run_sync(_keep, services, caller, upload_id, name, received)
    response.headers["Location"] = str(request.url_for("get_upload", upload_id=upload_id))
    return _info(upload)


@router.get("")
def list_uploads(services: ServicesOf, caller: CallerOf, limit: Limit = 100) -> UploadList:
    """Your uploads, newest first."""
    with services.database.reading() as session:
        uploads = UploadRepository(session).page(caller.scope, limit=limit)
    return UploadList(uploads=[_info(upload) for upload in uploads])


@router.get("/{upload_id}")
def get_upload(upload_id: str, services: ServicesOf, caller: CallerOf) -> UploadInfo:
    """What was received, and what the inspection says of it."""
    with services.database.reading() as session:
        upload = UploadRepository(session).get(upload_id, caller.scope)
    return _info(_found(upload, upload_id))


@router.delete("/{upload_id}", status_code=204)
def delete_upload(upload_id: str, services: ServicesOf, caller: CallerOf) -> None:
    """Remove an upload that no unfinished job needs and no labelled tile is made of."""
    try:
        with services.database.writing() as session:
            uploads = UploadRepository(session)
            _found(uploads.get(upload_id, caller.scope), upload_id)
            if (job := JobRepository(session).needing(upload_id)) is not None:
                raise UploadInUse(f"job {job.id} needs the upload; dismiss it first", job=job.id)
            if (tile := TileRepository(session).needing(upload_id)) is not None:
                raise _of_a_tile(tile.id)
            uploads.remove(upload_id)
    except IntegrityError:  # a tile was made of it since we looked
        raise _of_a_tile() from None
    sidecar_files.remove(services.storage.upload(upload_id))


def _keep(
    services: Services, caller: Caller, upload_id: str, name: str, received: Received
) -> Upload:
    """Looks at a file that came whole; it enters the database, or leaves the disk."""
    path = services.storage.upload(upload_id)
    try:
        kind = sidecar_files.kind_of(name)
        if kind is None:
            _link_sidecars(services, caller, path, name)
        report = services.inspector.file(path, {upload_id: name}, kind)
        if kind is not None:
            report |= {"remarks": [*report.get("remarks", ()), *_late(services, caller, name)]}
        with services.database.writing() as session:
            return UploadRepository(session).add(
                upload_id,
                caller.key_id,
                name,
                size=received.bytes,
                sha256=received.sha256,
                report=report,
            )
    except BaseException:
        sidecar_files.remove(path)
        raise


def _link_sidecars(services: Services, caller: Caller, raster: Path, name: str) -> None:
    """What the sender has sent before of what stands beside a raster of this name."""
    names = sidecar_files.names_of(name)
    with services.database.reading() as session:
        found = UploadRepository(session).newest(caller.key_id, list(names))
    # The usual name of a kind comes last in `names`, and counts where there are several.
    files = {names[each]: services.storage.upload(found[each]) for each in names if each in found}
    sidecar_files.link(raster, files)


def _late(services: Services, caller: Caller, name: str) -> Iterator[dict[str, str]]:
    """Tells of rasters that a sidecar comes too late for."""
    with services.database.reading() as session:
        found = UploadRepository(session).newest(caller.key_id, sidecar_files.rasters_of(name))
    for raster in found:
        message = f"{raster} was sent before {name} and is read without it: send {raster} again"
        yield {"code": "sidecar.late", "message": message}


def _of_a_tile(tile_id: str | None = None) -> UploadInUse:
    which = "a labelled tile" if tile_id is None else f"the labelled tile {tile_id}"
    return UploadInUse(f"{which} is made of the upload; delete the tile first", tile=tile_id)


def _found(upload: Upload | None, upload_id: str) -> Upload:
    if upload is None:
        raise NoSuchUpload(f"no upload {upload_id!r}", upload=upload_id)
    return upload


def _info(upload: Upload) -> UploadInfo:
    return UploadInfo(
        id=upload.id,
        name=upload.name,
        bytes=upload.bytes,
        sha256=upload.sha256,
        created=moment(upload.created),
        report=upload.report,
    )
