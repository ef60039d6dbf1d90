"""From a user's correction of a map to a labelled tile: the job, its rasters, the labels, by whom.

The label raster is made by a child process, fenced in (`mfnet correct`), and lies on the map's
grid whatever was sent. What was sent may be removed afterwards; the job, too. The rasters that the
map was made of may not: labels without them teach nothing.
"""

import hashlib
import json
import shutil
import uuid
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mfnet.service.db.repositories.audit import AuditLog
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.tiles import TileRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.tables import Job, Tile, Upload
from mfnet.service.domain.job import RETRAIN, SEGMENT, State
from mfnet.service.domain.job_uploads import RASTERS, derives_terrain, uploads_of
from mfnet.service.domain.reading_inputs import reading_of
from mfnet.service.errors import (
    NoSuchJob,
    NoSuchTile,
    NoSuchUpload,
    NotCorrectable,
    RastersGone,
    Refused,
    StorageFull,
    TileInUse,
)
from mfnet.service.files.sync import sync
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.schemas.tiles import Correction

_UNFINISHED = (State.ACCEPTED, State.RUNNING)
_MANY = 10_000


def correct(services: Services, caller: Caller, job_id: str, correction: Correction) -> Tile:
    """A new labelled tile, or the one that the same correction of the job made before.

    Raises:
        NoSuchJob, NoSuchUpload: Not there, or not the caller's.
        NotCorrectable: The job has no map.
        RastersGone: An upload that the map was made of was removed.
        Refused: The correction is at fault.
        StorageFull: No room for the labels.
    """
    with services.database.reading() as session:
        job = _job(session, caller, job_id)
        labels = _labels(session, caller, correction.labels)
        rasters = _rasters(session, job)
        asked = correction.model_dump() | {"labels": labels.sha256}
        sha256 = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        if (before := TileRepository(session).corrected(job_id, sha256)) is not None:
            return before
    tile_id = uuid.uuid4().hex
    try:
        made = _make(services, tile_id, job, labels, correction)
        told = {**made, "request_sha256": sha256}
        told["provenance"] = _provenance(caller, job, labels, rasters, asked)
        with services.database.writing() as session:
            return TileRepository(session).add(tile_id, job.owner, **told, **_columns(job, rasters))
    except IntegrityError:
        services.storage.remove_tile(tile_id)
        return _twin(services, job, sha256)
    except BaseException:
        services.storage.remove_tile(tile_id)
        raise


def remove(services: Services, caller: Caller, tile_id: str) -> None:
    """Forget a tile; models that learned from it stay as they are.

    Raises:
        NoSuchTile: Not there, or not the caller's.
        TileInUse: A retraining that is not finished takes it.
    """
    with services.database.writing() as session:
        tiles = TileRepository(session)
        tile = found(tiles.get(tile_id, caller.scope), tile_id)
        taking = JobRepository(session).page(limit=_MANY, states=_UNFINISHED, processes=[RETRAIN])
        for job in taking:
            if tile_id in (job.inputs.get("tiles") or ()):
                raise TileInUse(f"job {job.id} learns from the tile; dismiss it first", job=job.id)
        tiles.remove(tile_id)
        if tile.owner != caller.key_id:
            AuditLog(session).note(caller.name, "tile removed", tile_id, owner=tile.owner)
    services.storage.remove_tile(tile_id)


def found(tile: Tile | None, tile_id: str) -> Tile:
    """The tile, or `NoSuchTile` where it does not exist for the caller."""
    if tile is None:
        raise NoSuchTile(f"no labelled tile {tile_id!r}", tile=tile_id)
    return tile


# ---- what there must be ----------------------------------------------------------------------


def _job(session: Session, caller: Caller, job_id: str) -> Job:
    job = JobRepository(session).get(job_id, caller.scope)
    if job is None:
        raise NoSuchJob(f"no job {job_id!r}", job=job_id)
    if job.process != SEGMENT or job.result_epoch is None:
        raise NotCorrectable(
            f"job {job_id} ({job.process}) is {job.state}; expected a segmentation that is "
            "successful: only a map can be corrected",
            job=job_id,
            status=job.state,
        )
    if job.inputs.get("height") is None:
        raise NotCorrectable(
            f"job {job_id} was mapped without heights; expected a map of an orthophoto and its "
            "heights: models learn from both",
            job=job_id,
        )
    return job


def _labels(session: Session, caller: Caller, ref: str) -> Upload:
    uploads = UploadRepository(session)
    upload = uploads.get(ref, caller.scope) or uploads.named(caller.key_id, ref)
    if upload is None:
        raise NoSuchUpload(
            f"labels: no upload {ref!r}; send the file first: PUT /uploads/NAME", upload=ref
        )
    return upload


def _rasters(session: Session, job: Job) -> dict[str, Upload]:
    """The uploads that the map was made of, by role."""
    uploads = UploadRepository(session)
    known = {}
    for role, ref in uploads_of(job.inputs, RASTERS).items():
        upload = uploads.get(ref)
        if upload is None:
            raise _gone(job, role)
        if upload.report.get("tiles"):
            raise NotCorrectable(
                f"the {role} of job {job.id} is in tiles; expected single files: models learn of "
                "these alone (gdalbuildvrt and gdal_translate make one)",
                job=job.id,
                input=role,
            )
        known[role] = upload
    return known


# ---- the tile --------------------------------------------------------------------------------


def _make(
    services: Services, tile_id: str, job: Job, labels: Upload, correction: Correction
) -> dict[str, Any]:
    """Writes the label raster; returns what was corrected, and its sha256."""
    storage = services.storage
    assert job.result_epoch is not None
    out = storage.labels(tile_id)
    out.parent.mkdir(parents=True)
    try:
        report = services.inspector.correction(
            storage.results_here(job.id, job.result_epoch),
            storage.upload_here(labels.id),
            out,
            correction.model_dump(),
            {labels.id: labels.name},
        )
    except Refused as refused:
        if refused.code == "output.disk_full":
            raise StorageFull(f"no room for the labels of tile {tile_id}") from refused
        raise
    if derives_terrain(job.inputs):
        _keep_terrain(services, tile_id, job)
    sync(out.parent)  # the files themselves were, by whoever wrote them
    sync(out.parent.parent)
    storage.share(out.parent)
    with out.open("rb") as file:
        return {"report": report, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _keep_terrain(services: Services, tile_id: str, job: Job) -> None:
    """The terrain that was derived for the map: the tile outlives the job."""
    assert job.result_epoch is not None
    kept = services.storage.derived_terrain(tile_id)
    try:
        shutil.copyfile(
            services.storage.here(services.storage.folder(job.id, job.result_epoch) / kept.name),
            kept,
        )
    except FileNotFoundError:
        raise _gone(job, "dtm") from None
    sync(kept)


def _columns(job: Job, rasters: dict[str, Upload]) -> dict[str, Any]:
    ids = {role: upload.id for role, upload in rasters.items()}
    return {"job_id": job.id, "white": job.inputs.get("white"), **ids}


def _provenance(
    caller: Caller,
    job: Job,
    labels: Upload,
    rasters: dict[str, Upload],
    asked: dict[str, Any],
) -> dict[str, Any]:
    files = {**rasters, "labels": labels}
    return {
        "job": job.id,
        "model": job.inputs["model"],
        "model_sha256": job.inputs.get("model_sha256"),
        "corrected_by": caller.name,
        "options": {name: value for name, value in asked.items() if name != "labels"},
        "reading": reading_of(job.inputs),
        "files": {
            role: {"upload": upload.id, "name": upload.name, "sha256": upload.sha256}
            for role, upload in files.items()
        },
    }


def _twin(services: Services, job: Job, sha256: str) -> Tile:
    """Why the row could not be kept: the same came twice at once, or a raster is gone by now."""
    with services.database.reading() as session:
        twin = TileRepository(session).corrected(job.id, sha256)
        if twin is None:
            _rasters(session, job)
            raise _gone(job, "ortho")
        return twin


def _gone(job: Job, role: str) -> RastersGone:
    return RastersGone(
        f"the upload of the {role} of job {job.id} was removed; send the rasters again, and "
        "correct the map of a new job",
        job=job.id,
        input=role,
    )
