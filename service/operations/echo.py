"""The process `echo`: gives a message back after a pause, for whoever tries a client.

It needs no worker: the API waits by itself. A job whose API dies meanwhile is failed by the
reconciler, as it has no attempt left.
"""

import asyncio
from typing import Any

from anyio import to_thread

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import ECHO, percent
from mfnet.service.errors import Busy
from mfnet.service.operations.callbacks import new_secret
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.schemas.jobs import EchoInputs

_AT_ONCE = 100
_BEAT_S = 1.0

_running: set[asyncio.Task[None]] = set()


async def wait(inputs: EchoInputs) -> str:
    """The message, after the pause."""
    await asyncio.sleep(inputs.pause)
    return inputs.message


async def start(
    services: Services, caller: Caller, inputs: EchoInputs, chosen: dict[str, Any]
) -> Job:
    """A job that ends after the pause.

    Raises:
        Busy: So many echoes are under way that one more would hold others up.
    """
    if len(_running) >= _AT_ONCE:
        raise Busy("too many echoes at once; try again")
    kept = inputs.model_dump() | chosen
    job = await to_thread.run_sync(_claim, services, caller, kept)
    task = asyncio.create_task(_see_through(services, job, inputs.pause))
    _running.add(task)  # which the event loop does not hold by itself
    task.add_done_callback(_running.discard)
    return job


def _claim(services: Services, caller: Caller, kept: dict[str, Any]) -> Job:
    """A job of ours, running; no worker sees it waiting, and no other attempt follows."""
    with services.database.writing() as session:
        jobs = JobRepository(session)
        job, _ = jobs.submit(caller.key_id, ECHO, kept, webhook_secret=new_secret())
        job.attempts = services.settings.attempts - 1
        session.flush()
        settings = services.settings
        claimed = jobs.claim(job.id, "api", settings.lease_s, settings.attempts)
        assert claimed is not None
        return claimed


async def _see_through(services: Services, job: Job, pause: float) -> None:
    """Renews the lease until the pause is over; gives up where the job was dismissed."""
    waited = 0.0
    while waited < pause:
        step = min(_BEAT_S, pause - waited)
        await asyncio.sleep(step)
        waited += step
        progress = percent(int(waited * 10), int(pause * 10))
        if not await to_thread.run_sync(_beat, services, job, progress, pause - waited):
            return
    await to_thread.run_sync(_publish, services, job)


def _beat(services: Services, job: Job, progress: int, left_s: float) -> bool:
    told = services.settings.lease_s, progress, "pausing", left_s
    with services.database.writing() as session:
        return JobRepository(session).renew(job, *told)


def _publish(services: Services, job: Job) -> None:
    with services.database.writing() as session:
        JobRepository(session).publish(job)
