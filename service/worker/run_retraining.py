"""Runs a retraining: the request, and what enters the registry when it is published."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.models import ModelRepository
from mfnet.service.db.repositories.tiles import TileRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import SEGMENT, Failure, State
from mfnet.service.domain.job_uploads import RASTERS, derives_terrain, uploads_of
from mfnet.service.domain.map_outputs import TERRAIN
from mfnet.service.domain.model_version import Ref
from mfnet.service.domain.reading_inputs import reading_of
from mfnet.service.engine.client import EngineClient
from mfnet.service.engine.outcomes import AttemptFailed, Heartbeat
from mfnet.service.engine.protocol import RecentMap, RetrainRequest
from mfnet.service.errors import ModelAltered, ServiceError
from mfnet.service.files.dataset_manifest import write_manifest
from mfnet.service.files.storage import Storage
from mfnet.service.settings import Settings
from mfnet.service.worker.transfers import Transfers

RECENT = 3
"""Maps of users for which it is shown what would change."""
_LOOKED_AT = 1000
_MARGIN_PX = 64  # between the blocks of a tile that are for different ends
_OPTIONS = ("stride", "blend", "tta")
_TASK = ("recipe", "changes", "steps", "minutes", "margin")


class Retraining:
    """Has the engine retrain a model.

    Args:
        settings: Where models are.
        database: Where tiles, uploads and jobs are known.
        storage: Where files are.
        engine: What trains.
        transfers: Carries files.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        storage: Storage,
        engine: EngineClient,
        transfers: Transfers,
    ) -> None:
        self._settings = settings
        self._database = database
        self._storage = storage
        self._engine = engine
        self._transfers = transfers

    def run(self, job: Job, heartbeat: Heartbeat) -> Callable[[Session], str]:
        """One attempt, which goes on where an earlier one was.

        Nothing of it is in the registry yet but a file of which no row speaks.

        Returns:
            What is to be called in the transaction that publishes the job: it enters the candidate,
            promotes it where that was asked for and the gate has nothing against it, and returns
            in words what became of it.

        Raises:
            AttemptFailed, LeaseLost, ShuttingDown: As any attempt.
        """
        request = self._transfers.run(lambda: self._request(job), heartbeat)

        def heartbeat_and_share(done: int, total: int, what: str | None = None) -> None:
            heartbeat(done, total, what)
            self._transfers.aside(request.run)  # for the page, and for the attempt after this

        try:
            found = self._engine.run(request, heartbeat_and_share)
        finally:  # an engine that has trained keeps its GPU's memory, which others map with
            self._engine.stop()
        file = Path(found["file"])
        try:
            keep = partial(self._storage.models.keep, file, found["sha256"])
            self._transfers.run(keep, heartbeat)
        except ModelAltered as error:
            raise AttemptFailed(_failure(error)) from error
        size = file.stat().st_size
        return lambda session: _enter(session, job, size, found)

    # ---- the request -----------------------------------------------------------------------

    def _request(self, job: Job) -> RetrainRequest:
        inputs, storage = job.inputs, self._storage
        return RetrainRequest(
            model=storage.models.here(inputs["model_sha256"]),
            model_sha256=inputs["model_sha256"],
            model_ref=inputs["model"],
            models_dir=self._settings.models_dir.resolve(),
            tiles=tuple(map(Path, self._tiles(job))),
            scenes=storage.here(storage.scenes),
            run=storage.run(job.id, job.epoch),
            before=storage.run_before(job.id, job.epoch),
            out=self._out(job),
            recent=tuple(self._recent(Ref.read(inputs["model"]).name)),
            **{key: inputs[key] for key in _TASK if inputs.get(key) is not None},
        )

    def _out(self, job: Job) -> Path:
        """The attempt's folder; a transfer that is made again finds it."""
        folder = self._storage.folder(job.id, job.epoch)
        return folder if folder.is_dir() else self._storage.begin(job.id, job.epoch)

    def _tiles(self, job: Job) -> list[str]:
        """Folders with manifests: of the tiles that are named, and one that is mounted."""
        folders = [] if job.inputs.get("folder") is None else [job.inputs["folder"]]
        if not job.inputs.get("tiles"):
            return folders
        with self._database.reading() as session:
            known = [TileRepository(session).get(tile) for tile in job.inputs["tiles"]]
            tiles = [tile for tile in known if tile is not None]
            if len(tiles) < len(known):
                raise AttemptFailed(
                    Failure(
                        "tile.unknown",
                        f"{len(known) - len(tiles)} of the labelled tiles were removed before the "
                        "retraining began; submit it again with those there are.",
                        {"tiles": job.inputs["tiles"]},
                        input_fault=True,
                    )
                )
            model = ModelRepository(session).get(*Ref.read(job.inputs["model"]))
            window_px = 256 if model is None else model.config.get("window_px", 256)
            split: dict[str, str | int | float] = {"by": "block", "margin_px": _MARGIN_PX}
            split |= {"block_px": window_px + _MARGIN_PX, "test": 0}  # scenes are the test
            folder = self._storage.labelled(job.id)
            try:
                uploads = UploadRepository(session)
                write_manifest(tiles, uploads, self._storage, folder, split=split)
            except ServiceError as error:
                raise AttemptFailed(_failure(error, input_fault=True)) from error
        return [str(folder), *folders]

    def _recent(self, model: str) -> list[RecentMap]:
        """The newest maps by versions of a model, each place once, whose rasters are still here."""
        places: dict[tuple[tuple[str, str], ...], Job] = {}
        with self._database.reading() as session:
            jobs, uploads = JobRepository(session), UploadRepository(session)
            done = jobs.page(limit=_LOOKED_AT, states=[State.SUCCESSFUL], processes=[SEGMENT])
            for job in done:
                if Ref.read(job.inputs["model"]).name != model:
                    continue
                rasters = uploads_of(job.inputs, RASTERS)
                found = [uploads.get(raster) for raster in rasters.values()]
                if all(each and not each.report.get("tiles") for each in found):
                    places.setdefault(tuple(rasters.items()), job)
                if len(places) == RECENT:
                    break
        return [self._map(job) for job in places.values()]

    def _map(self, job: Job) -> RecentMap:
        rasters = {
            role: self._storage.upload_here(upload)
            for role, upload in uploads_of(job.inputs, RASTERS).items()
        }
        if derives_terrain(job.inputs) and job.result_epoch is not None:
            terrain = self._storage.folder(job.id, job.result_epoch) / TERRAIN
            rasters["dtm"] = self._storage.here(terrain)
        options = {name: job.inputs[name] for name in _OPTIONS if name in job.inputs}
        return RecentMap(job=job.id, **rasters, options=options, reading=reading_of(job.inputs))


def _enter(session: Session, job: Job, size: int, found: dict[str, Any]) -> str:
    """The candidate enters the registry; see `Retraining.run`."""
    models, ref = ModelRepository(session), Ref.read(job.inputs["model"])
    who, verdict = KeyRepository(session).told(job.owner), found["verdict"]
    model = models.add(
        ref.name,
        found["sha256"],
        size,
        found["config"],
        who=who,
        why=f"retrained from {job.inputs['model']}: {verdict['reason']}",
        job_id=job.id,
    )
    name = f"{model.name}@{model.version}"
    if not job.inputs["promote"]:
        return f"{name} is a candidate, as was asked for; {verdict['reason']}"
    if not verdict["passed"]:
        return f"{name} stays a candidate: {verdict['reason']}"
    assert ref.version is not None  # the front has resolved it
    if not models.promote(model, ref.version, who, f"by the gate: {verdict['reason']}"):
        return f"{name} stays a candidate: {job.inputs['model']} is not in use any more"
    return f"{name} is in use: {verdict['reason']}"


def _failure(error: ServiceError, *, input_fault: bool = False) -> Failure:
    return Failure(error.code, error.message, error.params, input_fault)
