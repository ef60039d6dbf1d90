"""`/health`: for load balancers and for whoever waits for the service to come up."""

from functools import cache

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter
from kombu.exceptions import OperationalError

from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.errors import NotReady
from mfnet.service.operations.context import Services
from mfnet.service.schemas.jobs import Health

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> Health:
    """The process answers. On the event loop, so that no queue of slow requests is in front."""
    return Health()


@router.get("/ready")
async def ready(services: ServicesOf) -> Health:
    """Database and broker answer, too. On threads of its own: a crowd holds all others."""
    await to_thread.run_sync(_ask, services, limiter=_threads())
    return Health()


@cache
def _threads() -> CapacityLimiter:
    return CapacityLimiter(2)


def _ask(services: Services) -> None:
    services.database.ping()
    try:
        services.notifier.waiting()
    except OperationalError as error:
        raise NotReady(f"the broker does not answer: {error}") from error
