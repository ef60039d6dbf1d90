"""`/jobs/{id}/results`: the files of a job that was successful."""

import json
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, StreamingResponse

from mfnet.service.api.answers.data_file import DataFile
from mfnet.service.api.answers.kept_file import KeptFile
from mfnet.service.api.answers.zip_stream import zip_stream
from mfnet.service.api.auth import CallerOf
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.api.documents.process_descriptions import is_sidecar, media_type, output_of
from mfnet.service.api.middleware import AS_HEAD
from mfnet.service.api.routes.job.jobs import found
from mfnet.service.db.repositories.batches import BatchRepository
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import BATCH, ECHO, State
from mfnet.service.errors import JobBroken, JobFailed, NoSuchResult, ResultGone, ResultNotReady
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.schemas.jobs import InlineOutput, Link

router = APIRouter(prefix="/jobs/{job_id}", tags=["results"])

_ZIP = "application/zip"
_LINK_S = 3600.0


@router.get(
    "/results",
    response_model=dict[str, Link | InlineOutput | str],
    response_model_exclude_none=True,
)
def job_results(job_id: str, request: Request, services: ServicesOf, caller: CallerOf) -> Any:
    """Each result by its name: where it is, or itself where the request chose that.

    The only output that a request with `"response": "raw"` has chosen is the answer itself.
    """
    job = _successful(job_id, services, caller)
    chosen = job.inputs.get("outputs")
    if job.process == ECHO:
        return echoed(job.inputs["message"], job.inputs.get("response", "document"), chosen)
    if job.process == BATCH:
        document = results_document(job, services, request)
        raw = job.inputs.get("response") == "raw" and chosen is not None and len(chosen) == 1
        return JSONResponse(document["jobs"]["value"]) if raw else document
    files = _files(job, services)
    names = _named(files, chosen)
    plain = [name for name in names if not is_sidecar(name)]
    if job.inputs.get("response") == "raw" and chosen is not None and len(plain) == 1:
        return _file(request, services, files[plain[0]])
    return results_document(job, services, request)


@router.get(
    "/results.zip",
    response_class=StreamingResponse,
    responses={200: {"description": "The zip", "content": {_ZIP: {}}}},
)
def job_archive(job_id: str, request: Request, services: ServicesOf, caller: CallerOf) -> Response:
    """All results in one zip, made while it is sent: its size is not known before."""
    job = _successful(job_id, services, caller)
    if job.process in (BATCH, ECHO):
        raise _no_files(job, "results.zip")
    files = _files(job, services)
    told = {"Content-Disposition": f'attachment; filename="{job.id[:8]}.zip"'}
    if request.scope.get(AS_HEAD):
        return Response(media_type=_ZIP, headers=told)
    chosen = {name: files[name] for name in _named(files, job.inputs.get("outputs"))}
    zipped = zip_stream(chosen, services.storage.here)
    return StreamingResponse(zipped, media_type=_ZIP, headers=told)


@router.get("/results/{name}", response_class=FileResponse)
def job_result(
    job_id: str, name: str, request: Request, services: ServicesOf, caller: CallerOf
) -> Response:
    """A file, whole or in ranges."""
    job = _successful(job_id, services, caller)
    if job.process in (BATCH, ECHO):
        raise _no_files(job, name)
    files = _files(job, services)
    if name not in files:
        raise NoSuchResult(f"no result {name!r}; there are: {', '.join(sorted(files))}", name=name)
    return _file(request, services, files[name])


def results_document(job: Job, services: Services, request: Request) -> dict[str, Any]:
    """Each result of a successful job by its name."""
    if job.process == ECHO:
        return {"message": job.inputs["message"]}
    if job.process == BATCH:
        value = _of_batch(job, services, request)
        return {"jobs": {"value": value, "mediaType": "application/json"}}
    chosen, files = job.inputs.get("outputs"), _files(job, services)
    told: dict[str, Link | InlineOutput] = {}
    for name in _named(files, chosen):
        if chosen and chosen[output_of(name)] == "value":
            value = json.loads(services.storage.here(files[name]).read_bytes())
            told[name] = InlineOutput(value=value, mediaType=media_type(name))
        else:
            href = str(request.url_for("job_result", job_id=job.id, name=name))
            told[name] = Link(href=href, type=media_type(name))
    return {name: each.model_dump(exclude_none=True) for name, each in told.items()}


def echoed(message: str, response: str, chosen: dict[str, str | None] | None) -> Response:
    """The results of an echo: the message itself, or a document that holds it."""
    if chosen == {}:
        return Response(status_code=204)
    if response == "raw":
        return Response(message, media_type="text/plain")
    return JSONResponse({"message": message})


def _named(files: dict[str, Path], chosen: dict[str, str | None] | None) -> list[str]:
    """The files that the results name."""
    return [name for name in sorted(files) if chosen is None or output_of(name) in chosen]


def _no_files(job: Job, name: str) -> NoSuchResult:
    told = f"a job of {job.process} has no files: what it gives stands in its results"
    return NoSuchResult(told, name=name)


def _of_batch(job: Job, services: Services, request: Request) -> list[dict[str, Any]]:
    """Each job of a batch that is still there."""
    with services.database.reading() as session:
        jobs = BatchRepository(session).jobs(job)
    return [
        {
            "id": each.id,
            "status": each.state,
            "message": each.message,
            "href": str(request.url_for("job_results", job_id=each.id)),
        }
        for each in jobs
    ]


def _file(request: Request, services: Services, path: Path) -> Response:
    told = {"media_type": media_type(path.name), "filename": path.name}
    store = services.storage.store
    if not store.is_remote:
        return DataFile(path, **told)
    # A link is signed for GET alone.
    if services.settings.storage_links and not request.scope.get(AS_HEAD):
        link = store.link(path, _LINK_S)
        if link is not None:
            return RedirectResponse(link, 307, {"Cache-Control": "no-store"})
    return KeptFile(store, path, **told)


def _successful(job_id: str, services: Services, caller: Caller) -> Job:
    """The job, which has results.

    Raises:
        NoSuchJob: Not there, or not the caller's.
        ResultNotReady, ResultGone, JobFailed, JobBroken: There are none.
    """
    with services.database.reading() as session:
        job = found(JobRepository(session).get(job_id, caller.scope), job_id)
    if (job.process, job.state) != (BATCH, State.SUCCESSFUL):  # which has no files of its own
        _result_epoch(job)
    return job


def _files(job: Job, services: Services) -> dict[str, Path]:
    """The results by name; `NoSuchResult` where they were removed since the row was read."""
    folder = services.storage.folder(job.id, _result_epoch(job))
    names = services.storage.result_names(job.id, _result_epoch(job))
    if not names:
        raise NoSuchResult(f"the results of job {job.id} are no longer there", job=job.id)
    return {name: folder / name for name in names}


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
