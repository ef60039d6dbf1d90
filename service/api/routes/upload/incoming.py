"""`/uploads/incoming`: uploads in pieces, which go on where they ended (tus 1.0).

The core of the protocol with its extensions creation, creation-with-upload, checksum, expiration
and termination. The piece that makes an upload whole is answered when the file has been looked at:
204, and it is an upload of the same id, or the error that a PUT of it would get.
"""

import base64
import uuid
from email.utils import formatdate
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Request, Response

from mfnet.service.api.auth import CallerOf
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.api.requests import piece_stream
from mfnet.service.api.requests.upload_stream import announced_sha256, storing
from mfnet.service.errors import (
    BadPiece,
    Busy,
    OtherTus,
    UploadEmpty,
    UploadTooLarge,
    WrongOffset,
)
from mfnet.service.files.incoming import Incoming
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.operations.uploads import quotas
from mfnet.service.operations.uploads.finish_incoming import coming, expires, finish, whole_bytes
from mfnet.service.operations.uploads.upload_name import checked_name

VERSION = "1.0.0"
_EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
_BINARY = {"requestBody": {"required": True, "content": {piece_stream.MEDIA_TYPE: {}}}}
_MAYBE_BINARY = {"requestBody": {"required": False, "content": {piece_stream.MEDIA_TYPE: {}}}}


async def _same_version(
    response: Response,
    tus_resumable: Annotated[
        str | None, Header(description=VERSION, json_schema_extra={"enum": [VERSION]})
    ] = None,
) -> None:
    response.headers["Tus-Resumable"] = VERSION
    if tus_resumable != VERSION:
        raise OtherTus(f"Tus-Resumable: got {tus_resumable}, expected {VERSION}")


router = APIRouter(prefix="/uploads/incoming", tags=["uploads"])
_TUS = [Depends(_same_version)]

Length = Annotated[int | None, Header(ge=0, description="bytes when it is whole")]
Offset = Annotated[int | None, Header(ge=0, description="bytes that have come before this piece")]
Metadata = Annotated[
    str | None,
    Header(description="`filename BASE64`, and perhaps `sha256 BASE64` of the digest in hex"),
]
Checksum = Annotated[
    str | None,
    Header(description="of this piece: `sha256 BASE64` or `sha1 BASE64`; it counts whole or not"),
]


@router.options("", include_in_schema=False)
def tell_tus(services: ServicesOf) -> Response:
    """What of tus there is."""
    told = {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Max-Size": str(services.settings.upload_limit_bytes),
        "Tus-Extension": _EXTENSIONS,
        "Tus-Checksum-Algorithm": ",".join(piece_stream.ALGORITHMS),
    }
    return Response(status_code=204, headers=told)


@router.post(
    "",
    status_code=201,
    response_class=Response,
    dependencies=_TUS,
    openapi_extra=_MAYBE_BINARY,
)
async def begin_upload(
    request: Request,
    response: Response,
    services: ServicesOf,
    caller: CallerOf,
    upload_length: Length = None,
    upload_metadata: Metadata = None,
    upload_checksum: Checksum = None,
) -> None:
    """Begin an upload in pieces; `Location` says where they go. A body is the first of them."""
    told = _metadata(upload_metadata or "")
    about = await to_thread.run_sync(_announced, services, caller, upload_length, told)
    upload_id = uuid.uuid4().hex
    with storing(about.name):
        await to_thread.run_sync(services.storage.incoming.begin, upload_id, about)
    response.headers["Location"] = str(request.url_for("tell_offset", upload_id=upload_id))
    if request.headers.get("content-type") == piece_stream.MEDIA_TYPE:
        piece = _Piece(services, caller, upload_id, about, upload_checksum)
        response.headers["Upload-Offset"] = str(await piece.take(request, 0))
    _tell_expiry(response, services, upload_id)


@router.get("/{upload_id}", status_code=204, dependencies=_TUS)
def tell_offset(upload_id: str, response: Response, services: ServicesOf, caller: CallerOf) -> None:
    """How much has come, in `Upload-Offset`; usually asked with HEAD. A file that is whole and was
    not looked at, because the service died meanwhile, is looked at now."""
    response.headers["Cache-Control"] = "no-store"
    size = whole_bytes(services, caller, upload_id)
    if size is None:
        about = coming(services, caller, upload_id)
        offset, length = services.storage.incoming.offset(upload_id), about.length
        if offset == length:
            with services.storage.incoming.going_on(upload_id) as file:
                if file is not None:  # else somebody looks at it already
                    finish(services, caller, upload_id, about)
    else:
        offset = length = size
    response.headers["Upload-Offset"] = str(offset)
    response.headers["Upload-Length"] = str(length)
    _tell_expiry(response, services, upload_id)


@router.patch("/{upload_id}", status_code=204, dependencies=_TUS, openapi_extra=_BINARY)
async def go_on(
    upload_id: str,
    request: Request,
    response: Response,
    services: ServicesOf,
    caller: CallerOf,
    upload_offset: Offset = None,
    upload_checksum: Checksum = None,
) -> None:
    """The next piece. What has come of one that ends early is kept, unless it has a checksum."""
    if request.headers.get("content-type") != piece_stream.MEDIA_TYPE:
        raise BadPiece(f"expected Content-Type: {piece_stream.MEDIA_TYPE}")
    size = await to_thread.run_sync(whole_bytes, services, caller, upload_id)
    if size is not None and upload_offset == size:  # the answer to the last piece was lost
        response.headers["Upload-Offset"] = str(size)
        return
    about = await to_thread.run_sync(coming, services, caller, upload_id)
    piece = _Piece(services, caller, upload_id, about, upload_checksum)
    response.headers["Upload-Offset"] = str(await piece.take(request, upload_offset))
    _tell_expiry(response, services, upload_id)


@router.delete("/{upload_id}", status_code=204, dependencies=_TUS)
def give_up(upload_id: str, services: ServicesOf, caller: CallerOf) -> None:
    """Forget what has come."""
    coming(services, caller, upload_id)
    services.storage.incoming.remove(upload_id)


class _Piece:
    """A piece of an upload on its way in."""

    def __init__(
        self,
        services: Services,
        caller: Caller,
        upload_id: str,
        about: Incoming,
        checksum: str | None,
    ) -> None:
        self._whole = (services, caller, upload_id, about)
        self._incoming = services.storage.incoming
        self._id = upload_id
        self._about = about
        self._checksum = piece_stream.piece_checksum(checksum)

    async def take(self, request: Request, declared: int | None) -> int:
        """Adds it, and looks at the file where it was the last; returns the new offset.

        Args:
            request: Whose body it is.
            declared: Where it begins, as the client says.
        """
        with self._incoming.going_on(self._id) as file:
            if file is None:
                raise Busy("another piece of this upload is still coming; ask with HEAD, and go on")
            offset = file.tell()
            if declared != offset:
                raise WrongOffset(
                    f"Upload-Offset: got {declared}, expected {offset}", offset=offset
                )
            if offset + int(request.headers.get("content-length", 0)) > self._about.length:
                raise piece_stream.too_long(self._about)
            with storing(self._about.name):
                if self._checksum is None:
                    offset = await piece_stream.append(request, file, self._about, None)
                else:
                    with self._incoming.unchecked(self._id, file):
                        offset = await piece_stream.append(
                            request, file, self._about, self._checksum
                        )
            if offset == self._about.length:
                await to_thread.run_sync(finish, *self._whole)
        return offset


def _announced(
    services: Services, caller: Caller, length: int | None, told: dict[str, str]
) -> Incoming:
    """What is said of an upload that begins, checked."""
    name = checked_name(told.get("filename", ""))
    sha256 = announced_sha256(told.get("sha256"), None)
    if length is None:
        raise BadPiece("expected the header Upload-Length: the file's bytes")
    if length == 0:
        raise UploadEmpty("Upload-Length: got 0, expected a file with bytes in it")
    if length > (limit := services.settings.upload_limit_bytes):
        raise UploadTooLarge(f"the file is over the limit of {limit} bytes", limit_bytes=limit)
    with services.database.reading() as session:
        quotas.check_bytes(services, session, caller, length)
    return Incoming(caller.key_id, name, length, sha256)


def _metadata(header: str) -> dict[str, str]:
    """`Upload-Metadata`: names, each with a value in base64."""
    found = {}
    for pair in filter(None, (each.strip() for each in header.split(","))):
        name, _, value = pair.partition(" ")
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except ValueError:
            raise BadPiece(f"Upload-Metadata: {name}: expected base64 of UTF-8") from None
    return found


def _tell_expiry(response: Response, services: Services, upload_id: str) -> None:
    """When what has come is removed; nothing of an upload that is whole."""
    try:
        at = expires(services, upload_id)
    except FileNotFoundError:
        return
    response.headers["Upload-Expires"] = formatdate(at, usegmt=True)
