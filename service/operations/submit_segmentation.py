"""Submits a segmentation: finds the uploads, inspects the pair, stores the job, notifies."""

import hashlib
import json
import logging
from typing import Any, NamedTuple

from pydantic import BaseModel
from sqlalchemy.orm import Session

from mfnet.service.db.repositories.audit import AuditLog
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.tables import Job, Model, Upload
from mfnet.service.domain.job import RETRAIN, SEGMENT, State
from mfnet.service.domain.job_uploads import uploads_of
from mfnet.service.domain.model_version import Ref
from mfnet.service.domain.reading_inputs import inspection_options
from mfnet.service.errors import (
    IdempotencyMismatch,
    NoSuchModel,
    OtherModel,
    Refused,
    UploadNotFound,
)
from mfnet.service.files import tile_folders
from mfnet.service.operations.callbacks import new_secret
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.operations.reused_results import Reused, result_key, take_over
from mfnet.service.operations.room_for_job import check_room, needed
from mfnet.service.operations.uploads import quotas, tiled_upload
from mfnet.service.runtime import tracing
from mfnet.service.schemas.jobs import SegmentInputs

_log = logging.getLogger(__name__)


def submit(
    services: Services,
    caller: Caller,
    inputs: SegmentInputs,
    idempotency_key: str | None,
    chosen: dict[str, Any] | None = None,
    *,
    reuse: bool = True,
) -> Job:
    """A new job, or the one that an earlier request with the same key made.

    Args:
        services: Of the API.
        caller: Whose job.
        inputs: As they were sent.
        idempotency_key: The caller's name for the request, where there is one.
        chosen: `outputs` and `response` of the request, which the results look at.
        reuse: Results of a job of the same inputs are taken over, if there is one.

    Raises:
        UploadNotFound: An input names no upload that the caller may see.
        Refused: The pair or the model is at fault; no GPU has been touched.
        TooLittleMemory, TooLittleDisk: There is no room for the map.
        IdempotencyMismatch: The earlier request had other inputs.
    """
    # The names of uploads as they were sent: a newer file of that name is no other request.
    request = Request(caller, SEGMENT, inputs, idempotency_key, chosen)
    if (first := request.first(services)) is not None:
        return first
    ready = prepare(services, caller, inputs, chosen or {}, reuse=reuse)
    return request.accept(services, ready.kept, ready.model, ready.made, **ready.row)


class Prepared(NamedTuple):
    """A map that was looked at and can be made.

    Attributes:
        kept: The inputs of its job's row.
        model: Which it keeps, whatever is promoted meanwhile.
        made: Its results, where they are there already.
        row: What else stands in the row, as `JobRepository.submit` takes it.
        uploads: Ids of what it reads, by role.
    """

    kept: dict[str, Any]
    model: Model
    made: Reused | None
    row: dict[str, Any]
    uploads: dict[str, str]


def prepare(
    services: Services,
    caller: Caller,
    inputs: SegmentInputs,
    chosen: dict[str, Any],
    *,
    reuse: bool,
) -> Prepared:
    """Looks at what a map is to be made of; the arguments and errors are those of `submit`."""
    rasters = _rasters(services, caller, inputs)
    model = find_model(services, inputs.model, inputs.model_sha256)
    report = _inspect(services, rasters, model, inputs)
    ids = {role: upload.id for role, upload in rasters.items()}
    kept = inputs.model_dump(exclude_none=True) | ids | chosen
    remarks = report["remarks"]
    if inputs.align and (told := _settle_shift(kept, report)) is not None:
        remarks = [*remarks, told]
    kept |= _of_model(model)
    takes = needed(services, kept, report)
    key = result_key(services, kept, rasters)
    row = {"remarks": remarks, "drift": _drift(report), "estimate": takes, "result_key": key}
    made = take_over(services, caller.key_id, key) if reuse else None
    if made is None and takes is not None:
        check_room(services, takes, report["ortho"]["width"])
    return Prepared(kept, model, made, row, ids)


class Request:
    """A request to run a process.

    Args:
        caller: Whose.
        process: Which.
        inputs: As they were sent.
        idempotency_key: The caller's name for it, where there is one.
        chosen: What else was sent and is kept with the job.
    """

    def __init__(
        self,
        caller: Caller,
        process: str,
        inputs: BaseModel,
        idempotency_key: str | None,
        chosen: dict[str, Any] | None = None,
    ) -> None:
        self._caller = caller
        self._process = process
        self._key = idempotency_key
        sent = inputs.model_dump_json() + (json.dumps(chosen, sort_keys=True) if chosen else "")
        self._sha256 = hashlib.sha256(sent.encode()).hexdigest()

    @property
    def names(self) -> tuple[str | None, str]:
        """The idempotency key, and the hash of what was sent."""
        return self._key, self._sha256

    def first(self, services: Services) -> Job | None:
        """The job that an earlier request with the same key made, if it had the same inputs.

        Raises:
            IdempotencyMismatch: It had others.
        """
        if self._key is None:
            return None
        with services.database.reading() as session:
            first = JobRepository(session).submitted(self._caller.key_id, self._key)
        return None if first is None else self.repeated(first)

    def accept(
        self,
        services: Services,
        kept: dict[str, Any],
        model: Model,
        made: Reused | None = None,
        **told: Any,
    ) -> Job:
        """Stores the job, and notifies the workers.

        Args:
            services: Of the API.
            kept: The inputs, checked.
            model: The version that the job keeps, whatever is promoted meanwhile.
            made: Its results, where they are there already; they go where they are not needed.
            told: Of it, as `JobRepository.submit` takes it: `remarks`, `drift`, ….

        Raises:
            IdempotencyMismatch: Another request with the same key came at the same time.
            QuotaJobs: It would wait, and no more may.
        """
        job, new = None, False
        try:
            with services.database.writing() as session:
                job, new = self._enter(services, session, kept | _of_model(model), made, told)
        finally:
            if made is not None and (job is None or job.id != made.job_id):
                services.storage.keep_only(made.job_id, None)
        if not new:  # the same request came twice at once
            return self.repeated(job)
        _log.info("job %s: %s", job.id, job.state)
        tracing.about_job(job.id)
        if job.state is State.ACCEPTED:
            services.notifier.notify(job.id, self._process)
        return job

    def _enter(
        self,
        services: Services,
        session: Session,
        kept: dict[str, Any],
        made: Reused | None,
        told: dict[str, Any],
    ) -> tuple[Job, bool]:
        """The job's row, or the one of a request with the same key; whether it is new."""
        jobs, asks = JobRepository(session), (self._caller.key_id, self._process, kept)
        # What was linked is whole as long as the earlier job is there.
        if made is not None and jobs.get(made.earlier.id) is None:
            made = None
        if made is None:
            quotas.check_waiting(services, session, self._caller)
        job, new = jobs.submit(*asks, *self.names, webhook_secret=new_secret(), made=made, **told)
        if new and self._process == RETRAIN:
            model = {"model": kept["model"]}
            AuditLog(session).note(self._caller.name, "retraining asked for", job.id, **model)
        return job, new

    def repeated(self, first: Job) -> Job:
        """The job of an earlier request with this key; raises `IdempotencyMismatch`."""
        if (first.process, first.request_sha256) != (self._process, self._sha256):
            raise IdempotencyMismatch(
                f"Idempotency-Key {first.idempotency_key!r} came before with other inputs; "
                "use a new key",
                job=first.id,
            )
        return first


def _of_model(model: Model) -> dict[str, str]:
    return {"model": f"{model.name}@{model.version}", "model_sha256": model.sha256}


def find_model(services: Services, ref: str, sha256: str | None = None) -> Model:
    """The version that a caller means, now.

    Args:
        services: Of the API.
        ref: NAME or NAME@VERSION.
        sha256: Of its file, where the caller says so.

    Raises:
        Refused: There is none.
        OtherModel: It has another file.
    """
    try:
        model = services.registry.find(Ref.read(ref))
    except NoSuchModel as error:
        raise Refused(error.code, error.message, **error.params) from error
    if sha256 not in (None, model.sha256):
        name = f"{model.name}@{model.version}"
        raise OtherModel(
            f"inputs.model_sha256: got {sha256}, expected {model.sha256}, which {name} has: leave "
            "it out, or name the version that you mean",
            model=name,
            got=sha256,
            expected=model.sha256,
        )
    return model


def _rasters(services: Services, caller: Caller, inputs: SegmentInputs) -> dict[str, Upload]:
    """The uploads that the inputs name, by role; of several one, which is made of them."""
    refs = uploads_of(inputs.model_dump())
    with services.database.reading() as session:
        found = {
            role: [
                _upload(session, caller, role, each)
                for each in (ref if isinstance(ref, list) else [ref])
            ]
            for role, ref in refs.items()
        }
    return {role: tiled_upload.joined(services, caller, each) for role, each in found.items()}


def _upload(session: Session, caller: Caller, role: str, ref: str) -> Upload:
    uploads = UploadRepository(session)
    upload = uploads.get(ref, caller.scope) or uploads.named(caller.key_id, ref)
    if upload is None:
        raise UploadNotFound(
            f"inputs.{role}: no upload {ref!r}; send the file first: PUT /uploads/NAME",
            role=role,
            upload=ref,
        )
    return upload


def _inspect(
    services: Services, rasters: dict[str, Upload], model: Model, inputs: SegmentInputs
) -> dict[str, Any]:
    paths = {role: services.storage.upload_here(upload.id) for role, upload in rasters.items()}
    file = services.storage.models.here(model.sha256)
    names: dict[str, str] = {}
    for upload in rasters.values():
        names |= tile_folders.names_of(upload.id, upload.name, upload.report)
    names |= {str(file): model.name, file.name: model.name}
    asked = inspection_options(inputs.model_dump())
    sums = {role: upload.sha256 for role, upload in rasters.items()}
    return services.inspector.pair(paths, str(file), asked, names, sums)


def _settle_shift(kept: dict[str, Any], report: dict[str, Any]) -> dict[str, str] | None:
    """Keeps the shift that was measured, once for all parts; what to tell where none could be."""
    shift = report["reading"]["options"].get("height_shift")
    if shift is None:
        message = "inputs.align: nobody can tell how far the heights lie beside the orthophoto"
        return {"code": "pair.shift_unknown", "message": message}
    kept["height_shift"] = shift
    return None


def _drift(report: dict[str, Any]) -> dict[str, Any] | None:
    """How the pair differs from what the model has seen, if it does."""
    found: dict[str, Any] | None = report.get("drift")
    return found if found and found["remarks"] else None
