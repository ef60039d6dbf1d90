"""From a request to a job: the uploads found, the pair looked at, the job kept, the bell rung."""

from sqlalchemy.orm import Session

from service.auth import Caller
from service.errors import IdempotencyMismatch, NoSuchUpload
from service.processes import SEGMENT
from service.repository.jobs import JobRepository
from service.repository.uploads import UploadRepository
from service.schemas import SegmentInputs
from service.services import Services
from service.tables import Job, Upload


def submit(
    services: Services, caller: Caller, inputs: SegmentInputs, idempotency_key: str | None
) -> Job:
    """A new job, or the one that an earlier request with the same key made.

    Raises:
        NoSuchUpload: An input names no upload that the caller may see.
        Refused: The pair or the model is at fault; no GPU has been touched.
        IdempotencyMismatch: The earlier request had other inputs.
    """
    with services.database.reading() as session:
        rasters = _rasters(session, caller, inputs)
    _inspect(services, rasters, inputs.model)
    kept = inputs.model_dump(exclude_none=True) | {
        role: upload.id for role, upload in rasters.items()
    }
    with services.database.writing() as session:
        job, new = JobRepository(session).submit(caller.key_id, SEGMENT, kept, idempotency_key)
    if job.inputs != kept:
        raise IdempotencyMismatch(
            f"Idempotency-Key {idempotency_key!r} came before with other inputs; use a new key",
            job=job.id,
        )
    if new:
        services.doorbell.ring(job.id)
    return job


def _rasters(session: Session, caller: Caller, inputs: SegmentInputs) -> dict[str, Upload]:
    """The uploads that the inputs name, by role."""
    named = {"ortho": inputs.ortho, "height": inputs.height, "dtm": inputs.dtm}
    uploads = UploadRepository(session)
    found = {}
    for role, ref in named.items():
        if ref is None:
            continue
        upload = uploads.get(ref, caller.scope) or uploads.named(caller.key_id, ref)
        if upload is None:
            raise NoSuchUpload(
                f"inputs.{role}: no upload {ref!r}; send the file first: PUT /uploads/NAME",
                role=role,
                upload=ref,
            )
        found[role] = upload
    return found


def _inspect(services: Services, rasters: dict[str, Upload], model: str) -> None:
    paths = {role: services.storage.upload(upload.id) for role, upload in rasters.items()}
    names = {upload.id: upload.name for upload in rasters.values()}
    services.inspector.pair(paths["ortho"], paths["height"], paths.get("dtm"), model, names)
