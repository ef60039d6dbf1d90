"""What a worker does with a job: claim it, have the engine compute it, publish, or say why not."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from service.database import AWAY, Database
from service.engine import Engine, EngineDied
from service.jobs import FINAL, Failure, State, percent
from service.repository.jobs import JobRepository
from service.repository.uploads import UploadRepository
from service.settings import Settings
from service.storage import Storage
from service.tables import Job

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")

_RASTERS = ("ortho", "height", "dtm")  # the inputs that are ids of uploads
_LISTEN_S = 0.25  # how long a request to leave may stay unnoticed
_PROGRESS_S = 1.0  # how often progress is written while it changes


class _LeaseLost(Exception):
    """The job was cancelled, or another worker has it."""


class _Leaving(Exception):
    """This worker was asked to end."""


class _AttemptFailed(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Supervisor:
    """Works on one job at a time.

    Args:
        settings: Lease, heartbeat, attempts.
        database: Where the jobs are.
        storage: Where their files are.
        engine: What computes.
        worker: Our name, for people to read.
        leaving: Set when this process is to end: the job at hand goes back.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        storage: Storage,
        engine: Engine,
        worker: str,
        leaving: threading.Event,
    ) -> None:
        self._settings = settings
        self._database = database
        self._storage = storage
        self._engine = engine
        self._worker = worker
        self._leaving = leaving
        self._at_work = threading.Lock()

    @property
    def idle(self) -> bool:
        """No job is at hand."""
        return not self._at_work.locked()

    def work(self, job_id: str) -> None:
        """Answer a bell. Without effect where the job is another's, finished or gone.

        Who calls while a job is at hand waits for its end.
        """
        with self._at_work:
            if not self._leaving.is_set():
                self._work(job_id)

    def _work(self, job_id: str) -> None:
        job = self._record(self._claim(job_id))
        if job is None:
            return
        _log.info("job %s: attempt %d as epoch %d", job.id, job.attempts, job.epoch)
        try:
            self._see_through(job)
        except Exception:
            # A fault of ours must not stop the worker, and the job's owner must hear of it.
            _log.exception("job %s: fault in epoch %d", job.id, job.epoch)
            self._fail(job, Failure("internal", "The service failed; its log says why.", {}))

    def _see_through(self, job: Job) -> None:
        """An attempt and its end, whichever of the foreseen ones it is."""
        try:
            self._attempt(job)
        except _LeaseLost:
            self._give_up(job)
        except _Leaving:
            self._hand_back(job)
        except _AttemptFailed as failed:
            self._fail(job, failed.failure)

    # ---- one attempt -----------------------------------------------------------------------

    def _attempt(self, job: Job) -> None:
        order = self._order(job)
        try:
            self._engine.order(order)
            reply = self._follow(job)
        except EngineDied as died:
            failure = Failure("engine.died", f"{died}; expected it to finish the job.", {})
            raise _AttemptFailed(failure) from died
        if "error" in reply:
            raise _AttemptFailed(Failure(**reply["error"]))
        self._publish(job)

    def _order(self, job: Job) -> dict[str, Any]:
        options = {name: v for name, v in job.inputs.items() if name not in _RASTERS}
        paths = {
            name: str(self._path(name, upload_id))
            for name in _RASTERS
            if (upload_id := job.inputs.get(name)) is not None
        }
        return {
            "process": job.process,
            **paths,
            "model": options.pop("model"),
            "models_dir": str(self._settings.models_dir.resolve()),
            "out": str(self._storage.begin(job.id, job.epoch)),
            "options": options,
        }

    def _path(self, name: str, upload_id: str) -> Path:
        with self._database.reading() as session:
            upload = UploadRepository(session).get(upload_id)
        if upload is None:
            raise _AttemptFailed(
                Failure(
                    "upload.gone",
                    f"The upload {upload_id} of the input {name} was removed before the job began; "
                    "send it again and submit a new job.",
                    {"input": name, "upload": upload_id},
                    input_fault=True,
                )
            )
        return self._storage.upload(upload_id)

    def _follow(self, job: Job) -> dict[str, Any]:
        """Listen to the engine and keep the lease alive until the engine's last word."""
        heard = beaten = time.monotonic()
        progress, message, written = 0, "", ""
        while True:
            reply = self._engine.reply(_LISTEN_S)
            now = time.monotonic()
            if reply is not None:
                heard = now
                if "progress" not in reply:
                    return reply
                done, total = reply["progress"]
                progress, message = percent(done, total), f"window {done} of {total}"
            elif now - heard > self._settings.stall_s:
                raise EngineDied(f"the engine was silent for {now - heard:.0f} s")
            if self._leaving.is_set():
                raise _Leaving
            pause = self._settings.heartbeat_s
            if now - beaten >= (pause if message == written else min(pause, _PROGRESS_S)):
                self._beat(job, progress, message)
                beaten, written = now, message

    def _beat(self, job: Job, progress: int, message: str) -> None:
        try:
            with self._database.writing() as session:
                ours = JobRepository(session).beat(job, self._settings.lease_s, progress, message)
        except AWAY as error:
            # Maybe it is away for us alone, and another worker claims the job once our lease has
            # run out. Then the epoch has risen: nothing that we write finds a row any more.
            _log.warning("job %s: no heartbeat, the database is away: %s", job.id, error)
            return
        if not ours:
            raise _LeaseLost

    def _publish(self, job: Job) -> None:
        self._storage.seal(job.id, job.epoch)
        if not self._record(lambda jobs: jobs.publish(job)):
            raise _LeaseLost
        self._storage.keep_only(job.id, job.epoch)
        _log.info("job %s: published epoch %d", job.id, job.epoch)

    # ---- other ends ------------------------------------------------------------------------

    def _fail(self, job: Job, failure: Failure) -> None:
        if not failure.input_fault:
            # Whatever state the child is in, the next attempt gets a fresh one.
            self._engine.stop()
        state = self._record(lambda jobs: jobs.fail(job, failure, self._settings.attempts))
        _log.warning("job %s: epoch %d failed: %s", job.id, job.epoch, failure.message)
        if state is None:
            self._give_up(job)
        elif state is State.FAILED:
            self._storage.keep_only(job.id, None)
        else:
            self._storage.discard(job.id, job.epoch)

    def _give_up(self, job: Job) -> None:
        _log.warning("job %s: epoch %d is no longer ours", job.id, job.epoch)
        self._engine.stop()
        found = self._record(lambda jobs: (jobs.get(job.id),))
        if found is None:
            return  # the database is away and so shall we be: whoever comes next tidies up
        (now,) = found
        if now is None:  # cancelled and removed while we computed
            self._storage.keep_only(job.id, None)
        elif now.state in FINAL:
            # Maybe our own epoch's result: a commit can succeed though its answer is lost.
            self._storage.keep_only(job.id, now.result_epoch)
        else:
            self._storage.discard(job.id, job.epoch)

    def _hand_back(self, job: Job) -> None:
        _log.info("job %s: handing epoch %d back", job.id, job.epoch)
        self._engine.stop()
        self._storage.discard(job.id, job.epoch)
        self._record(lambda jobs: jobs.hand_back(job))

    # ---- the database ----------------------------------------------------------------------

    def _claim(self, job_id: str) -> Callable[[JobRepository], Job | None]:
        lease_s, allowed = self._settings.lease_s, self._settings.attempts
        return lambda jobs: jobs.claim(job_id, self._worker, lease_s, allowed)

    def _record(self, change: Callable[[JobRepository], _Answer]) -> _Answer | None:
        """Change a row, however long the database is away; None where we must leave before."""
        while True:
            try:
                with self._database.writing() as session:
                    return change(JobRepository(session))
            except AWAY as error:
                _log.warning("the database is away: %s", error)
            if self._leaving.wait(self._settings.heartbeat_s):
                return None
