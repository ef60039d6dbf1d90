"""What to do instead: for requests that no route takes."""

from typing import Any

from fastapi import Request
from starlette.routing import Match
from starlette.types import Scope

_METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS")
SEND_FILES = (
    "a file is sent as the body itself: curl -T FILE URL/uploads/ (PUT), no form (-F) and no POST"
)
_EXECUTE = 'a job is started by POST /processes/{}/execution with {{"inputs": {{…}}}}'


def allowed_methods(request: Request) -> str:
    """The methods that some route has for this path, as the header `Allow` lists them."""
    found = [method for method in _METHODS if _is_taken(request, method)]
    if "GET" in found:
        found.insert(1, "HEAD")
    return ", ".join(found)


def is_form(request: Request) -> bool:
    """Whether the body is a form of a browser, or of `curl -F`."""
    return request.headers.get("content-type", "").lower().startswith("multipart/")


def advice(request: Request) -> str | None:
    """What the sender of a request that no route takes is likely to want."""
    names = request.url.path.strip("/").split("/")
    if is_form(request) or (request.method == "POST" and names[-1] == "uploads"):
        return SEND_FILES
    if request.method not in ("POST", "PUT"):
        return None
    if names[-1] in ("segment", "retrain", "echo"):
        return _EXECUTE.format(names[-1])
    if names[-1] in ("processes", "jobs", "execution", "execute", ""):
        return _EXECUTE.format("segment")
    return SEND_FILES if request.method == "PUT" else None


def _is_taken(request: Request, method: str) -> bool:
    scope: Scope = {**request.scope, "method": method}
    routes: Any = request.app.routes
    return any(route.matches(scope)[0] is Match.FULL for route in routes)
