"""`/api` and `/docs`: what the API says of itself to programs and to people. Open to everybody."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from mfnet.service.api.documents import openapi, reference_page

router = APIRouter(include_in_schema=False)


@router.get("/api")
def api_description(request: Request) -> JSONResponse:
    """OpenAPI 3.0; `/openapi.json` is 3.1."""
    told = openapi.of_version_30(request.app)
    if prefix := request.scope.get("root_path"):
        told = told | {"servers": [{"url": prefix}]}
    return JSONResponse(told, media_type=openapi.MEDIA_TYPE_30)


@router.get("/docs")
def api_page(request: Request) -> HTMLResponse:
    """Every route on one page, without scripts."""
    page = reference_page.html(request.app.openapi(), request.scope.get("root_path", ""))
    return HTMLResponse(page, headers=reference_page.HEADERS)
