"""`/uploads`: files come in, are looked at, and wait to be used."""

import uuid
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from sqlalchemy.exc import IntegrityError
from starlette.datastructures import URL

from mfnet.service.api.answers.wrong_requests import SEND_FILES, is_form
from mfnet.service.api.auth import CallerOf
from mfnet.service.api.dependencies import ServicesOf, known_parameters
from mfnet.service.api.requests.upload_stream import announced_sha256, receive
from mfnet.service.db.repositories.audit import AuditLog
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.tiles import TileRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.tables import Upload
from mfnet.service.errors import NoSuchUpload, UploadInUse, UploadIsForm, UploadTooLarge
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.operations.uploads import quotas
from mfnet.service.operations.uploads.keep_upload import keep
from mfnet.service.operations.uploads.upload_name import checked_name
from mfnet.service.schemas.jobs import UploadInfo, UploadList, moment

router = APIRouter(prefix="/uploads", tags=["uploads"])

Limit = Annotated[int, Query(ge=1, le=1000)]
_HEX = {"pattern": "^[0-9a-fA-F]{64}$"}
Sha256 = Annotated[
    str | None,
    Query(description="what the bytes hash to, in hex; checked", json_schema_extra=_HEX),
]
After = Annotated[
    str | None,
    Query(pattern="^[0-9a-f]{32}$", description="id of the last upload of the page before"),
]
OfContent = Annotated[
    str | None,
    Query(description="only those whose bytes hash to it, in hex", json_schema_extra=_HEX),
]
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
    """Send a GeoTIFF, a zip of GeoTIFF tiles of one raster, or polygons (GeoPackage, GeoJSON,
    FlatGeobuf, a Shapefile in a zip), as `curl -T` does. It is looked at before this answers.

    What stands beside a GeoTIFF (ortho.tfw, ortho.prj, ortho.tif.aux.xml, ortho.tif.msk) comes
    before it, and is read with it."""
    if is_form(request):
        raise UploadIsForm(f"the body is a form; expected the file itself: {SEND_FILES}")
    name, announced = checked_name(name), announced_sha256(sha256, content_digest)
    upload_id = uuid.uuid4().hex
    room = await to_thread.run_sync(_room, services, caller, content_length or 0)
    target = services.storage.upload(upload_id)
    with services.storage.changing(upload_id):
        try:
            received = await receive(
                request.stream(),
                target,
                limit_bytes=room,
                declared_bytes=content_length,
                sha256=announced,
            )
        except UploadTooLarge:
            await to_thread.run_sync(_room, services, caller, room + 1)  # says so if that is why
            raise
        looked_at = partial(keep, size=received.bytes, sha256=received.sha256)
        upload = await to_thread.run_sync(looked_at, services, caller, upload_id, name)
    response.headers["Location"] = str(request.url_for("get_upload", upload_id=upload_id))
    return upload_info(upload)


@router.get("", dependencies=[Depends(known_parameters)])
def list_uploads(
    request: Request,
    response: Response,
    services: ServicesOf,
    caller: CallerOf,
    limit: Limit = 100,
    sha256: OfContent = None,
    after: After = None,
) -> UploadList:
    """Your uploads, newest first; where there are more, the header `Link` leads on. With `sha256`,
    those of this content: a file that is there already need not be sent again."""
    wanted = {"sha256": announced_sha256(sha256, None), "after": after}
    with services.database.reading() as session:
        found = UploadRepository(session).page(caller.scope, limit=limit + 1, **wanted)
    if len(found) > limit:
        own = URL(str(request.url_for("list_uploads"))).replace(query=request.url.query)
        following = own.include_query_params(after=found[limit - 1].id)
        response.headers["Link"] = f'<{following}>; rel="next"'
    return UploadList(uploads=[_listed(upload) for upload in found[:limit]])


@router.get("/{upload_id}")
def get_upload(upload_id: str, services: ServicesOf, caller: CallerOf) -> UploadInfo:
    """What was received, and what the inspection says of it."""
    with services.database.reading() as session:
        upload = UploadRepository(session).get(upload_id, caller.scope)
    return upload_info(found(upload, upload_id))


@router.delete("/{upload_id}", status_code=204)
def delete_upload(upload_id: str, services: ServicesOf, caller: CallerOf) -> None:
    """Remove an upload that no unfinished job needs and no labelled tile is made of."""
    with services.database.reading() as session:
        found(UploadRepository(session).get(upload_id, caller.scope), upload_id)
    with services.storage.changing(upload_id):
        _forget(services, caller, upload_id)
        services.storage.remove_upload(upload_id)
    services.storage.remove_pictures(upload_id)


def upload_info(upload: Upload) -> UploadInfo:
    """The upload as the API tells of it."""
    return UploadInfo(
        id=upload.id,
        name=upload.name,
        bytes=upload.bytes,
        sha256=upload.sha256,
        created=moment(upload.created),
        report=upload.report,
    )


def _listed(upload: Upload) -> UploadInfo:
    """The upload as one of many: its tiles, which may be thousands, are counted."""
    info = upload_info(upload)
    report = dict(info.report)
    if "tiles" in report:
        report["tile_count"] = len(report.pop("tiles"))
    return info.model_copy(update={"report": report})


def _room(services: Services, caller: Caller, size: int) -> int:
    """How many bytes may come.

    Raises:
        QuotaBytes: Fewer than `size`, as the key has no room for more.
    """
    with services.database.reading() as session:
        left = quotas.check_bytes(services, session, caller, size)
    limit = services.settings.upload_limit_bytes
    return limit if left is None else min(limit, left)


def _forget(services: Services, caller: Caller, upload_id: str) -> None:
    try:
        with services.database.writing() as session:
            uploads = UploadRepository(session)
            upload = found(uploads.get(upload_id, caller.scope), upload_id)
            if (job := JobRepository(session).needing(upload_id)) is not None:
                raise UploadInUse(f"job {job.id} needs the upload; dismiss it first", job=job.id)
            if (tile := TileRepository(session).needing(upload_id)) is not None:
                raise _of_a_tile(tile.id)
            uploads.remove(upload_id)
            if upload.owner != caller.key_id:
                told = {"owner": upload.owner, "name": upload.name}
                AuditLog(session).note(caller.name, "upload removed", upload_id, **told)
    except IntegrityError:  # a tile was made of it since we looked
        raise _of_a_tile() from None


def _of_a_tile(tile_id: str | None = None) -> UploadInUse:
    which = "a labelled tile" if tile_id is None else f"the labelled tile {tile_id}"
    return UploadInUse(f"{which} is made of the upload; delete the tile first", tile=tile_id)


def found(upload: Upload | None, upload_id: str) -> Upload:
    """The upload, or the error that there is none."""
    if upload is None:
        raise NoSuchUpload(f"no upload {upload_id!r}", upload=upload_id)
    return upload
