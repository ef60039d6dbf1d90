"""Rings again for every job that waits, so that a lost message, or a lost broker, loses no job.

It runs in the workers, not in the API: only where somebody can answer is there a point in ringing,
and work goes on while the API is away. Several at once do no harm.
"""

import logging
import threading

from kombu.exceptions import OperationalError as BrokerAway
from sqlalchemy.exc import DBAPIError

from service.database import Database
from service.queue import Doorbell
from service.repository.jobs import JobRepository
from service.settings import Settings
from service.storage import Storage

_log = logging.getLogger(__name__)


class Reconciler:
    """Compares the database with the queue.

    Args:
        settings: How often, and how many attempts a job has.
        database: The truth.
        storage: Where the files of jobs without a future are removed.
        doorbell: The queue.
    """

    def __init__(
        self, settings: Settings, database: Database, storage: Storage, doorbell: Doorbell
    ) -> None:
        self._settings = settings
        self._database = database
        self._storage = storage
        self._doorbell = doorbell

    def run(self, leaving: threading.Event) -> None:
        """Reconcile until `leaving` is set."""
        while not leaving.wait(self._settings.reconcile_s):
            try:
                self.reconcile()
            except (BrokerAway, DBAPIError) as error:
                _log.warning("will reconcile later: %s", error)

    def reconcile(self) -> int:
        """Fail what nobody may claim any more, and ring for what somebody may.

        Returns:
            How often it rang: not at all where at least as many messages wait as jobs, so that a
            queue cannot grow while all workers are busy.
        """
        with self._database.writing() as session:
            abandoned = JobRepository(session).fail_abandoned(self._settings.attempts)
            due = JobRepository(session).due()
        for job_id in abandoned:
            _log.warning("job %s: abandoned after the last attempt", job_id)
            self._storage.keep_only(job_id, None)
        if not due or self._doorbell.waiting() >= len(due):
            return 0
        return sum(self._doorbell.ring(job_id) for job_id in due)
