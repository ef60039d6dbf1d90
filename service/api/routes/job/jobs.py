"""`/jobs`: how far they are, and stopping them."""

import math
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.orm import Session
from starlette.datastructures import URL

from mfnet.service.api.auth import CallerOf, SecretOf, find_holder_and_job, holder
from mfnet.service.api.dependencies import ServicesOf, known_parameters
from mfnet.service.api.requests.datetime_parameter import Interval, interval
from mfnet.service.db.repositories.audit import AuditLog
from mfnet.service.db.repositories.batches import BatchRepository
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import BATCH, FINAL, State
from mfnet.service.errors import NoSuchJob
from mfnet.service.operations.context import Services
from mfnet.service.schemas.jobs import JobEstimate, JobList, Link, StatusInfo, moment

router = APIRouter(prefix="/jobs", tags=["jobs"])

_MOST = 1000
_DAY_S = 24 * 3600
_HOW_TOLD = ("outputs", "response", "jobs")  # kept with the inputs
_REL = "http://www.opengis.net/def/rel/ogc/1.0/"

Limit = Annotated[
    int, Query(ge=1, description="jobs of a page; of more than 1,000 a page has 1,000")
]
States = Annotated[list[State], Query(alias="status", description="only jobs in one of these")]
Processes = Annotated[
    list[str], Query(alias="processID", description="only jobs of one of these processes")
]
Types = Annotated[list[Literal["process"]], Query(alias="type", description="all jobs are")]
Seconds = Annotated[
    float | None,
    Query(ge=0, allow_inf_nan=False, description="seconds that the work has taken so far"),
]
Created = Annotated[
    str | None,
    Query(
        alias="datetime",
        description="only jobs created then: an instant, or START/END, where "
        "one may be `..`; RFC 3339",
    ),
]
OfBatch = Annotated[
    str | None, Query(pattern="^[0-9a-f]{32}$", description="only jobs of this batch")
]
SortBy = Annotated[Literal["created", "-created"], Query(description="-created: the newest first")]
After = Annotated[
    str | None,
    Query(pattern="^[0-9a-f]{32}$", description="id of the last job of the page before"),
]


@router.get("", response_model_exclude_none=True, dependencies=[Depends(known_parameters)])
def list_jobs(
    request: Request,
    services: ServicesOf,
    caller: CallerOf,
    limit: Limit = 10,
    status: States = [],  # noqa: B006 - FastAPI copies it
    process: Processes = [],  # noqa: B006
    created: Created = None,
    after: After = None,
    kind: Types = [],  # noqa: B006
    batch: OfBatch = None,
    minDuration: Seconds = None,
    maxDuration: Seconds = None,
    sortby: SortBy = "-created",
) -> JobList:
    """Your jobs, newest first."""
    limit = min(limit, _MOST)
    span = interval(created) if created is not None else Interval()
    with services.database.reading() as session:
        jobs = JobRepository(session).page(
            caller.scope,
            limit=limit + 1,
            after=after,
            states=status,
            processes=process,
            created_from=span.start,
            created_to=span.end,
            min_duration=minDuration,
            max_duration=maxDuration,
            oldest_first=sortby == "created",
            batch=batch,
        )
    own = URL(str(request.url_for("list_jobs"))).replace(query=request.url.query)
    links = [Link(href=str(own), rel="self", type="application/json")]
    if len(jobs) > limit:
        following = own.include_query_params(after=jobs[limit - 1].id)
        links.append(Link(href=str(following), rel="next", type="application/json"))
    return JobList(jobs=[status_info(job, request) for job in jobs[:limit]], links=links)


@router.get("/{job_id}", response_model=StatusInfo)
def job_status(job_id: str, request: Request, services: ServicesOf, secret: SecretOf) -> Response:
    """Status, progress from 0 to 100, and where the results are once there are any."""
    with services.database.reading() as session:
        key, job = find_holder_and_job(services, session, secret, job_id)
    holder(request, services, key)
    # What is asked most often: the framework would serialise it in another thread of its own.
    told = status_info(found(job, job_id), request).model_dump_json(exclude_none=True)
    return Response(told, media_type="application/json")


@router.delete("/{job_id}", response_model_exclude_none=True)
def dismiss_job(
    job_id: str, request: Request, services: ServicesOf, caller: CallerOf
) -> StatusInfo:
    """Cancel the job; one that has come to its end is removed, with its results. With a batch go
    its jobs."""
    with services.database.writing() as session:
        jobs = JobRepository(session)
        job = found(jobs.get(job_id, caller.scope), job_id)
        cancelled = jobs.cancel(job_id)
        removed = _reached(services, session, job, ended=cancelled is None)
        if job.owner != caller.key_id:
            action = "job removed" if cancelled is None else "job dismissed"
            AuditLog(session).note(caller.name, action, job_id, owner=job.owner)
    for each in removed:
        services.storage.keep_only(each, None)
    if job.batch is not None:
        with services.database.writing() as session:
            BatchRepository(session).sum_up(job.batch)
    return status_info(job, request).model_copy(update={"status": State.DISMISSED, "links": []})


def _reached(services: Services, session: Session, job: Job, *, ended: bool) -> list[str]:
    """Does to the jobs of a batch what is done to it; returns those that were removed, itself
    included if it had come to its end."""
    jobs = JobRepository(session)
    children = BatchRepository(session).jobs(job) if job.process == BATCH else []
    if not ended:
        for child in children:
            jobs.cancel(child.id)
        return []
    removed = [job.id, *(child.id for child in children if child.state in FINAL)]
    for each in removed:
        services.storage.mark_removed(each)
        jobs.remove(each)
    return removed


def found(job: Job | None, job_id: str) -> Job:
    """The job, or `NoSuchJob` where it does not exist for the caller."""
    if job is None:
        raise NoSuchJob(f"no job {job_id!r}", job=job_id)
    return job


def status_info(job: Job, request: Request) -> StatusInfo:
    """The job as OGC API - Processes tells it."""
    return StatusInfo(
        jobID=job.id,
        id=job.id,
        processID=job.process,
        status=job.state,
        message=job.message,
        progress=job.progress,
        secondsLeft=None if job.seconds_left is None else math.ceil(job.seconds_left),
        device=job.device,
        estimate=None if job.estimate is None else JobEstimate(**job.estimate),
        batch=job.batch,
        reused=job.reused,
        created=moment(job.created),
        started=moment(job.started) if job.started is not None else None,
        finished=moment(job.finished) if job.finished is not None else None,
        updated=moment(job.updated),
        expires=_expires(job, request),
        inputs={name: value for name, value in job.inputs.items() if name not in _HOW_TOLD},
        exception=_exception(job),
        remarks=[*(job.remarks or []), *(job.drift["remarks"] if job.drift else [])],
        links=_links(job, request),
    )


def _expires(job: Job, request: Request) -> datetime | None:
    keep_days = request.app.state.services.settings.keep_days
    if not keep_days or job.finished is None:
        return None
    return moment(job.finished + keep_days * _DAY_S)


def _exception(job: Job) -> dict[str, Any] | None:
    if job.state is not State.FAILED or job.error is None:
        return None
    told = {"title": "Job failed", "detail": job.error["message"]}
    return {"type": "about:blank", **told, "code": job.error["code"], "params": job.error["params"]}


def _links(job: Job, request: Request) -> list[Link]:
    own = request.url_for("job_status", job_id=job.id)
    links = [Link(href=str(own), rel="self", type="application/json")]
    if job.process == BATCH:
        each = URL(str(request.url_for("list_jobs"))).include_query_params(batch=job.id)
        links.append(Link(href=str(each), rel="item", type="application/json"))
    if job.state in (State.SUCCESSFUL, State.FAILED):
        word = "results" if job.state is State.SUCCESSFUL else "exceptions"
        results = request.url_for("job_results", job_id=job.id)
        links.append(Link(href=str(results), rel=_REL + word, type="application/json"))
    return links
