"""An upload that came in pieces and is whole now becomes an upload like any other."""

import hashlib
import time

from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.errors import (
    ChecksumMismatch,
    NoSuchUpload,
    QuotaBytes,
    Refused,
    UploadExpired,
)
from mfnet.service.files.incoming import Incoming
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.operations.uploads.keep_upload import keep


def coming(services: Services, caller: Caller, upload_id: str) -> Incoming:
    """What was said of an upload that is not whole yet.

    Raises:
        NoSuchUpload: There is none, or it is another's.
        UploadExpired: Nobody has gone on with it for too long; it is gone.
    """
    incoming = services.storage.incoming
    about = incoming.about(upload_id) if upload_id.isalnum() else None
    if about is None or about.owner != caller.key_id:
        raise NoSuchUpload(f"no upload {upload_id!r} is coming", upload=upload_id)
    if expires(services, upload_id) <= time.time():
        incoming.remove(upload_id)
        hours = services.settings.incoming_hours
        raise UploadExpired(
            f"nobody went on with upload {upload_id} for {hours:g} hours; begin it again",
            upload=upload_id,
            hours=hours,
        )
    return about


def whole_bytes(services: Services, caller: Caller, upload_id: str) -> int | None:
    """Bytes of an upload that has come whole and was kept; None where it is none of the caller's,
    or still coming."""
    with services.database.reading() as session:
        upload = UploadRepository(session).get(upload_id, caller.key_id)
    if upload is None or services.storage.incoming.about(upload_id) is not None:
        return None
    return int(upload.report.get("sent_bytes", upload.bytes))


def expires(services: Services, upload_id: str) -> float:
    """When an upload that is not whole is removed unless somebody goes on with it: seconds since
    1970."""
    touched = services.storage.incoming.touched(upload_id)
    return touched + services.settings.incoming_hours * 3600


def finish(services: Services, caller: Caller, upload_id: str, about: Incoming) -> None:
    """The whole file becomes an upload, or is refused and forgotten.

    Raises:
        ChecksumMismatch: It is another file than was announced.
        Refused, InspectionBroken, Busy: As `keep`; after all but the first the bytes are still
            here, and an empty piece has them looked at again.
        QuotaBytes: The key stores as much as it may; the file is forgotten.
    """
    incoming = services.storage.incoming
    with services.database.reading() as session:
        kept = UploadRepository(session).get(upload_id) is not None
    if kept:  # and we were interrupted just after that
        incoming.remove(upload_id)
        return
    with incoming.path(upload_id).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if about.sha256 not in (None, sha256):
        incoming.remove(upload_id)
        raise ChecksumMismatch(
            f"got sha256 {sha256}, expected {about.sha256}; send the file again",
            got=sha256,
            expected=about.sha256,
        )
    target = services.storage.upload(upload_id)
    with services.storage.changing(upload_id):
        incoming.link(upload_id, target)
        try:
            keep(services, caller, upload_id, about.name, size=about.length, sha256=sha256)
        except (Refused, QuotaBytes):
            incoming.remove(upload_id)
            raise
    incoming.remove(upload_id)
