"""What surrounds every request: an id, safe headers, HEAD, a limit on small bodies, a last resort.

Plain ASGI, because the bodies that pass through are as large as rasters.
"""

import logging
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mfnet.service.api.answers import problem_details
from mfnet.service.runtime import logging_setup

logger = logging.getLogger(__name__)

MAX_JSON_BYTES = 64 * 1024
"""More than any request that is no upload needs."""

AS_HEAD = "mfnet.head"
"""Key of a request's scope: true where a HEAD is answered as the GET whose headers it asks for."""

_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    # Answers belong to the holder of a key; no shared cache may keep one.
    "Cache-Control": "private, no-cache",
}


CROSS_ORIGIN: dict[str, Any] = {
    "allow_methods": ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"],
    "allow_headers": [
        *("Authorization", "Content-Type", "Content-Digest", "Idempotency-Key", "Prefer"),
        *("Range", "If-Range", "If-None-Match", "If-Modified-Since"),
        *("Tus-Resumable", "Upload-Length", "Upload-Metadata", "Upload-Offset", "Upload-Checksum"),
    ],
    "expose_headers": [
        *("Location", "ETag", "Accept-Ranges", "Content-Range", "Content-Disposition", "Link"),
        *("Retry-After", "Preference-Applied", "X-Request-ID"),
        *("Tus-Resumable", "Upload-Length", "Upload-Offset", "Upload-Expires"),
    ],
    "max_age": 600,
}
"""What a page of an allowed origin may send and read. No credentials that a browser keeps: such a
page has to bring a key of its own."""


class Edge:
    """Gives each request an id and each response its headers; answers what nobody caught."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in _SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        with logging_setup.about(request=request_id):
            try:
                await self.app(scope, receive, send_with_headers)
            except Exception:
                logger.exception("request %s failed", request_id)
                if started:
                    raise
                response = problem_details.internal_error(request_id)
                await response(scope, receive, send_with_headers)


class Addresses:
    """Lets every GET route answer HEAD, without its body, and a slash at the end of an address; and
    says which prefix a proxy has put in front of all of them.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._root_path:
            scope = {**scope, "root_path": self._root_path}
        if scope["type"] == "http" and scope["method"] != "PUT":  # where the slash has a meaning
            if len(route_path(scope)) > 1:
                scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
            if scope["method"] == "HEAD":  # the server below us sends no body
                scope = {**scope, "method": "GET", AS_HEAD: True}
        await self.app(scope, receive, send)


class SmallBodies:
    """Refuses a body over `MAX_JSON_BYTES` on every route but those that take uploads, which have
    their own limit. The framework reads a JSON body whole before it asks who sends it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_upload(scope):
            await self.app(scope, receive, send)
            return
        left = MAX_JSON_BYTES

        async def receive_limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise _too_large()
            return message

        declared = Headers(scope=scope).get("content-length", "0")
        await self.app(scope, _refuse if int(declared) > left else receive_limited, send)


def route_path(scope: Scope) -> str:
    """The path below the prefix that a proxy may have left in front of it."""
    path, prefix = str(scope["path"]), scope.get("root_path", "")
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path


def _is_upload(scope: Scope) -> bool:
    sends = scope["method"] in ("PUT", "PATCH", "POST")
    return bool(sends and route_path(scope).startswith("/uploads/"))


async def _refuse() -> Message:
    raise _too_large()


def _too_large() -> HTTPException:
    return HTTPException(413, f"expected at most {MAX_JSON_BYTES} bytes here")
