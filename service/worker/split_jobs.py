"""A job of many parts: leading it, and helping another worker that leads it."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy.orm import Session

from mfnet.service.db.repositories.fair_queue import TurnRepository
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.parts import PartRepository
from mfnet.service.db.tables import Job, Part
from mfnet.service.domain.forecast import Forecast
from mfnet.service.domain.job import FINAL, Failure, State, abandoned, parts_percent, percent
from mfnet.service.engine.client import EngineClient
from mfnet.service.engine.job_requests import JobRequests
from mfnet.service.engine.outcomes import AttemptFailed, Heartbeat, LeaseLost, ShuttingDown
from mfnet.service.files.storage import Storage
from mfnet.service.settings import Settings
from mfnet.service.worker.db_retry import Transactions
from mfnet.service.worker.first_jobs import FirstJobs
from mfnet.service.worker.transfers import Transfers

_log = logging.getLogger(__name__)
# Codes of mfnet.model.errors, which the service does not import.
_MISSING = "part.missing"
# What another worker may well be able to compute: ours is of another kind, lacks a file of the
# model's, or does not see the rasters as they are.
_UNSUITED = {
    *("part.other_kind", "model.unknown", "model.bad_checkpoint", "model.base_missing"),
    "model.altered",
    *("raster.missing", "raster.changed"),
}


class Yielded(Exception):
    """Another owner's work comes first now."""


class _PartLost(Exception):
    """The part is another's now, though the job is still ours."""


class SplitJobs:
    """Computes parts of jobs, one at a time.

    Args:
        settings: Lease, heartbeat, attempts.
        records: The database.
        requests: Makes the engine's requests.
        client: The engine.
        transfers: Carries files.
        storage: Where parts lie.
        worker: Our name, for people to read.
        notify: Tells other workers of a job.
        first_jobs: Hears what becomes of parts.
    """

    def __init__(
        self,
        settings: Settings,
        transactions: Transactions,
        requests: JobRequests,
        client: EngineClient,
        transfers: Transfers,
        storage: Storage,
        worker: str,
        notify: Callable[[str], object],
        first_jobs: FirstJobs,
    ) -> None:
        self._settings = settings
        self._database = transactions
        self._requests = requests
        self._client = client
        self._transfers = transfers
        self._storage = storage
        self._worker = worker
        self._notify = notify
        self._first_jobs = first_jobs
        self._unsuited: set[tuple[str, str | None]] = set()  # job, key: as our engine has said
        self._forecast = Forecast()  # of the job that we lead

    # ---- leading ---------------------------------------------------------------------------

    def lead(self, job: Job, cuts: Sequence[range]) -> dict[str, Any]:
        """See to it that all parts of a job that we have claimed are finished, and join them.

        Where model or inputs change meanwhile, the attempt fails, and the next one starts anew.

        Args:
            job: With our epoch.
            cuts: The rows of its parts, if it is cut for the first time.

        Returns:
            The map's statistics, and the `device` that computed it; several by their names.

        Raises:
            TurnOver: Between two parts; the finished ones stay.
            AttemptFailed, LeaseLost, Leaving: As any attempt.
        """
        self._forecast = Forecast()
        self._begin(job, cuts)
        turn = True
        while any(part.finished is None for part in self._parts(job)):
            if not turn:
                raise Yielded
            part = self._database.change(lambda session: self._claim(session, job))
            if part is not None:
                self._lead_part(job, part)
            else:
                self._wait_for_others(job)
            turn = self._database.read(lambda session: self._is_turn(session, job))
        return self._join(job)

    def _begin(self, job: Job, cuts: Sequence[range]) -> None:
        """Have the parts in the database, for engines of our kind."""
        self._bring(job, self._leading(job))
        key = self._client.run(self._requests.key(job), self._leading(job))["key"]
        self._share(job, self._leading(job))
        if not self._database.change(lambda session: PartRepository(session).cut(job, cuts, key)):
            raise LeaseLost
        if job.parts_key is None:
            for _ in cuts[1:]:
                self._notify(job.id)
        job.parts_key = key

    def _lead_part(self, job: Job, part: Part) -> None:
        with suppress(_PartLost):
            self._compute(job, part, self._leading(job, part))

    def _wait_for_others(self, job: Job) -> None:
        """Until one of them has finished a part, or for the time of one heartbeat."""
        allowed = self._settings.attempts
        if self._database.read(lambda session: PartRepository(session).abandoned(job.id, allowed)):
            raise AttemptFailed(abandoned(allowed), last=True)
        before = [part.finished for part in self._parts(job)]
        until = time.monotonic() + self._settings.heartbeat_s
        while time.monotonic() < until:
            self._client.pause()
            if [part.finished for part in self._parts(job)] != before:
                break
        self._leading(job)(0, 0)

    def _join(self, job: Job) -> dict[str, Any]:
        try:
            parts = self._parts(job)
            self._bring(job, self._leading(job))
            found = self._client.run(self._requests.join(job, parts), self._leading(job))
            devices = {part.device for part in parts if part.device is not None}
            return {**found, "device": ", ".join(sorted(devices)) or None}
        except AttemptFailed as failed:
            if failed.failure.code == _MISSING:  # a restored disk, or one that is not shared
                self._database.change(lambda session: PartRepository(session).reopen(job.id))
            raise

    def _leading(self, job: Job, part: Part | None = None) -> Heartbeat:
        """Renews the leader's lease, and that of the part at hand."""
        lease_s = self._settings.lease_s

        def renew(session: Session, done: int, total: int) -> bool:
            parts = PartRepository(session)
            mine = part is None or parts.renew(part, lease_s, percent(done, total))
            known = [(p.stop_row - p.first_row, p.progress) for p in parts.of(job.id)]
            finished = sum(progress == 100 for _, progress in known)
            message = f"{finished} of {len(known)} parts" if known else ""
            progress = parts_percent(known)
            left_s = self._forecast.left_s(progress, 100)
            if not JobRepository(session).renew(job, lease_s, progress, message, left_s):
                return False
            if not mine:
                raise _PartLost
            return True

        def heartbeat(done: int, total: int, what: str | None = None) -> None:
            self._database.renew(lambda s: renew(s, done, total))
            self._transfers.aside(self._storage.preview(job.id))

        return heartbeat

    def _parts(self, job: Job) -> Sequence[Part]:
        return self._database.read(lambda session: PartRepository(session).of(job.id))

    def _is_turn(self, session: Session, job: Job) -> bool:
        """Whether no other owner's work that we could do comes first."""
        turns = TurnRepository(session, self._settings.attempts).waiting()
        ours = (t for t in turns if not t.helps or self.can_help(t.job_id, t.parts_key))
        first = next(ours, None)
        return first is None or first.owner == job.owner

    # ---- helping ---------------------------------------------------------------------------

    def can_help(self, job_id: str, parts_key: str | None) -> bool:
        """Whether our engine may compute parts of this job, as far as we know."""
        return (job_id, parts_key) not in self._unsuited

    def help(self, job: Job, part: Part) -> None:
        """Compute one part of a job that another leads."""
        lease_s = self._settings.lease_s

        def heartbeat(done: int, total: int, what: str | None = None) -> None:
            progress = percent(done, total)
            self._database.renew(lambda s: PartRepository(s).renew(part, lease_s, progress))
            self._transfers.aside(self._storage.preview(job.id))

        try:
            self._compute(job, part, heartbeat)
        except AttemptFailed as failed:
            _log.warning("job %s: cannot help: %s", job.id, failed.failure.message)
            self._unsuited.add((job.id, job.parts_key))
        except LeaseLost:
            _log.warning("job %s: the part from row %d is of no use", job.id, part.first_row)
            self._tidy(job)
        except ShuttingDown:
            pass  # it has been handed back

    # ---- below -----------------------------------------------------------------------------

    def _compute(self, job: Job, part: Part, heartbeat: Heartbeat) -> None:
        """One attempt at a part that we have claimed.

        Raises:
            LeaseLost: Also where the job has failed with this part.
            AttemptFailed: Our engine cannot, or what it computes would not fit to the other parts.
        """
        try:
            self._bring(job, heartbeat)
            found = self._client.run(self._requests.part(job, part), heartbeat)
            self._share(job, heartbeat)
        except (ShuttingDown, LeaseLost):
            self._database.change(lambda session: PartRepository(session).hand_back(part))
            raise
        except AttemptFailed as failed:
            if failed.failure.code in _UNSUITED:
                self._database.change(lambda session: PartRepository(session).hand_back(part))
                raise
            self._fail(job, part, failed.failure)
        else:
            self._first_jobs.succeeded()
            device = found.get("device")
            if not self._database.change(lambda s: PartRepository(s).finish(part, device)):
                self._tidy(job)

    def _bring(self, job: Job, heartbeat: Heartbeat) -> None:
        """Has what the job reads here, and what is finished of it."""

        def bring() -> None:
            self._requests.bring(job)
            self._storage.here(self._storage.parts(job.id))

        self._transfers.run(bring, heartbeat)

    def _share(self, job: Job, heartbeat: Heartbeat) -> None:
        """Sends what is finished of the job to where the others find it."""
        self._transfers.run(lambda: self._storage.share_parts(job.id), heartbeat)

    def _fail(self, job: Job, part: Part, failure: Failure) -> None:
        _log.warning("job %s: part from row %d: %s", job.id, part.first_row, failure.message)
        if not failure.input_fault:
            # Whatever state the child is in, the next attempt gets a fresh one.
            self._client.stop()
            self._first_jobs.failed(job.owner, failure.message)
        allowed = self._settings.attempts
        state = self._database.change(lambda s: PartRepository(s).fail(part, failure, allowed))
        if state is State.FAILED:
            raise LeaseLost  # the job has come to its end

    def _tidy(self, job: Job) -> None:
        """Leave nothing of a job that has come to its end: its leader may have tidied before us."""
        try:
            now = self._database.read(lambda session: JobRepository(session).get(job.id))
        except ShuttingDown:
            return  # the database is away and so shall we be: whoever comes next tidies up
        if now is None or now.state in FINAL:
            self._storage.keep_only(job.id, now.result_epoch if now else None)

    def _claim(self, session: Session, job: Job) -> Part | None:
        lease_s = self._settings.lease_s
        allowed = self._settings.attempts
        part = PartRepository(session).claim(job.id, self._worker, lease_s, allowed)
        if part is not None:
            TurnRepository(session, allowed).serve(job.owner)
        return part
