"""What surrounds every request: an id, safe headers, a limit on small bodies, a last resort.

Plain ASGI, because the bodies that pass through are as large as rasters.
"""

import logging
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mfnet.service.api import problem_details

logger = logging.getLogger(__name__)

MAX_JSON_BYTES = 64 * 1024
"""More than any request that is no upload needs."""

_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    # Answers belong to the holder of a key; no shared cache may keep one.
    "Cache-Control": "private, no-cache",
}


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

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception:
            logger.exception("request %s failed", request_id)
            if started:
                raise
            response = problem_details.internal_error(request_id)
            await response(scope, receive, send_with_headers)


class SmallBodies:
    """Refuses a body over `MAX_JSON_BYTES` on every route but `PUT /uploads/…`, which has its own
    limit. The framework reads a JSON body whole before it asks who sends it.
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


def _is_upload(scope: Scope) -> bool:
    return bool(scope["method"] == "PUT" and scope["path"].startswith("/uploads/"))


async def _refuse() -> Message:
    raise _too_large()


def _too_large() -> HTTPException:
    return HTTPException(413, f"expected at most {MAX_JSON_BYTES} bytes here")
