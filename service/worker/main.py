"""A worker process: Celery's consumer, the supervisor, the reconciler and the engine child.

The thread pool, with one thread: Celery's own loop stays awake while a job runs, so it sees SIGTERM
and a broker that comes back, which `solo` does not; and nothing is forked, as `prefork` does.
"""

import logging
import os
import socket
import threading
from typing import Any

from celery import signals

from mfnet.service.db.session import Database
from mfnet.service.domain.job import RETRAIN
from mfnet.service.engine.process import Engine
from mfnet.service.files.storage import Storage
from mfnet.service.queue import JobNotifier, make_celery
from mfnet.service.runtime import logging_setup
from mfnet.service.settings import Settings
from mfnet.service.worker.celery_tasks import register
from mfnet.service.worker.reconciler import Reconciler
from mfnet.service.worker.supervisor import Supervisor

_log = logging.getLogger(__name__)
_RETRAINING_NICE = 10  # on one machine with a worker that maps, that one comes first


def work(settings: Settings) -> int:
    """Works on jobs until SIGTERM or Ctrl-C; returns the process's exit status."""
    logging_setup.configure(settings.log_level)
    if settings.work == RETRAIN:
        os.nice(_RETRAINING_NICE)  # the engine, too: it inherits it
    storage = Storage(settings.data_dir)
    database = Database(settings.database)
    database.upgrade()
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

    def leave(**_: Any) -> None:
        shutdown.set()
        _end_after(settings.grace_s)

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
        engine.stop()
        database.close()
    return int(consumer.exitcode or 0)


def _end_after(seconds: float) -> None:
    """End the process, if it is still there then: a broker that hangs must not keep it."""

    def end() -> None:
        _log.error("still here %g s after the request to leave; ending now", seconds)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
