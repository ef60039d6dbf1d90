"""A worker process: Celery's consumer, the supervisor, the reconciler and the engine child.

The thread pool, with one thread: Celery's own loop stays awake while a job runs, so it sees SIGTERM
and a broker that comes back, which `solo` does not; and nothing is forked, as `prefork` does.
"""

import logging
import os
import signal
import socket
import threading
import time
from typing import Any

from celery import signals

from mfnet.service.db.session import AWAY, Database
from mfnet.service.domain.job import RETRAIN
from mfnet.service.engine.process import Engine
from mfnet.service.files.storage import Storage
from mfnet.service.queue import JobNotifier, make_celery
from mfnet.service.runtime import logging_setup
from mfnet.service.settings import Settings
from mfnet.service.worker.celery_tasks import register
from mfnet.service.worker.first_jobs import FirstJobs
from mfnet.service.worker.reconciler import Reconciler
from mfnet.service.worker.supervisor import Supervisor

_log = logging.getLogger(__name__)
_POISONED_S = 600.0
_POISONED_STATUS = 70  # EX_SOFTWARE of sysexits.h
_RETRAINING_NICE = 10  # on one machine with a worker that maps, that one comes first


def work(settings: Settings) -> int:
    """Works on jobs until SIGTERM or Ctrl-C; returns the process's exit status.

    A worker that fails its first three jobs, of three owners, says so, takes no other, and ends ten
    minutes later with status 70: whoever started it may then start it again.
    """
    logging_setup.configure(settings.log_level, settings.log_format)
    if settings.work == RETRAIN:
        os.nice(_RETRAINING_NICE)  # the engine, too: it inherits it
    storage = Storage(settings.data_dir)
    database = Database(settings.database)
    _upgrade(database, settings.heartbeat_s)
    celery = make_celery(settings)
    engine = Engine(settings.engine_command)
    shutdown = threading.Event()
    name = f"{socket.gethostname()}:{os.getpid()}"
    notifier = JobNotifier(celery)
    supervisor = Supervisor(settings, database, storage, engine, name, shutdown, notifier.notify)
    register(celery, supervisor.work)
    reconciler = Reconciler(settings, database, storage, notifier, supervisor)
    threading.Thread(
        target=reconciler.run, args=(shutdown,), name="reconciler", daemon=True
    ).start()

    threading.Thread(
        target=_leave_when_poisoned,
        args=(supervisor.first_jobs, shutdown, _POISONED_S),
        name="first jobs",
        daemon=True,
    ).start()

    closing = threading.Lock()

    def close() -> int:
        with closing:
            engine.stop()
            database.close()
        return _POISONED_STATUS if supervisor.first_jobs.poisoned.is_set() else 0

    def leave_when_done() -> None:
        supervisor.close()
        # Celery itself takes seconds to leave. A message that it still holds is not missed: the
        # reconciler sends again for whatever is to be done.
        os._exit(close())

    def leave(**_: Any) -> None:
        shutdown.set()
        _end_after(settings.grace_s)
        threading.Thread(target=leave_when_done, name="leaving", daemon=True).start()

    # Celery keeps only a weak reference to a receiver.
    signals.worker_shutting_down.connect(leave, weak=False)
    consumer = celery.Worker(
        pool="threads",
        concurrency=1,
        hostname=f"mfnet@{name}",
        loglevel=settings.log_level,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    try:
        consumer.start()
    finally:
        shutdown.set()
        status = close()
    return status or int(consumer.exitcode or 0)


def _upgrade(database: Database, pause_s: float) -> None:
    """Bring the tables up to date, however long the database is away."""
    while True:
        try:
            database.upgrade()
            return
        except AWAY as error:
            _log.warning("will start later, the database is away: %s", error)
        time.sleep(pause_s)


def _leave_when_poisoned(first_jobs: FirstJobs, shutdown: threading.Event, after_s: float) -> None:
    """End the process some time after it turned out to be good for nothing.

    Not at once: what starts it again would hand it the next three jobs in a second.
    """
    first_jobs.poisoned.wait()
    _log.error(
        "this worker has failed its first jobs, of %d owners, and takes no other; it ends in %g s. "
        "Look at its device, its disk and its models. The reasons: %s",
        len(first_jobs.reasons),
        after_s,
        "; ".join(first_jobs.reasons),
    )
    if not shutdown.wait(after_s):
        os.kill(os.getpid(), signal.SIGTERM)


def _end_after(seconds: float) -> None:
    """End the process, if it is still there then: a broker that hangs must not keep it."""

    def end() -> None:
        _log.error("still here %g s after the request to leave; ending now", seconds)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
