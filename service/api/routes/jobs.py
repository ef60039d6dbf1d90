"""`/jobs`: how far they are, and stopping them."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from mfnet.service.api.auth import CallerOf
from mfnet.service.api.datetime_parameter import Interval, interval
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import State
from mfnet.service.errors import NoSuchJob
from mfnet.service.schemas.jobs import JobList, Link, StatusInfo, moment

router = APIRouter(prefix="/jobs", tags=["jobs"])

_REL = "http://www.opengis.net/def/rel/ogc/1.0/"

Limit = Annotated[int, Query(ge=1, le=1000)]
States = Annotated[list[State], Query(alias="status", description="only jobs in one of these")]
Processes = Annotated[
    list[str], Query(alias="processID", description="only jobs of one of these processes")
]
Created = Annotated[
    str | None,
    Query(
        alias="datetime",
        description="only jobs created then: an instant, or START/END, where "
        "one may be `..`; RFC 3339",
    ),
]
After = Annotated[str | None, Query(description="id of the last job of the page before")]


@router.get("")
def list_jobs(
    request: Request,
    services: ServicesOf,
    caller: CallerOf,
    limit: Limit = 10,
    status: States = [],  # noqa: B006 - FastAPI copies it
    process: Processes = [],  # noqa: B006
    created: Created = None,
    after: After = None,
) -> JobList:
    """Your jobs, newest first."""
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
        )
    links = [Link(href=str(request.url), rel="self", type="application/json")]
    if len(jobs) > limit:
        following = request.url.include_query_params(after=jobs[limit - 1].id)
        links.append(Link(href=str(following), rel="next", type="application/json"))
    return JobList(jobs=[status_info(job, request) for job in jobs[:limit]], links=links)


@router.get("/{job_id}")
def job_status(job_id: str, request: Request, services: ServicesOf, caller: CallerOf) -> StatusInfo:
    """Status, progress from 0 to 100, and where the results are once there are any."""
    with services.database.reading() as session:
        job = JobRepository(session).get(job_id, caller.scope)
    return status_info(found(job, job_id), request)


@router.delete("/{job_id}")
def dismiss_job(
    job_id: str, request: Request, services: ServicesOf, caller: CallerOf
) -> StatusInfo:
    """Cancel the job; one that has come to its end is removed, with its results."""
    with services.database.writing() as session:
        jobs = JobRepository(session)
        job = found(jobs.get(job_id, caller.scope), job_id)
        cancelled = jobs.cancel(job_id)
        if cancelled is None:
            jobs.remove(job_id)
    if cancelled is None:
        services.storage.keep_only(job_id, None)
    return status_info(job, request).model_copy(update={"status": State.DISMISSED, "links": []})


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
        created=moment(job.created),
        started=moment(job.started) if job.started is not None else None,
        finished=moment(job.finished) if job.finished is not None else None,
        updated=moment(job.updated),
        exception=_exception(job),
        remarks=[*(job.remarks or []), *(job.drift["remarks"] if job.drift else [])],
        links=_links(job, request),
    )


def _exception(job: Job) -> dict[str, Any] | None:
    if job.state is not State.FAILED or job.error is None:
        return None
    told = {"title": "Job failed", "detail": job.error["message"]}
    return {"type": "about:blank", **told, "code": job.error["code"], "params": job.error["params"]}


def _links(job: Job, request: Request) -> list[Link]:
    own = request.url_for("job_status", job_id=job.id)
    links = [Link(href=str(own), rel="self", type="application/json")]
    if job.state in (State.SUCCESSFUL, State.FAILED):
        word = "results" if job.state is State.SUCCESSFUL else "exceptions"
        results = request.url_for("job_results", job_id=job.id)
        links.append(Link(href=str(results), rel=_REL + word, type="application/json"))
    return links
