"""The Celery shell: a message comes in, one function is called, nothing comes out."""

from collections.abc import Callable

from celery import Celery

from mfnet.service.queue import TASK


def register(celery: Celery, work: Callable[[], None]) -> None:
    """Have `work` called for every message.

    It holds the id of the job that it was sent for. Which job is worked on is another matter: the
    one whose turn it is.
    """

    def answer(_job_id: str) -> None:
        work()

    celery.task(name=TASK)(answer)
