"""JSON answers: compressed for whoever takes gzip, and 304 for whoever has them already.

Plain ASGI. Only whole JSON answers are held back for it; files pass through as they are read.
"""

import gzip
import hashlib
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mfnet.service.api.answers.data_file import is_unchanged

_LEAST_BYTES = 1024  # below, gzip saves nothing worth its time
_LEVEL = 3
_TEXT = ("application/json", "application/problem+json", "application/vnd.oai.openapi+json")


class JsonAnswers:
    """Gives each JSON answer to a GET an ETag, and compresses JSON and HTML."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        await self.app(scope, receive, answer.send)


def takes_gzip(accepted: str) -> bool:
    """Whether `Accept-Encoding` lists gzip without a weight of zero."""
    for coding in accepted.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


class _Answer:
    """One answer on its way out."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_text(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        body, asked = bytes(self._body), Headers(scope=self._scope)
        headers = MutableHeaders(scope=start)
        headers.add_vary_header("Accept-Encoding")
        if start["status"] == 200 and self._scope["method"] == "GET":
            etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
            headers["ETag"] = etag
            if is_unchanged(asked, etag):
                start["status"], body = 304, b""
                del headers["content-type"]
        if len(body) >= _LEAST_BYTES and takes_gzip(asked.get("accept-encoding", "")):
            body = gzip.compress(body, _LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(body))
        if start["status"] == 304:
            del headers["content-length"]
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _is_text(start: Message) -> bool:
    headers: Any = Headers(raw=start["headers"])
    if "content-encoding" in headers or "content-range" in headers or "etag" in headers:
        return False
    kind = headers.get("content-type", "").partition(";")[0]
    return kind in _TEXT or kind == "text/html"
