"""What a worker does: take the fairest work that waits, have the engine compute it, publish it."""

import logging
import threading
from collections.abc import Callable

from sqlalchemy.orm import Session

from mfnet.service.db.repositories.fair_queue import TurnRepository
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.parts import PartRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Job, Part
from mfnet.service.domain.forecast import Forecast
from mfnet.service.domain.job import FINAL, RETRAIN, Failure, State, percent
from mfnet.service.domain.map_outputs import remarks_after
from mfnet.service.engine.client import EngineClient
from mfnet.service.engine.job_requests import JobRequests
from mfnet.service.engine.outcomes import AttemptFailed, Heartbeat, LeaseLost, ShuttingDown
from mfnet.service.engine.process import Engine
from mfnet.service.files.storage import Storage
from mfnet.service.runtime import logging_setup, tracing
from mfnet.service.settings import Settings
from mfnet.service.worker.db_retry import Transactions
from mfnet.service.worker.first_jobs import FirstJobs
from mfnet.service.worker.run_retraining import Retraining
from mfnet.service.worker.split_jobs import SplitJobs, Yielded
from mfnet.service.worker.transfers import Transfers

_log = logging.getLogger(__name__)
_FAULT = Failure("internal", "The service failed; its log says why.", {})


class Supervisor:
    """Works on one job, or one part of a job, at a time.

    Attributes:
        first_jobs: Whether it is good for anything; where it is not it takes no more work.

    Args:
        settings: Lease, heartbeat, attempts.
        database: Where the jobs are.
        storage: Where their files are.
        engine: What computes.
        worker: Our name, for people to read.
        shutdown: Set when this process is to end: the job at hand goes back.
        notify: Tells other workers of a job that they may take.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        storage: Storage,
        engine: Engine,
        worker: str,
        shutdown: threading.Event,
        notify: Callable[[str], object],
    ) -> None:
        self._settings = settings
        self._storage = storage
        self._worker = worker
        self._shutdown = shutdown
        self._notify = notify
        self._database = Transactions(settings, database, shutdown)
        self._requests = JobRequests(settings, database, storage)
        self._client = EngineClient(settings, engine, shutdown)
        self._transfers = Transfers(settings, storage, shutdown)
        self._retraining = Retraining(settings, database, storage, self._client, self._transfers)
        self.first_jobs = FirstJobs()
        self._split_jobs = SplitJobs(
            settings,
            self._database,
            self._requests,
            self._client,
            self._transfers,
            storage,
            worker,
            notify,
            self.first_jobs,
        )
        self._at_work = threading.Lock()
        self._last_job: str | None = None

    @property
    def idle(self) -> bool:
        """No job is at hand, and one could be taken."""
        return not self._at_work.locked() and not self.first_jobs.poisoned.is_set()

    def can_help(self, job_id: str, parts_key: str | None) -> bool:
        """Whether we may help with parts of this job, as far as we know."""
        return self._split_jobs.can_help(job_id, parts_key)

    def work(self) -> None:
        """Takes the fairest work that waits, until none is left; often there is none.

        Blocks while another job is running.
        """
        with self._at_work:
            more = True
            while more and not self._shutdown.is_set() and not self.first_jobs.poisoned.is_set():
                more = self._work()

    def close(self) -> None:
        """Blocks until no job is at hand, once a shutdown is asked for; none is taken after it."""
        self._at_work.acquire()

    def _work(self) -> bool:
        """Works on one job, or one part; whether there may be more that nobody will notify of."""
        taken = self._database.change(self._take)
        if taken is None:
            return False
        job, part = taken
        if job.id != self._last_job:
            self._storage.forget_copies()
            self._last_job = job.id
        with logging_setup.about(job=job.id):
            if part is not None:
                with tracing.of_job(job.id, "part", first_row=part.first_row, worker=self._worker):
                    self._help(job, part)
                return True
            with tracing.of_job(job.id, job.process, epoch=job.epoch, worker=self._worker):
                return self._do(job)

    def _do(self, job: Job) -> bool:
        """One attempt at a job; whether others may wait."""
        _log.info("job %s: attempt %d as epoch %d", job.id, job.attempts, job.epoch)
        try:
            return self._see_through(job)
        except Exception:
            # A fault of ours must not stop the worker, and the job's owner must hear of it.
            _log.exception("job %s: fault in epoch %d", job.id, job.epoch)
            self._fail(job, _FAULT)
            return False

    def _help(self, job: Job, part: Part) -> None:
        _log.info("job %s: helping from row %d", job.id, part.first_row)
        try:
            self._split_jobs.help(job, part)
        except Exception:
            _log.exception("job %s: fault in the part from row %d", job.id, part.first_row)
            allowed = self._settings.attempts
            self._database.change(lambda s: PartRepository(s).fail(part, _FAULT, allowed))

    def _take(self, session: Session) -> tuple[Job, Part | None] | None:
        """Claim the first that can be claimed of what waits, the fairest before the others."""
        lease_s, allowed = self._settings.lease_s, self._settings.attempts
        jobs, turns = JobRepository(session), TurnRepository(session, allowed, self._settings.work)
        for turn in turns.waiting():
            part = None
            if not turn.helps:
                job = jobs.claim(turn.job_id, self._worker, lease_s, allowed)
            elif self._split_jobs.can_help(turn.job_id, turn.parts_key):
                part = PartRepository(session).claim(turn.job_id, self._worker, lease_s, allowed)
                job = jobs.get(turn.job_id) if part is not None else None
            else:
                continue
            if job is not None:
                turns.serve(turn.owner)
                return job, part
        return None

    def _see_through(self, job: Job) -> bool:
        """An attempt and its end, whichever of the foreseen ones it is; whether others wait."""
        try:
            self._attempt(job)
        except LeaseLost:
            self._give_up(job)
        except ShuttingDown:
            self._hand_back(job)
        except Yielded:
            # The engine is between two requests, and keeps its model.
            self._database.change(lambda session: JobRepository(session).hand_back(job))
            self._notify(job.id)
            return True
        except AttemptFailed as failed:
            self._fail(job, failed.failure, last=failed.last)
        return False

    # ---- one attempt -----------------------------------------------------------------------

    def _attempt(self, job: Job) -> None:
        forecast, last = Forecast(), None

        def heartbeat(done: int, total: int, what: str | None = None) -> None:
            nonlocal last
            now = (what or "windows").partition(",")[0]  # without the number of a step
            if now != last:
                tracing.step(now)
                last = now
            self._beat(job, done, total, what, forecast.left_s(done, total))
            self._transfers.aside(self._storage.preview(job.id))

        if job.process == RETRAIN:
            self._publish(job, heartbeat, self._retraining.run(job, heartbeat))
            self.first_jobs.succeeded()
            return
        cuts = self._requests.cuts(job)
        if cuts or job.parts_key is not None:
            found = self._split_jobs.lead(job, cuts)
        else:
            self._transfers.run(lambda: self._requests.bring(job), heartbeat)
            found = self._client.run(self._requests.map(job), heartbeat)

        def enter(session: Session) -> str:
            if (remarks := remarks_after(job.remarks, found)) is not None:
                JobRepository(session).tell(job, remarks)
            return "done"

        self._publish(job, heartbeat, enter, found.get("device"))
        self.first_jobs.succeeded()

    def _beat(
        self, job: Job, done: int, total: int, what: str | None, left_s: float | None
    ) -> None:
        told = percent(done, total), what or (f"window {done} of {total}" if total else ""), left_s
        lease_s = self._settings.lease_s
        self._database.renew(lambda s: JobRepository(s).renew(job, lease_s, *told))

    def _publish(
        self,
        job: Job,
        heartbeat: Heartbeat,
        enter: Callable[[Session], str],
        device: str | None = None,
    ) -> None:
        """Make our files the result, and whatever comes with it, in one transaction.

        Args:
            job: With our epoch.
            heartbeat: Renews the lease while they are sent.
            enter: Writes what comes with it; returns the job's last message.
            device: What computed them.
        """
        self._transfers.run(lambda: self._storage.seal(job.id, job.epoch), heartbeat)

        def publish(session: Session) -> bool:
            if not JobRepository(session).publish(job, enter(session), device):
                raise LeaseLost  # undoes what has been entered
            return True

        if not self._database.change(publish):
            raise LeaseLost
        self._storage.keep_only(job.id, job.epoch)
        _log.info("job %s: published epoch %d", job.id, job.epoch)

    # ---- other ends ------------------------------------------------------------------------

    def _fail(self, job: Job, failure: Failure, *, last: bool = False) -> None:
        tracing.failed(failure.code)
        if not failure.input_fault:
            # Whatever state the child is in, the next attempt gets a fresh one.
            self._client.stop()
            self.first_jobs.failed(job.owner, failure.message)
        allowed = 0 if last else self._settings.attempts
        state = self._database.change(lambda s: JobRepository(s).fail(job, failure, allowed))
        _log.warning("job %s: epoch %d failed: %s", job.id, job.epoch, failure.message)
        if state is None:
            self._give_up(job)
        elif state is State.FAILED:
            self._storage.keep_only(job.id, None)
        else:
            self._storage.discard(job.id, job.epoch)

    def _give_up(self, job: Job) -> None:
        _log.warning("job %s: epoch %d is no longer ours", job.id, job.epoch)
        try:
            now = self._database.read(lambda session: JobRepository(session).get(job.id))
        except ShuttingDown:
            return  # the database is away and so shall we be: whoever comes next tidies up
        if now is None:  # cancelled and removed while we computed
            self._storage.keep_only(job.id, None)
        elif now.state in FINAL:
            # Maybe our own epoch's result: a commit can succeed though its answer is lost.
            self._storage.keep_only(job.id, now.result_epoch)
        else:
            self._storage.discard(job.id, job.epoch)

    def _hand_back(self, job: Job) -> None:
        _log.info("job %s: handing epoch %d back", job.id, job.epoch)
        self._storage.discard(job.id, job.epoch)
        self._database.change(lambda session: JobRepository(session).hand_back(job))
