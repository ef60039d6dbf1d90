"""`/jobs/{id}/events`: a job as it goes on, for whoever does not want to ask; and how it goes with
telling its subscriber."""

import asyncio
import json
from collections.abc import AsyncIterator

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from mfnet.service.api.auth import CallerOf, SecretOf, find_holder_and_job, holder
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.api.middleware import AS_HEAD
from mfnet.service.api.routes.job.jobs import found, status_info
from mfnet.service.db.repositories.callbacks import CallbackRepository
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import Holder
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import FINAL
from mfnet.service.domain.subject import Subject
from mfnet.service.errors import Busy, NoCallback
from mfnet.service.operations.context import Services
from mfnet.service.schemas.jobs import CallbackInfo, moment

router = APIRouter(prefix="/jobs/{job_id}", tags=["jobs"])

_EVERY_S = 1.0
_QUIET_S = 15.0  # then a word, or proxies take the connection for dead
_LONGEST_S = 600.0
_AT_ONCE = 200

_open: set[object] = set()


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"description": "Events", "content": {"text/event-stream": {}}}},
)
def job_events(
    job_id: str, request: Request, services: ServicesOf, secret: SecretOf
) -> StreamingResponse:
    """Server-sent events: the job's status whenever it changes, until it has come to its end. After
    ten minutes the stream ends, and the client asks again, as browsers do by themselves."""
    key, job = _look(services, secret, job_id)
    holder(request, services, key)
    found(job, job_id)
    if len(_open) >= _AT_ONCE:
        raise Busy("too many streams of events at once; ask for the job's status instead")
    stream = _stream(job_id, request, services, secret)
    if request.scope.get(AS_HEAD):
        stream = _nothing()
    told = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=told)


@router.get("/callback", response_model_exclude_none=True)
def job_callback(job_id: str, services: ServicesOf, caller: CallerOf) -> CallbackInfo:
    """How it goes with telling the job's subscriber."""
    with services.database.reading() as session:
        found(JobRepository(session).get(job_id, caller.scope), job_id)
        callback = CallbackRepository(session).get(job_id)
    if callback is None:
        raise NoCallback(f"job {job_id} was asked for without a subscriber", job=job_id)
    return CallbackInfo(
        told=callback.told,
        attempts=callback.attempts,
        next=None if callback.told == "done" else moment(callback.next_at),
        failure=callback.failure,
    )


def _look(
    services: Services, secret: str | Subject, job_id: str
) -> tuple[Holder | None, Job | None]:
    with services.database.reading() as session:
        return find_holder_and_job(services, session, secret, job_id)


async def _stream(
    job_id: str, request: Request, services: Services, secret: str | Subject
) -> AsyncIterator[str]:
    this = object()
    _open.add(this)
    try:
        yield "retry: 1000\n\n"
        told, quiet, passed = request.headers.get("last-event-id"), 0.0, 0.0
        while passed < _LONGEST_S:
            _, job = await to_thread.run_sync(_look, services, secret, job_id)
            if job is None:  # removed, or the key has ended
                return
            if (event_id := f"{job.updated:.3f}") != told:
                told, quiet = event_id, 0.0
                status = status_info(job, request).model_dump(mode="json", exclude_none=True)
                yield f"id: {event_id}\nevent: status\ndata: {json.dumps(status)}\n\n"
            if job.state in FINAL:
                return
            if quiet >= _QUIET_S:
                quiet = 0.0
                yield ": still here\n\n"
            await asyncio.sleep(_EVERY_S)
            quiet, passed = quiet + _EVERY_S, passed + _EVERY_S
    finally:
        _open.discard(this)


async def _nothing() -> AsyncIterator[str]:
    return
    yield
