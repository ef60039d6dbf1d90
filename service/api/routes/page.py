"""`/page/…`: what the web page loads, and the sample pair that it offers. `/` is in `landing`."""

from functools import cache

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from mfnet.service.api.answers.data_file import is_unchanged
from mfnet.service.api.answers.json_answers import takes_gzip
from mfnet.service.api.auth import CallerOf
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.api.documents.page_files import PageFiles, headers
from mfnet.service.api.routes.upload.uploads import upload_info
from mfnet.service.operations.uploads import sample_pair
from mfnet.service.schemas.pictures import SamplePair
from mfnet.service.settings import Settings

router = APIRouter()

_FOR_EVER = "public, max-age=31536000, immutable"


@cache
def page_files() -> PageFiles:
    """The page's files."""
    return PageFiles()


def wants_page(request: Request) -> bool:
    """Whether who asks names HTML, as browsers do and clients of the API do not."""
    return "text/html" in request.headers.get("accept", "")


def page(request: Request) -> Response:
    """The page itself."""
    settings: Settings = request.app.state.services.settings
    html = page_files().html(
        request.scope.get("root_path", ""),
        keys=settings.keys,
        issuer=settings.oidc_issuer or "",
        client=settings.oidc_client,
    )
    told = {**headers(settings.oidc_issuer), "Vary": "Accept"}
    return Response(html, media_type="text/html", headers=told)


@router.get("/page/{version}/{name:path}", include_in_schema=False)
async def page_asset(version: str, name: str, request: Request) -> Response:
    """A file of the page; kept for ever by who asks for it by its hash."""
    asset = page_files().asset(name)
    if asset is None:
        raise HTTPException(404, "the page has no such file")
    current = version == page_files().version
    etag = f'W/"{page_files().version}"'
    told = {"ETag": etag, "Vary": "Accept-Encoding"}
    told |= {"Cache-Control": _FOR_EVER} if current else {}
    if is_unchanged(request.headers, etag):
        return Response(status_code=304, headers=told)
    body = asset.body
    if takes_gzip(request.headers.get("accept-encoding", "")):
        body, told["Content-Encoding"] = asset.gzipped, "gzip"
    return Response(body, media_type=asset.media_type, headers=told)


@router.post("/samples", status_code=201, tags=["uploads"])
def draw_sample(services: ServicesOf, caller: CallerOf) -> SamplePair:
    """A small synthetic town as two uploads of yours, for a first map without data."""
    found = sample_pair.give(services, caller)
    return SamplePair(**{role: upload_info(upload) for role, upload in found.items()})
