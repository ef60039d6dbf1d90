"""Submits a segmentation: finds the uploads, inspects the pair, stores the job, notifies."""

import hashlib
from typing import Any

from pydantic import BaseModel
from sqlalchemy.orm import Session

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.tables import Job, Model, Upload
from mfnet.service.domain.job import SEGMENT
from mfnet.service.domain.model_version import Ref
from mfnet.service.domain.reading_inputs import reading_of
from mfnet.service.errors import IdempotencyMismatch, NoSuchModel, NoSuchUpload, Refused
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.schemas.jobs import SegmentInputs


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
    request = Request(caller, SEGMENT, inputs, idempotency_key)
    if (first := request.first(services)) is not None:
        return first
    with services.database.reading() as session:
        rasters = _rasters(session, caller, inputs)
    model = find_model(services, inputs.model)
    report = _inspect(services, rasters, model, reading_of(inputs.model_dump()))
    kept = inputs.model_dump(exclude_none=True) | {
        role: upload.id for role, upload in rasters.items()
    }
    return request.accept(services, kept, model, remarks=report["remarks"], drift=_drift(report))


class Request:
    """A request to run a process.

    Args:
        caller: Whose.
        process: Which.
        inputs: As they were sent.
        idempotency_key: The caller's name for it, where there is one.
    """

    def __init__(
        self, caller: Caller, process: str, inputs: BaseModel, idempotency_key: str | None
    ) -> None:
        self._caller = caller
        self._process = process
        self._key = idempotency_key
        self._sha256 = hashlib.sha256(inputs.model_dump_json().encode()).hexdigest()

    def first(self, services: Services) -> Job | None:
        """The job that an earlier request with the same key made, if it had the same inputs.

        Raises:
            IdempotencyMismatch: It had others.
        """
        if self._key is None:
            return None
        with services.database.reading() as session:
            first = JobRepository(session).submitted(self._caller.key_id, self._key)
        return None if first is None else self._repeated(first)

    def accept(
        self,
        services: Services,
        kept: dict[str, Any],
        model: Model,
        *,
        remarks: list[dict[str, Any]] | None = None,
        drift: dict[str, Any] | None = None,
    ) -> Job:
        """Stores the job, and notifies the workers.

        Args:
            services: Of the API.
            kept: The inputs, checked.
            model: The version that the job keeps, whatever is promoted meanwhile.
            remarks: On how the inputs are read, and what is odd about them.
            drift: How the inputs differ from what it has seen, if they do.

        Raises:
            IdempotencyMismatch: Another request with the same key came at the same time.
        """
        kept = kept | {"model": f"{model.name}@{model.version}", "model_sha256": model.sha256}
        with services.database.writing() as session:
            job, new = JobRepository(session).submit(
                self._caller.key_id,
                self._process,
                kept,
                self._key,
                self._sha256,
                remarks=remarks,
                drift=drift,
            )
        if not new:  # the same request came twice at once
            return self._repeated(job)
        services.notifier.notify(job.id, self._process)
        return job

    def _repeated(self, first: Job) -> Job:
        if (first.process, first.request_sha256) != (self._process, self._sha256):
            raise IdempotencyMismatch(
                f"Idempotency-Key {first.idempotency_key!r} came before with other inputs; "
                "use a new key",
                job=first.id,
            )
        return first


def find_model(services: Services, ref: str) -> Model:
    """The version that a caller means, now.

    Raises:
        Refused: There is none.
    """
    try:
        return services.registry.find(Ref.read(ref))
    except NoSuchModel as error:
        raise Refused(error.code, error.message, **error.params) from error


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


def _inspect(
    services: Services, rasters: dict[str, Upload], model: Model, reading: dict[str, Any]
) -> dict[str, Any]:
    paths = {role: services.storage.upload(upload.id) for role, upload in rasters.items()}
    file = services.storage.models.path(model.sha256)
    names = {upload.id: upload.name for upload in rasters.values()}
    names |= {str(file): model.name, file.name: model.name}
    return services.inspector.pair(
        paths["ortho"], paths["height"], paths.get("dtm"), str(file), reading, names
    )


def _drift(report: dict[str, Any]) -> dict[str, Any] | None:
    """How the pair differs from what the model has seen, if it does."""
    found: dict[str, Any] | None = report.get("drift")
    return found if found and found["remarks"] else None
