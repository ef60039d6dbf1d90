"""What a key may take of the service, where settings say so. Admins' keys may take anything."""

from sqlalchemy.orm import Session

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.errors import QuotaBytes, QuotaJobs, QuotaRequests
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services

_RETRY_S = 30  # a job or two have come to their end by then


def count_request(services: Services, caller: Caller) -> None:
    """Counts a request.

    Raises:
        QuotaRequests: One too many within a minute.
    """
    if caller.scope is None:
        return
    if wait_s := services.rates.wait_s(caller.key_id):
        limit = services.settings.quota_requests
        raise QuotaRequests(
            f"more than {limit} requests a minute; ask again in {wait_s:.0f} s",
            limit=limit,
            retry_after_s=wait_s,
        )


def check_bytes(
    services: Services, session: Session, caller: Caller, more: int, upload_id: str | None = None
) -> int | None:
    """Whether an upload of so many bytes has room beside all others, those under way included.

    Args:
        services: Of the API.
        session: Any.
        caller: Whose it is.
        more: Bytes.
        upload_id: Its id, where it came in pieces and is still counted as under way.

    Returns:
        Bytes that there is room for; None for any number.

    Raises:
        QuotaBytes: It has none.
    """
    limit = services.settings.quota_bytes
    if not limit or caller.scope is None:
        return None
    stored = UploadRepository(session).bytes_of(caller.key_id)
    coming = services.storage.incoming.announced_bytes(caller.key_id, but=upload_id)
    if stored + coming + more > limit:
        raise _no_room(limit, stored + coming, more)
    return limit - stored - coming


def check_kept(services: Services, session: Session, caller: Caller, size: int) -> None:
    """Whether a file that came has room beside the uploads that there are; nobody else of this key
    is told so until the transaction ends.

    Raises:
        QuotaBytes: It has none.
    """
    limit = services.settings.quota_bytes
    if not limit or caller.scope is None:
        return
    stored = UploadRepository(session).bytes_of(caller.key_id, alone=True)
    if stored + size > limit:
        raise _no_room(limit, stored, size)


def check_waiting(services: Services, session: Session, caller: Caller, more: int = 1) -> None:
    """Whether so many more jobs may wait.

    Raises:
        QuotaJobs: Fewer may.
    """
    limit = services.settings.quota_jobs
    if not limit or caller.scope is None:
        return
    waiting = JobRepository(session).waiting_of(caller.key_id)
    if more > limit:
        raise QuotaJobs(
            f"got a batch of {more} jobs, expected at most {limit}, which is what may wait of this "
            "key: send it in several batches, one when the other has begun",
            waiting=waiting,
            limit=limit,
        )
    if waiting + more > limit:
        expected = f"expected fewer than {limit}"
        if more > 1:
            expected = f"and {more} more are over its {limit}"
        raise QuotaJobs(
            f"{waiting} jobs of this key wait, {expected}: submit another when one has begun, or "
            "dismiss one",
            waiting=waiting,
            limit=limit,
            retry_after_s=_RETRY_S,
        )


def _no_room(limit: int, stored: int, more: int) -> QuotaBytes:
    return QuotaBytes(
        f"{stored} bytes of this key's uploads and {more} more are over its {limit}: delete "
        "uploads that no job needs (DELETE /uploads/ID), or ask whoever runs this service",
        stored=stored,
        more=more,
        limit=limit,
    )
