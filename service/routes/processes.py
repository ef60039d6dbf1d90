"""`/processes`: what can be run, and running it."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from service import processes, submission
from service.auth import CallerOf
from service.routes.jobs import status_info
from service.schemas import Execute, Link, Process, ProcessList, ProcessSummary, StatusInfo
from service.services import ServicesOf

router = APIRouter(prefix="/processes", tags=["processes"])

Limit = Annotated[int, Query(ge=1, le=10_000)]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]


@router.get("")
def list_processes(request: Request, limit: Limit = 10) -> ProcessList:
    """All processes: one today."""
    known = [ProcessSummary(**_segment(request).model_dump())]
    self = Link(href=str(request.url_for("list_processes")), rel="self", type="application/json")
    return ProcessList(processes=known[:limit], links=[self])


@router.get("/{process_id}")
def describe_process(process_id: str, request: Request) -> Process:
    """What goes in and what comes out."""
    processes.check_exists(process_id)
    return _segment(request)


@router.post("/{process_id}/execution", status_code=201)
def execute(
    process_id: str,
    body: Execute,
    request: Request,
    response: Response,
    services: ServicesOf,
    caller: CallerOf,
    idempotency_key: IdempotencyKey = None,
) -> StatusInfo:
    """Start a job. Bad pairs are refused here, before any GPU is touched; the same
    `Idempotency-Key` starts one job, however often it is sent."""
    processes.check_exists(process_id)
    job = submission.submit(services, caller, body.inputs, idempotency_key)
    response.headers["Location"] = str(request.url_for("job_status", job_id=job.id))
    return status_info(job, request)


def _segment(request: Request) -> Process:
    own = request.url_for("describe_process", process_id=processes.SEGMENT)
    run = request.url_for("execute", process_id=processes.SEGMENT)
    return processes.segment(
        [
            Link(href=str(own), rel="self", type="application/json"),
            Link(href=str(run), rel="http://www.opengis.net/def/rel/ogc/1.0/execute"),
        ]
    )
