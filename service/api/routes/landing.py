"""`/` and `/conformance`: what is here, and what it promises. Open to everybody."""

from fastapi import APIRouter, Request, Response

from mfnet.service.api.documents.openapi import MEDIA_TYPE_30
from mfnet.service.api.routes.page import page, wants_page
from mfnet.service.schemas.jobs import Conformance, Landing, Link

router = APIRouter(tags=["landing"])

_REL = "http://www.opengis.net/def/rel/ogc/1.0/"
_CLASS = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/"
_CLASSES = ("core", "ogc-process-description", "json", "oas30", "job-list", "dismiss", "callback")


@router.get("/", response_model=Landing, response_model_exclude_none=True)
def landing_page(request: Request, response: Response) -> Landing | Response:
    """Links to everything; for a browser, the page."""
    if wants_page(request):
        return page(request)
    response.headers["Vary"] = "Accept"
    targets = (
        ("self", "landing_page", "application/json", "This document"),
        ("service-desc", "api_description", MEDIA_TYPE_30, "The API"),
        ("service-desc", "openapi", "application/vnd.oai.openapi+json;version=3.1", "The API"),
        ("service-doc", "api_page", "text/html", "The API, for people"),
        (_REL + "conformance", "conformance", "application/json", "What the API conforms to"),
        (_REL + "processes", "list_processes", "application/json", "Processes"),
        (_REL + "job-list", "list_jobs", "application/json", "Your jobs"),
        ("data", "stac_catalogue", "application/json", "Your maps, a STAC catalogue"),
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
