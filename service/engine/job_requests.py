"""Requests to the engine, made from a job's row: ids of uploads become paths."""

from collections.abc import Sequence
from typing import Any

from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Job, Part, Upload
from mfnet.service.domain.job import Failure, cut
from mfnet.service.domain.reading_inputs import NAMES, reading_of
from mfnet.service.engine.outcomes import AttemptFailed
from mfnet.service.engine.protocol import JoinRequest, KeyRequest, MapRequest, PartRequest
from mfnet.service.files.storage import Storage
from mfnet.service.settings import Settings

_RASTERS = ("ortho", "height", "dtm")  # the inputs that are ids of uploads


class JobRequests:
    """Makes the engine's requests about a map from a job's row.

    Args:
        settings: Where models are, and how large a part is.
        database: Where uploads are known.
        storage: Where files are.

    All methods raise `AttemptFailed` where an upload is gone.
    """

    def __init__(self, settings: Settings, database: Database, storage: Storage) -> None:
        self._settings = settings
        self._database = database
        self._storage = storage

    def map(self, job: Job) -> MapRequest:
        """Computes the whole map."""
        return MapRequest(**self._common(job), out=self._storage.begin(job.id, job.epoch))

    def key(self, job: Job) -> KeyRequest:
        """Asks what the parts of the map have to agree in."""
        return KeyRequest(**self._common(job))

    def part(self, job: Job, part: Part) -> PartRequest:
        """Computes a part."""
        assert job.parts_key is not None
        return PartRequest(
            **self._common(job),
            parts=self._storage.parts(job.id),
            rows=(part.first_row, part.stop_row),
            key=job.parts_key,
        )

    def join(self, job: Job, parts: Sequence[Part]) -> JoinRequest:
        """Makes the map of its finished parts."""
        return JoinRequest(
            **self._common(job),
            parts=self._storage.parts(job.id),
            cuts=tuple((part.first_row, part.stop_row) for part in parts),
            out=self._storage.begin(job.id, job.epoch),
        )

    def cuts(self, job: Job) -> list[range]:
        """The parts that the job should be computed in; none where it is small."""
        raster = self._upload("ortho", job.inputs["ortho"]).report.get("raster")
        if raster is None:
            return []
        return cut(raster["height"], raster["width"], self._settings.part_pixels)

    def _common(self, job: Job) -> dict[str, Any]:
        """The fields that all requests about a job's map have."""
        uploads = {
            name: self._upload(name, upload_id)
            for name in _RASTERS
            if (upload_id := job.inputs.get(name)) is not None
        }
        return {
            **{name: self._storage.upload(upload.id) for name, upload in uploads.items()},
            "names": {upload.id: upload.name for upload in uploads.values()},
            **self._model(job),
            "models_dir": self._settings.models_dir.resolve(),
            "options": {
                name: value
                for name, value in job.inputs.items()
                if name not in (*_RASTERS, *NAMES, "model", "model_sha256")
            },
            "reading": reading_of(job.inputs),
        }

    def _model(self, job: Job) -> dict[str, Any]:
        """The model's file by its content; by name for a job of before the registry."""
        ref, sha256 = job.inputs["model"], job.inputs.get("model_sha256")
        if sha256 is None:
            return {"model": ref}
        path = self._storage.models.path(sha256)
        return {"model": str(path), "model_sha256": sha256, "model_ref": ref}

    def _upload(self, name: str, upload_id: str) -> Upload:
        with self._database.reading() as session:
            upload = UploadRepository(session).get(upload_id)
        if upload is None:
            raise AttemptFailed(
                Failure(
                    "upload.gone",
                    f"The upload {upload_id} of the input {name} was removed before the job began; "
                    "send it again and submit a new job.",
                    {"input": name, "upload": upload_id},
                    input_fault=True,
                )
            )
        return upload
