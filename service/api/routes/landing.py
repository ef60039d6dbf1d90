"""`/` and `/conformance`: what is here, and what it promises. Open to everybody."""

from fastapi import APIRouter, Request

from mfnet.service.schemas.jobs import Conformance, Landing, Link

router = APIRouter(tags=["landing"])

_REL = "http://www.opengis.net/def/rel/ogc/1.0/"
_CLASS = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/"
# Not oas30: the framework writes OpenAPI 3.1.
_CLASSES = ("core", "ogc-process-description", "json", "job-list", "dismiss")


@router.get("/")
def landing_page(request: Request) -> Landing:
    """Links to everything."""
    targets = (
        ("self", "landing_page", "application/json", "This document"),
        ("service-desc", "openapi", "application/vnd.oai.openapi+json;version=3.1", "The API"),
        (_REL + "conformance", "conformance", "application/json", "What the API conforms to"),
        (_REL + "processes", "list_processes", "application/json", "Processes"),
        (_REL + "job-list", "list_jobs", "application/json", "Your jobs"),
    )
    return Landing(
        title="MFNet",
        description="Land-cover maps from an orthophoto and a height raster.",
        links=[
            Link(href=str(request.url_for(route)), rel=rel, type=media_type, title=title)
            for rel, route, media_type, title in targets
        ],
    )


@router.get("/conformance")
def conformance() -> Conformance:
    """The conformance classes of OGC API - Processes 1.0 that hold."""
    return Conformance(conformsTo=[_CLASS + name for name in _CLASSES])
