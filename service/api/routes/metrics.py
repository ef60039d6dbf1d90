"""`/metrics`: for Prometheus, with an admin's key."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from mfnet.service.api import prometheus
from mfnet.service.api.auth import AdminOf
from mfnet.service.api.dependencies import ServicesOf

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response)
def get_metrics(services: ServicesOf, _admin: AdminOf) -> Response:
    """Jobs by state, those unlike what their model has seen, and labelled tiles."""
    return Response(prometheus.exposition(services.database), media_type=CONTENT_TYPE_PLAIN_0_0_4)
