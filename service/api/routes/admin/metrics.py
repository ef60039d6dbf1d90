"""`/metrics`: for Prometheus, with an admin's key."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from mfnet.service.api.answers import prometheus
from mfnet.service.api.auth import AdminOf
from mfnet.service.api.dependencies import ServicesOf

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response)
def get_metrics(services: ServicesOf, _admin: AdminOf) -> Response:
    """Queue, waits and durations, failures by code, what is kept, room on the disk."""
    told = prometheus.exposition(services.database, services.storage.root)
    return Response(told, media_type=CONTENT_TYPE_PLAIN_0_0_4)
