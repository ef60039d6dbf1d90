"""`/processes`: what can be run, and running it."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from mfnet.service.api.auth import AdminOf, CallerOf
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.api.documents import process_descriptions
from mfnet.service.api.requests.execution import (
    asked_by_outputs,
    chosen,
    map_outputs_of,
    prefers,
    tell_async,
    with_uploads,
)
from mfnet.service.api.routes.job.jobs import status_info
from mfnet.service.api.routes.job.results import echoed
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import BATCH, ECHO, RETRAIN, SEGMENT
from mfnet.service.operations import echo, submit_batch, submit_retraining, submit_segmentation
from mfnet.service.schemas.batches import ExecuteBatch
from mfnet.service.schemas.jobs import (
    Execute,
    ExecuteEcho,
    Link,
    Process,
    ProcessList,
    ProcessSummary,
    StatusInfo,
)
from mfnet.service.schemas.models import ExecuteRetrain

router = APIRouter(prefix="/processes", tags=["processes"])

Limit = Annotated[int, Query(ge=1, le=10_000)]
_EXECUTE = "http://www.opengis.net/def/rel/ogc/1.0/execute"

IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]


@router.get("", response_model_exclude_none=True)
def list_processes(request: Request, limit: Limit = 10) -> ProcessList:
    """All processes."""
    known = [
        ProcessSummary(**_described(each, request).model_dump())
        for each in process_descriptions.IDS
    ]
    self = Link(href=str(request.url_for("list_processes")), rel="self", type="application/json")
    return ProcessList(processes=known[:limit], links=[self])


@router.get("/{process_id}", response_model_exclude_none=True)
def describe_process(process_id: str, request: Request) -> Process:
    """What goes in and what comes out."""
    process_descriptions.check_exists(process_id)
    return _described(process_id, request)


@router.post("/segment/execution", status_code=201, response_model_exclude_none=True)
def execute_segment(
    body: Execute,
    request: Request,
    response: Response,
    services: ServicesOf,
    caller: CallerOf,
    idempotency_key: IdempotencyKey = None,
) -> StatusInfo:
    """Start a job. Bad pairs are refused here, before any GPU is touched; the same
    `Idempotency-Key` starts one job, however often it is sent. A job whose results an earlier one
    of yours has made is successful at once, unless `reuse` is false."""
    inputs, wanted = with_uploads(body.inputs, body, request), chosen(SEGMENT, body, request)
    inputs = asked_by_outputs(inputs, wanted)
    job = submit_segmentation.submit(
        services, caller, inputs, idempotency_key, wanted, reuse=body.reuse
    )
    return _created(job, request, response)


@router.post("/batch/execution", status_code=201, response_model_exclude_none=True)
def execute_batch(
    body: ExecuteBatch,
    request: Request,
    response: Response,
    services: ServicesOf,
    caller: CallerOf,
    idempotency_key: IdempotencyKey = None,
) -> StatusInfo:
    """Start a job for each pair, and one that stands for all: it ends when each of them has, and
    what is done to it is done to them. A pair that is refused is a job that has failed, unless all
    are: then the request is refused."""
    wanted, of_maps = chosen(BATCH, body, request), map_outputs_of(body.inputs.map_outputs)
    pairs = [
        asked_by_outputs(with_uploads(pair, body, request), of_maps) for pair in body.inputs.pairs
    ]
    inputs = body.inputs.model_copy(update={"pairs": pairs})
    job = submit_batch.submit(services, caller, inputs, idempotency_key, wanted, reuse=body.reuse)
    return _created(job, request, response)


@router.post("/retrain/execution", status_code=201, response_model_exclude_none=True)
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
    wanted = chosen(RETRAIN, body, request)
    job = submit_retraining.submit(services, caller, body.inputs, idempotency_key, wanted)
    return _created(job, request, response)


@router.post(
    "/echo/execution",
    response_model=None,
    responses={
        200: {
            "description": "The message, or a document that holds it",
            "content": {"text/plain": {}, "application/json": {}},
        },
        204: {"description": "No output was chosen"},
        201: {"model": StatusInfo},
    },
)
async def execute_echo(
    body: ExecuteEcho, request: Request, response: Response, services: ServicesOf, caller: CallerOf
) -> Response:
    """The message back: at once or after `pause` seconds, or as a job (`Prefer: respond-async`)."""
    wanted = chosen(ECHO, body, request)
    if not prefers(request, "respond-async"):
        message = await echo.wait(body.inputs)
        return echoed(message, body.response or "raw", wanted.get("outputs"))
    job = await echo.start(services, caller, body.inputs, wanted)
    created = _created(job, request, response)
    headers = {name: response.headers[name] for name in ("location", "preference-applied")}
    return JSONResponse(created.model_dump(mode="json", exclude_none=True), 201, headers)


@router.post("/{process_id}/execution", include_in_schema=False)
def execute(process_id: str, _caller: CallerOf) -> None:
    """No other process can be run: says so."""
    process_descriptions.check_exists(process_id)


def _created(job: Job, request: Request, response: Response) -> StatusInfo:
    tell_async(request, response)
    response.headers["Location"] = str(request.url_for("job_status", job_id=job.id))
    return status_info(job, request)


def _described(process_id: str, request: Request) -> Process:
    own = request.url_for("describe_process", process_id=process_id)
    run = request.url_for("execute", process_id=process_id)
    return process_descriptions.describe(
        process_id,
        [
            Link(href=str(own), rel="self", type="application/json"),
            Link(href=str(run), rel=_EXECUTE, type="application/json", title="Run it"),
        ],
    )
