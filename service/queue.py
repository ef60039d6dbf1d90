"""Messages that say that there is work: each holds a job's id and nothing else.

The database is the truth about jobs. A message that is lost, delivered twice or delivered late
costs a few seconds at most, so there is nothing to tune: it is acknowledged before the work
begins, and the reconciler sends it again for every job that still waits.
"""

import logging
import warnings

from celery import Celery
from kombu.exceptions import OperationalError
from sqlalchemy.exc import SADeprecationWarning
from sqlalchemy.orm import configure_mappers

from mfnet.service.domain.job import RETRAIN, SEGMENT
from mfnet.service.settings import Settings

TASK = "work"
QUEUES = {SEGMENT: "jobs", RETRAIN: "retrainings"}
"""By process: a retraining takes hours, and is never in the way of a map."""

_log = logging.getLogger(__name__)


def make_celery(settings: Settings) -> Celery:
    """Celery as both ends use it: the API and the reconciler send by name, workers receive."""
    app = Celery("mfnet", broker=settings.broker)
    app.conf.update(
        task_default_queue=QUEUES[settings.work],
        task_ignore_result=True,
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        # Workers are watched through their leases: no second channel that a broker must offer.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_transport_options(settings),
    )
    if settings.redis_url is None:
        _map_broker_tables(app)
    return app


class JobNotifier:
    """Notifies workers of jobs. Create one per process: it keeps connections.

    Args:
        celery: From `make_celery`.
    """

    def __init__(self, celery: Celery) -> None:
        self._celery = celery

    def notify(self, job_id: str, process: str = SEGMENT) -> bool:
        """Notifies the workers of a job that was committed; False where the broker does not answer.

        A broker that is away is no error of the request's: the reconciler notifies again.
        """
        try:
            self._celery.send_task(
                TASK, args=[job_id], queue=QUEUES[process], retry=False, ignore_result=True
            )
        except OperationalError as error:
            _log.warning("broker does not answer, the reconciler will notify again: %s", error)
            return False
        return True

    def waiting(self, process: str = SEGMENT) -> int:
        """How many messages lie in the queue of a process.

        Raises:
            kombu.exceptions.OperationalError: The broker does not answer.
        """
        with self._celery.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
            try:
                with connection.channel() as channel:
                    queue = self._celery.amqp.queues[QUEUES[process]](channel)
                    return int(queue.queue_declare().message_count)
            except connection.connection_errors + connection.channel_errors as error:
                raise OperationalError(str(error)) from error


def _map_broker_tables(app: Celery) -> None:
    """Have kombu's tables mapped here and now, without SQLAlchemy's word on how they are written.

    kombu asks for a loader strategy that SQLAlchemy 2.1 deprecates. Where warnings are errors, as
    in the tests, the mapping would fail at the first message and stay broken.
    """
    with warnings.catch_warnings(), app.connection_for_write() as connection:
        warnings.simplefilter("ignore", SADeprecationWarning)
        connection.channel().close()
        configure_mappers()


def _transport_options(settings: Settings) -> dict[str, object]:
    if settings.redis_url is None:
        return {"connect_args": {"timeout": 30}}  # for create_engine: wait for the file's lock
    return {
        "socket_connect_timeout": 2,
        "socket_timeout": 10,
        "socket_keepalive": True,
        # A request that notifies does not wait for a broker that is away.
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0,
    }
