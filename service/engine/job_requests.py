"""Requests to the engine, made from a job's row: ids of uploads become paths."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Job, Part, Upload
from mfnet.service.domain.job import Failure, cut
from mfnet.service.domain.job_uploads import derives_terrain, uploads_of
from mfnet.service.domain.map_outputs import TERRAIN, further_files
from mfnet.service.domain.reading_inputs import reading_of
from mfnet.service.engine.outcomes import AttemptFailed
from mfnet.service.engine.protocol import JoinRequest, KeyRequest, MapRequest, PartRequest
from mfnet.service.files import tile_folders
from mfnet.service.files.storage import Storage
from mfnet.service.settings import Settings

_OPTIONS = ("stride", "blend", "tta", "sieve", "confidence")
_OF_FILES = ("largest_building", "aoi_layer", "zones_layer")
_OF_POLYGONS = ("min_area", "simplify")


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

    def bring(self, job: Job) -> None:
        """Has all that the job reads on this machine: rasters, polygons, the model."""
        for name, upload_id in uploads_of(job.inputs).items():
            self._storage.upload_here(self._upload(name, upload_id).id)
        if (sha256 := job.inputs.get("model_sha256")) is not None:
            self._storage.models.here(sha256)

    def map(self, job: Job) -> MapRequest:
        """Computes the whole map."""
        out = self._storage.begin(job.id, job.epoch)
        return MapRequest(**self._common(job, out), out=out)

    def key(self, job: Job) -> KeyRequest:
        """Asks what the parts of the map have to agree in."""
        return KeyRequest(**self._common(job, self._storage.parts(job.id)))

    def part(self, job: Job, part: Part) -> PartRequest:
        """Computes a part."""
        assert job.parts_key is not None
        parts = self._storage.parts(job.id)
        return PartRequest(
            **self._common(job, parts),
            parts=parts,
            rows=(part.first_row, part.stop_row),
            key=job.parts_key,
        )

    def join(self, job: Job, parts: Sequence[Part]) -> JoinRequest:
        """Makes the map of its finished parts."""
        folder = self._storage.parts(job.id)
        return JoinRequest(
            **self._common(job, folder),
            parts=folder,
            cuts=tuple((part.first_row, part.stop_row) for part in parts),
            out=self._storage.begin(job.id, job.epoch),
        )

    def cuts(self, job: Job) -> list[range]:
        """The parts that the job should be computed in; none where it is small."""
        raster = self._upload("ortho", job.inputs["ortho"]).report.get("raster")
        if raster is None:
            return []
        return cut(raster["height"], raster["width"], self._settings.part_pixels)

    def _common(self, job: Job, folder: Path) -> dict[str, Any]:
        """The fields that all requests about a job's map have.

        Args:
            job: The job.
            folder: Where a terrain model that is derived is kept.
        """
        uploads = {
            name: self._upload(name, upload_id)
            for name, upload_id in uploads_of(job.inputs).items()
        }
        derived = {"terrain": folder / TERRAIN} if derives_terrain(job.inputs) else {}
        return {
            **{name: self._storage.upload(upload.id) for name, upload in uploads.items()},
            **derived,
            **{name: job.inputs.get(name) for name in _OF_FILES},
            **{name: job.inputs.get(name, 0) for name in _OF_POLYGONS},
            "names": {
                file: name
                for upload in uploads.values()
                for file, name in tile_folders.names_of(
                    upload.id, upload.name, upload.report
                ).items()
            },
            **self._model(job),
            "models_dir": self._settings.models_dir.resolve(),
            "preview": self._storage.preview(job.id),
            "further": further_files(job.inputs),
            "options": {name: job.inputs[name] for name in _OPTIONS if name in job.inputs},
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
