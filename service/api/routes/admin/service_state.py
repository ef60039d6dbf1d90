"""`/state`: how the service is, for whoever runs it."""

import shutil
from importlib.metadata import version

from fastapi import APIRouter

from mfnet.service.api.auth import AdminOf
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.metric_counts import Totals
from mfnet.service.domain.job import State
from mfnet.service.schemas.service_state import QuotaLimits, ServiceState

router = APIRouter(tags=["health"])

_MANY = 1000


@router.get("/state")
def get_service_state(services: ServicesOf, _caller: AdminOf) -> ServiceState:
    """Disk, jobs, workers, and the quotas of users' keys."""
    disk = shutil.disk_usage(services.storage.root)
    with services.database.reading() as session:
        jobs, tiles = Totals(session).jobs(), Totals(session).tiles()
        running = JobRepository(session).page(limit=_MANY, states=[State.RUNNING])
        workers = sorted({job.worker for job in running if job.worker})
    settings = services.settings
    counts = {state: sum(n for (_, of), n in jobs.items() if of == state) for state in State}
    return ServiceState(
        version=version("mfnet"),
        disk_free_bytes=disk.free,
        disk_bytes=disk.total,
        waiting=counts[State.ACCEPTED],
        running=counts[State.RUNNING],
        workers=workers,
        quotas=QuotaLimits(
            bytes_stored=settings.quota_bytes or None,
            jobs_waiting=settings.quota_jobs or None,
            requests_a_minute=settings.quota_requests or None,
        ),
        tiles=tiles,
    )
