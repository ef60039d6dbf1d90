"""Pictures for a screen: a job's rasters and its map, with what it says at a pixel; an upload's."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse
from starlette.datastructures import URL

from mfnet.service.api.answers.data_file import DataFile
from mfnet.service.api.auth import CallerOf
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.api.routes.job.jobs import found
from mfnet.service.api.routes.upload import uploads
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.tables import Job, Upload
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.operations.pictures import job_pictures, row_preview, upload_pictures
from mfnet.service.operations.pictures.kept_pictures import KNOWN
from mfnet.service.schemas.pictures import Pictures, Pixel, Preview, Strip

router = APIRouter(tags=["pictures"])

Index = Annotated[int, Query(ge=0, le=2**31)]
_TYPES = {"jpg": "image/jpeg", "png": "image/png"}


@router.get("/jobs/{job_id}/pictures")
def job_pictures_index(
    job_id: str, request: Request, services: ServicesOf, caller: CallerOf
) -> Pictures:
    """The pictures that there are; the first request draws them, which takes seconds."""
    told = job_pictures.draw(services, _job(job_id, services, caller))
    return _listed(told, lambda name: request.url_for("job_picture", job_id=job_id, name=name))


@router.get("/jobs/{job_id}/pictures/{name}", response_class=FileResponse)
def job_picture(job_id: str, name: str, services: ServicesOf, caller: CallerOf) -> DataFile:
    """A picture, JPEG or PNG, that `/pictures` names."""
    return _sent(job_pictures.find(services, _job(job_id, services, caller), name))


@router.get("/jobs/{job_id}/preview")
def job_preview(job_id: str, request: Request, services: ServicesOf, caller: CallerOf) -> Preview:
    """The finished rows of a map that is still computed; none of a finished one."""
    strips = row_preview.strips(services, _job(job_id, services, caller))
    return Preview(
        strips=[
            Strip(
                first_row=strip.first_row,
                rows=strip.rows,
                href=str(request.url_for("job_preview_strip", job_id=job_id, name=strip.name)),
            )
            for strip in strips
        ]
    )


@router.get("/jobs/{job_id}/preview/{name}", response_class=FileResponse)
def job_preview_strip(job_id: str, name: str, services: ServicesOf, caller: CallerOf) -> DataFile:
    """A strip, PNG, that `/preview` names."""
    return _sent(row_preview.find(services, _job(job_id, services, caller), name))


@router.get("/jobs/{job_id}/pixel")
def job_pixel(
    job_id: str, row: Index, column: Index, services: ServicesOf, caller: CallerOf
) -> Pixel:
    """Class, confidence and height at a pixel of the pictures."""
    job = _job(job_id, services, caller)
    return Pixel(**job_pictures.at(services, job, row, column)._asdict())


@router.get("/uploads/{upload_id}/pictures")
def upload_pictures_index(
    upload_id: str, request: Request, services: ServicesOf, caller: CallerOf
) -> Pictures:
    """The picture of an orthophoto; the first request draws it, which takes seconds."""
    told = upload_pictures.draw(services, _upload(upload_id, services, caller))
    return _listed(
        told, lambda name: request.url_for("upload_picture", upload_id=upload_id, name=name)
    )


@router.get("/uploads/{upload_id}/pictures/{name}", response_class=FileResponse)
def upload_picture(upload_id: str, name: str, services: ServicesOf, caller: CallerOf) -> DataFile:
    """A picture, JPEG, that `/pictures` names."""
    return _sent(upload_pictures.find(services, _upload(upload_id, services, caller), name))


def _listed(told: dict[str, Any], address: Callable[[str], URL]) -> Pictures:
    return Pictures(
        rows=told["rows"],
        columns=told["columns"],
        step=told["step"],
        top_m=told["top_m"],
        pictures={
            name.partition(".")[0]: str(address(name))
            for name in told["files"]
            if name.rpartition(".")[2] in _TYPES and name != KNOWN
        },
    )


def _sent(path: Path) -> DataFile:
    return DataFile(path, media_type=_TYPES[path.suffix[1:]], filename=path.name)


def _upload(upload_id: str, services: Services, caller: Caller) -> Upload:
    with services.database.reading() as session:
        return uploads.found(UploadRepository(session).get(upload_id, caller.scope), upload_id)


def _job(job_id: str, services: Services, caller: Caller) -> Job:
    with services.database.reading() as session:
        return found(JobRepository(session).get(job_id, caller.scope), job_id)
