"""Sees to it that every job that waits is worked on, whatever happens to messages and brokers.

It notifies again of jobs that the database says are waiting, and where that does not help either,
because the broker is away or its client hears nothing, it answers for its own worker. (Once, after
a Redis server was killed and started again, a worker ran on for 60 s without a message. Why was not
found; ten more restarts did not show it. This does not depend on the cause.) So the broker is there
for promptness, and no job depends on it.

Now and then it also removes what killed processes left on the disk.

It runs in the workers, not in the API: only where somebody can answer is there a point in ringing,
and work goes on while the API is away. Several at once do no harm.
"""

import logging
import threading
import time
from collections.abc import Collection, Sequence

from kombu.exceptions import OperationalError as BrokerAway

from mfnet.service.db.repositories.batches import BatchRepository
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.parts import PartRepository
from mfnet.service.db.repositories.stalled_jobs import Backlog
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import AWAY, Database
from mfnet.service.domain.job import SEGMENT
from mfnet.service.files.storage import REMOVED, Storage
from mfnet.service.queue import JobNotifier
from mfnet.service.settings import Settings
from mfnet.service.worker.supervisor import Supervisor

_log = logging.getLogger(__name__)
_TIDY_S = 3600.0


class Reconciler:
    """Compares the database with what happens.

    Args:
        settings: How often, and how many attempts a job has.
        database: The truth.
        storage: Where the files of jobs without a future are removed.
        notifier: Sends messages.
        supervisor: Answers what nobody else does.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        storage: Storage,
        notifier: JobNotifier,
        supervisor: Supervisor,
    ) -> None:
        self._settings = settings
        self._database = database
        self._storage = storage
        self._notifier = notifier
        self._supervisor = supervisor
        self._waited: frozenset[str] = frozenset()  # what was due the last time, with us idle
        self._tidy_at = 0.0  # by the monotonic clock

    def run(self, shutdown: threading.Event) -> None:
        """Reconcile until `leaving` is set."""
        while not shutdown.wait(self._settings.reconcile_s):
            try:
                self.reconcile()
            except AWAY as error:
                _log.warning("will reconcile later, the database is away: %s", error)
            except Exception:
                # Without this thread a lost message would be lost for good.
                _log.exception("fault while reconciling; will try again")

    def reconcile(self) -> None:
        """Fails what nobody may claim any more, notifies of what waits, works on the rest."""
        with self._database.writing() as session:
            abandoned = Backlog(session).fail_abandoned(self._settings.attempts)
            due = list(Backlog(session).due(self._settings.work))
            mapping = self._settings.work == SEGMENT
            parts = PartRepository(session).due(self._settings.attempts) if mapping else []
        with self._database.writing() as session:
            BatchRepository(session).sum_up()
        # What this worker cannot help with, those who can will notify of.
        due += [job_id for job_id, key in parts if self._supervisor.can_help(job_id, key)]
        for job_id in abandoned:
            _log.warning("job %s: abandoned after the last attempt", job_id)
            self._storage.keep_only(job_id, None)
        if due:
            self._notify(due)
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + _TIDY_S
            self._tidy()
            self._remove_outdated()
        self._answer(due)

    def _notify(self, due: Sequence[str]) -> None:
        """Ring for all, unless as many messages wait: a queue must not grow while all are busy."""
        try:
            if self._notifier.waiting(self._settings.work) >= len(due):
                return
        except BrokerAway as error:
            _log.warning("the broker is away: %s", error)
            return
        for job_id in due:
            self._notifier.notify(job_id, self._settings.work)

    def _tidy(self) -> None:
        """Remove what an API that was killed had of an upload, and a worker of an ended job.

        Files of which no row speaks stay, unless a mark says that somebody was changing them: the
        database may be the wrong one, or an older backup.
        """
        self._storage.remove_parts(_TIDY_S)
        self._storage.incoming.remove_idle(self._settings.incoming_hours * 3600)
        self._storage.settle_uploads(self._known_uploads, _TIDY_S)
        there = self._storage.contents()
        removed = [job_id for job_id, names in there.items() if REMOVED in names]
        linked = self._storage.linked(_TIDY_S)
        with self._database.reading() as session:
            ended = Backlog(session).ended()
            known = Backlog(session).known([*removed, *linked])
        for job_id, names in there.items():
            if job_id in ended and names - {str(ended[job_id])}:
                self._storage.keep_only(job_id, ended[job_id])
        for job_id in {*removed, *linked} - known:
            self._storage.keep_only(job_id, None)
        for job_id in known.intersection(linked):
            self._storage.settle_linked(job_id)

    def _remove_outdated(self) -> None:
        """Remove jobs that have been kept for as long as was told."""
        if not self._settings.keep_days:
            return
        with self._database.reading() as session:
            outdated = Backlog(session).outdated(self._settings.keep_days)
        for job_id in outdated:
            self._storage.mark_removed(job_id)
            with self._database.writing() as session:
                JobRepository(session).remove(job_id)
            self._storage.keep_only(job_id, None)
            _log.info("job %s: removed %g days after its end", job_id, self._settings.keep_days)

    def _known_uploads(self, ids: Collection[str]) -> Collection[str]:
        with self._database.reading() as session:
            return UploadRepository(session).known(ids)

    def _answer(self, due: Sequence[str]) -> None:
        """Work, if a job waits although this worker was idle the last time too."""
        unheard = [job_id for job_id in due if job_id in self._waited]
        self._waited = frozenset(due) if self._supervisor.idle else frozenset()
        if unheard and self._supervisor.idle:
            _log.warning("job %s: no worker took it; taking it here", unheard[0])
            self._supervisor.work()
