"""`/jobs/{id}/results`: the files of a job that was successful."""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse

from mfnet.service.api.auth import CallerOf
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.api.process_descriptions import media_type
from mfnet.service.api.routes.jobs import found
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import State
from mfnet.service.errors import JobBroken, JobFailed, NoSuchResult, ResultGone, ResultNotReady
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.schemas.jobs import Link

router = APIRouter(prefix="/jobs/{job_id}/results", tags=["results"])


@router.get("", response_model_exclude_none=True)
def job_results(
    job_id: str, request: Request, services: ServicesOf, caller: CallerOf
) -> dict[str, Link]:
    """Where each result is, by its file name."""
    return {
        name: Link(
            href=str(request.url_for("job_result", job_id=job_id, name=name)),
            type=media_type(name),
        )
        for name in sorted(_files(job_id, services, caller))
    }


@router.get("/{name}", response_class=FileResponse)
def job_result(job_id: str, name: str, services: ServicesOf, caller: CallerOf) -> FileResponse:
    """A file, whole or in ranges."""
    files = _files(job_id, services, caller)
    if name not in files:
        raise NoSuchResult(f"no result {name!r}; there are: {', '.join(sorted(files))}", name=name)
    return FileResponse(files[name], media_type=media_type(name), filename=name)


def _files(job_id: str, services: Services, caller: Caller) -> dict[str, Path]:
    """The results by name.

    Raises:
        NoSuchJob: Not there, or not the caller's.
        ResultNotReady, ResultGone, JobFailed, JobBroken: There are none.
        NoSuchResult: They were removed since their row was read.
    """
    with services.database.reading() as session:
        job = found(JobRepository(session).get(job_id, caller.scope), job_id)
    epoch = _result_epoch(job)
    try:
        return {path.name: path for path in services.storage.folder(job_id, epoch).iterdir()}
    except FileNotFoundError:
        raise NoSuchResult(f"the results of job {job_id} are no longer there", job=job_id) from None


def _result_epoch(job: Job) -> int:
    if job.result_epoch is not None:
        return job.result_epoch
    if job.state is State.FAILED and job.error is not None:
        kind = JobFailed if job.error["input_fault"] else JobBroken
        raise kind(job.error["code"], job.error["message"], **job.error["params"])
    if job.state is State.DISMISSED:
        raise ResultGone(f"job {job.id} was dismissed", job=job.id)
    raise ResultNotReady(
        f"job {job.id} is {job.state}, {job.progress} %; ask again when it is successful",
        status=job.state,
        progress=job.progress,
    )
