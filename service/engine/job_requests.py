"""Requests to the engine, made from a job's row: ids of uploads become paths."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Job, Part, Upload
from mfnet.service.domain.job import Failure, cut
from mfnet.service.domain.job_uploads import RASTERS, derives_terrain, uploads_of
from mfnet.service.domain.map_outputs import TERRAIN, further_files
from mfnet.service.domain.reading_inputs import reading_of
from mfnet.service.engine.outcomes import AttemptFailed
from mfnet.service.engine.protocol import JoinRequest, KeyRequest, MapRequest, PartRequest
from mfnet.service.files import sidecar_files, tile_folders
from mfnet.service.files.storage import Storage
from mfnet.service.settings import Settings

_LINK_S = 24 * 3600.0
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
        self._sidecars: dict[str, bool] = {}

    def bring(self, job: Job) -> None:
        """Has all that the job reads on this machine: rasters, polygons, the model. Rasters that
        are read over the network stay where they are."""
        uploads = self._uploads(job)
        linked = self._linked(job, uploads)
        for name, upload in uploads.items():
            if name not in linked:
                self._storage.upload_here(upload.id)
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
        uploads = self._uploads(job)
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
            **self._over_the_network(self._linked(job, uploads)),
        }

    def _over_the_network(self, uploads: Mapping[str, Upload]) -> dict[str, Any]:
        """The fields about rasters that are read block by block where they are kept."""
        paths = {role: self._storage.upload(upload.id) for role, upload in uploads.items()}
        links = {role: self._storage.store.link(path, _LINK_S) for role, path in paths.items()}
        return {
            "links": {role: link for role, link in links.items() if link is not None},
            "sums": {role: upload.sha256 for role, upload in uploads.items()},
            "sizes": {role: upload.bytes for role, upload in uploads.items()},
            "seen": uploads["ortho"].created if "ortho" in uploads else None,
        }

    def _linked(self, job: Job, uploads: Mapping[str, Upload]) -> dict[str, Upload]:
        """The rasters that are read over the network, by role: of a job that is cut, where each
        worker needs a part alone. Not what has sidecars, is in tiles, or is read whole for a
        terrain model. All workers at a job come to the same."""
        if not self._storage.is_remote or not (job.parts_key or self.cuts(job)):
            return {}
        return {
            role: uploads[role]
            for role in RASTERS
            if role in uploads
            and not uploads[role].report.get("tiles")
            and not (role == "height" and derives_terrain(job.inputs))
            and not self._has_sidecars(uploads[role])
        }

    def _has_sidecars(self, upload: Upload) -> bool:
        if upload.id not in self._sidecars:  # it never changes
            path = self._storage.sidecars_here(upload.id)
            found = any(each.exists() for each in sidecar_files.beside(path))
            self._sidecars[upload.id] = found
        return self._sidecars[upload.id]

    def _uploads(self, job: Job) -> dict[str, Upload]:
        named = uploads_of(job.inputs)
        return {name: self._upload(name, upload_id) for name, upload_id in named.items()}

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
