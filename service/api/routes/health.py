"""`/health`: for load balancers and for whoever waits for the service to come up."""

from fastapi import APIRouter
from kombu.exceptions import OperationalError

from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.errors import NotReady
from mfnet.service.schemas.jobs import Health

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> Health:
    """The process answers. On the event loop, so that no queue of slow requests is in front."""
    return Health()


@router.get("/ready")
def ready(services: ServicesOf) -> Health:
    """Database and broker answer, too."""
    with services.database.reading() as session:
        session.connection()  # begins a transaction, for which the database has to answer
    try:
        services.notifier.waiting()
    except OperationalError as error:
        raise NotReady(f"the broker does not answer: {error}") from error
    return Health()
