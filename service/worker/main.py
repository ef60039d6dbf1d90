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
from collections.abc import Callable
from typing import Any

from celery import signals

from mfnet.service.db.session import AWAY, Database
from mfnet.service.domain.job import RETRAIN
from mfnet.service.engine.process import Engine
from mfnet.service.files.scratch import Scratch
from mfnet.service.files.storage import storage_of
from mfnet.service.queue import JobNotifier, make_celery
from mfnet.service.runtime import logging_setup, tracing
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
    tracing.send(settings.traces_url, "worker")
    if settings.work == RETRAIN:
        os.nice(_RETRAINING_NICE)  # the engine, too: it inherits it
    scratch = Scratch(settings.data_dir / "scratch") if settings.storage else None
    storage = storage_of(settings, scratch.folder if scratch else None)
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
    _start(reconciler.run, "reconciler", shutdown)
    _start(_leave_when_poisoned, "first jobs", supervisor.first_jobs, shutdown, _POISONED_S)
    end = WorkerEnd(settings.grace_s, supervisor, engine, database, shutdown, scratch)
    # Celery keeps only a weak reference to a receiver.
    signals.worker_shutting_down.connect(end.on_signal, weak=False)
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
        status = end.close()
    return status or int(consumer.exitcode or 0)


class WorkerEnd:
    """How a worker ends: its job is given back, its engine stopped, its database closed.

    Args:
        grace_s: Seconds after which the process ends however far it is.
        supervisor: Of the job at hand.
        engine: Is stopped.
        database: Is closed.
        shutdown: Is set, so that nothing new begins.
        scratch: Is removed, if it has a folder of its own.
    """

    def __init__(
        self,
        grace_s: float,
        supervisor: Supervisor,
        engine: Engine,
        database: Database,
        shutdown: threading.Event,
        scratch: Scratch | None,
    ) -> None:
        self._grace_s = grace_s
        self._supervisor = supervisor
        self._engine = engine
        self._database = database
        self._shutdown = shutdown
        self._scratch = scratch
        self._closing = threading.Lock()

    def on_signal(self, **_: Any) -> None:
        """Ends the process in the background; Celery calls it when it is asked to stop."""
        self._shutdown.set()
        _end_after(self._grace_s)
        _start(self._exit_when_done, "exit")

    def close(self) -> int:
        """Stops the engine and closes the database; returns the process's exit status."""
        with self._closing:
            self._engine.stop()
            self._database.close()
            if self._scratch is not None:
                self._scratch.close()
            tracing.end()
        return _POISONED_STATUS if self._supervisor.first_jobs.poisoned.is_set() else 0

    def _exit_when_done(self) -> None:
        self._supervisor.close()
        # Celery itself takes seconds to leave. A message that it still holds is not missed: the
        # reconciler sends again for whatever is to be done.
        os._exit(self.close())


def _start(run: Callable[..., None], name: str, *args: object) -> None:
    threading.Thread(target=run, args=args, name=name, daemon=True).start()


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
