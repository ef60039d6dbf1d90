"""From a request to a job: the uploads found, the pair looked at, the job kept, the bell rung."""

import hashlib

from sqlalchemy.orm import Session

from service.auth import Caller
from service.errors import IdempotencyMismatch, NoSuchModel, NoSuchUpload, Refused
from service.models import Ref
from service.processes import SEGMENT
from service.repository.jobs import JobRepository
from service.repository.uploads import UploadRepository
from service.schemas import SegmentInputs
from service.services import Services
from service.tables import Job, Model, Upload


def submit(
    services: Services, caller: Caller, inputs: SegmentInputs, idempotency_key: str | None
) -> Job:
    """A new job, or the one that an earlier request with the same key made.

    Raises:
        NoSuchUpload: An input names no upload that the caller may see.
        Refused: The pair or the model is at fault; no GPU has been touched.
        IdempotencyMismatch: The earlier request had other inputs.
    """
    # The names of uploads as they were sent: a newer file of that name is no other request.
    sha256 = hashlib.sha256(inputs.model_dump_json().encode()).hexdigest()
    with services.database.reading() as session:
        if idempotency_key is not None and (
            first := JobRepository(session).submitted(caller.key_id, idempotency_key)
        ):
            return _repeated(first, sha256)
        rasters = _rasters(session, caller, inputs)
    model = _model(services, inputs.model)
    _inspect(services, rasters, model)
    kept = inputs.model_dump(exclude_none=True) | {
        role: upload.id for role, upload in rasters.items()
    }
    kept |= {"model": f"{model.name}@{model.version}", "model_sha256": model.sha256}
    with services.database.writing() as session:
        job, new = JobRepository(session).submit(
            caller.key_id, SEGMENT, kept, idempotency_key, sha256
        )
    if not new:  # the same request came twice at once
        return _repeated(job, sha256)
    services.doorbell.ring(job.id)
    return job


def _repeated(first: Job, sha256: str) -> Job:
    """The job of the first request with this idempotency key, if that had the same inputs."""
    if first.request_sha256 != sha256:
        raise IdempotencyMismatch(
            f"Idempotency-Key {first.idempotency_key!r} came before with other inputs; "
            "use a new key",
            job=first.id,
        )
    return first


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


def _model(services: Services, ref: str) -> Model:
    """The version that is meant now; the job keeps it, whatever is promoted meanwhile."""
    try:
        return services.registry.find(Ref.read(ref))
    except NoSuchModel as error:
        raise Refused(error.code, error.message, **error.params) from error


def _inspect(services: Services, rasters: dict[str, Upload], model: Model) -> None:
    paths = {role: services.storage.upload(upload.id) for role, upload in rasters.items()}
    file = services.storage.models.path(model.sha256)
    names = {upload.id: upload.name for upload in rasters.values()}
    names |= {str(file): model.name, file.name: model.name}
    services.inspector.pair(paths["ortho"], paths["height"], paths.get("dtm"), str(file), names)
