"""The Celery shell: a message's job id goes in, one function is called, nothing comes out."""

from collections.abc import Callable

from celery import Celery

from service.queue import TASK


def register(celery: Celery, work: Callable[[str], None]) -> None:
    """Have `work` called with the job id of every message."""

    def segment(job_id: str) -> None:
        work(job_id)

    celery.task(name=TASK)(segment)
