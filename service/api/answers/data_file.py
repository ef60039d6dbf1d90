"""A file as an answer: whole, in ranges, or not at all where the client has it already (RFC 9110).

A Range header that is of another unit, or that nobody can read, is ignored, as the RFC allows: the
client gets the whole file.
"""

import os
import stat
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import (
    FileResponse,
    MalformedRangeHeader,
    RangeNotSatisfiable,
    Response,
)
from starlette.types import Receive, Scope, Send

from mfnet.service.api.middleware import AS_HEAD
from mfnet.service.errors import BadRange, NoSuchResult

_KEPT = ("etag", "last-modified", "cache-control", "vary")  # of a 304


class DataFile(FileResponse):
    """A file of the data folder, with an ETag, conditions and ranges.

    Args:
        path: The file; chosen by us, never made of what a client sends.
        media_type: Of its content.
        filename: What a browser calls it when it saves it.
    """

    def __init__(self, path: Any, *, media_type: str, filename: str) -> None:
        super().__init__(path, media_type=media_type, filename=filename)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = await to_thread.run_sync(self._status)
        self.stat_result = found
        self.set_stat_headers(found)
        headers = Headers(scope=scope)
        if is_unchanged(headers, self.headers["etag"], found.st_mtime):
            kept = {name: self.headers[name] for name in _KEPT if name in self.headers}
            await Response(status_code=304, headers=kept)(scope, receive, send)
            return
        if scope.get(AS_HEAD):
            # Ranges are defined for GET alone.
            named = [(name, value) for name, value in scope["headers"] if name != b"range"]
            scope = {**scope, "method": "HEAD", "headers": named}
        await super().__call__(scope, receive, send)

    def _status(self) -> os.stat_result:
        return _regular(self.path, str(self.filename))

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []  # the whole file
        except RangeNotSatisfiable:
            raise BadRange(
                f"Range: got {http_range!r}, expected bytes from 0 to {file_size - 1}",
                bytes=file_size,
            ) from None


def is_unchanged(headers: Headers, etag: str, changed: float | None = None) -> bool:
    """Whether a request's conditions say that its sender has this content already.

    Args:
        headers: Of the request.
        etag: Of the content.
        changed: When it was changed last, in seconds since 1970, where that is known.
    """
    if (known := headers.get("if-none-match")) is not None:
        ours = etag.removeprefix("W/")
        tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
        return ours in tags or tags == ["*"]
    if changed is None or (since := headers.get("if-modified-since")) is None:
        return False
    try:
        return int(changed) <= parsedate_to_datetime(since).timestamp()
    except (ValueError, OverflowError):  # no date: there is no condition
        return False


def _regular(path: str | os.PathLike[str], name: str) -> os.stat_result:
    gone = NoSuchResult(f"{name} is no longer there", name=name)
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        raise gone from None
    if not stat.S_ISREG(found.st_mode):
        raise gone
    return found
