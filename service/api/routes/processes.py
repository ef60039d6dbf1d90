"""`/processes`: what can be run, and running it."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from mfnet.service.api import process_descriptions
from mfnet.service.api.auth import AdminOf, CallerOf
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.api.routes.jobs import status_info
from mfnet.service.db.tables import Job
from mfnet.service.operations import submit_retraining, submit_segmentation
from mfnet.service.schemas.jobs import (
    Execute,
    Link,
    Process,
    ProcessList,
    ProcessSummary,
    StatusInfo,
)
from mfnet.service.schemas.models import ExecuteRetrain

router = APIRouter(prefix="/processes", tags=["processes"])

Limit = Annotated[int, Query(ge=1, le=10_000)]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]


@router.get("")
def list_processes(request: Request, limit: Limit = 10) -> ProcessList:
    """All processes."""
    known = [
        ProcessSummary(**_described(each, request).model_dump())
        for each in process_descriptions.IDS
    ]
    self = Link(href=str(request.url_for("list_processes")), rel="self", type="application/json")
    return ProcessList(processes=known[:limit], links=[self])


@router.get("/{process_id}")
def describe_process(process_id: str, request: Request) -> Process:
    """What goes in and what comes out."""
    process_descriptions.check_exists(process_id)
    return _described(process_id, request)


@router.post("/segment/execution", status_code=201)
def execute_segment(
    body: Execute,
    request: Request,
    response: Response,
    services: ServicesOf,
    caller: CallerOf,
    idempotency_key: IdempotencyKey = None,
) -> StatusInfo:
    """Start a job. Bad pairs are refused here, before any GPU is touched; the same
    `Idempotency-Key` starts one job, however often it is sent."""
    job = submit_segmentation.submit(services, caller, body.inputs, idempotency_key)
    return _created(job, request, response)


@router.post("/retrain/execution", status_code=201)
def execute_retrain(
    body: ExecuteRetrain,
    request: Request,
    response: Response,
    services: ServicesOf,
    caller: AdminOf,
    idempotency_key: IdempotencyKey = None,
) -> StatusInfo:
    """Start a retraining; it ends in a candidate, or in a model in use where that is asked for and
    the gate has nothing against it."""
    job = submit_retraining.submit(services, caller, body.inputs, idempotency_key)
    return _created(job, request, response)


@router.post("/{process_id}/execution", include_in_schema=False)
def execute(process_id: str, _caller: CallerOf) -> None:
    """No other process can be run: says so."""
    process_descriptions.check_exists(process_id)


def _created(job: Job, request: Request, response: Response) -> StatusInfo:
    response.headers["Location"] = str(request.url_for("job_status", job_id=job.id))
    return status_info(job, request)


def _described(process_id: str, request: Request) -> Process:
    own = request.url_for("describe_process", process_id=process_id)
    run = request.url_for("execute", process_id=process_id)
    return process_descriptions.describe(
        process_id,
        [
            Link(href=str(own), rel="self", type="application/json"),
            Link(href=str(run), rel="http://www.opengis.net/def/rel/ogc/1.0/execute"),
        ],
    )
