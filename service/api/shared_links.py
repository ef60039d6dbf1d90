"""Addresses that need no key: `/shared/TOKEN` in front of those of one job's results and tiles.

A token names a job, its owner's key and an end, and is signed with a secret of the data folder; it
ends with the key, too. Whatever it is put in front of else is answered as without a key.
"""

import base64
import hmac
import struct
import time
from hashlib import sha256
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from mfnet.service.api.middleware import route_path

SHARED = "mfnet.shared"
"""Key of a request's scope: the `Shared` that its address stands for."""

_PREFIX = "/shared/"
_TOLD = struct.Struct(">16s16sI")
_SIGNATURE_BYTES = 16
_FOLDERS = ("results", "results.zip", "tiles", "wmts")
"""What of a job is shared."""


class Shared(NamedTuple):
    """What a token is good for.

    Attributes:
        job_id: The job.
        owner: Id of the key that it belongs to.
    """

    job_id: str
    owner: str


def token(secret: bytes, shared: Shared, expires: int) -> str:
    """What stands in an address.

    Args:
        secret: Of the data folder.
        shared: What it is good for.
        expires: Seconds since 1970.
    """
    ids = bytes.fromhex(shared.job_id), bytes.fromhex(shared.owner)
    told = _TOLD.pack(*ids, expires)
    return base64.urlsafe_b64encode(told + _signature(secret, told)).rstrip(b"=").decode()


def read_token(secret: bytes, given: str) -> Shared | None:
    """What a token is good for now; None for nothing."""
    try:
        raw = base64.urlsafe_b64decode(given + "=" * (-len(given) % 4))
    except ValueError:
        return None
    told, signature = raw[: _TOLD.size], raw[_TOLD.size :]
    if len(told) != _TOLD.size or not hmac.compare_digest(_signature(secret, told), signature):
        return None
    job_id, owner, expires = _TOLD.unpack(told)
    return Shared(job_id.hex(), owner.hex()) if expires > time.time() else None


class SharedLinks:
    """Takes the token out of an address.

    Args:
        app: What answers.
        secret: Of the data folder.
    """

    def __init__(self, app: ASGIApp, secret: bytes) -> None:
        self.app = app
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = route_path(scope) if scope["type"] == "http" else ""
        if path.startswith(_PREFIX):
            given, _, rest = path.removeprefix(_PREFIX).partition("/")
            # The framework takes the prefix off, and puts it in front of addresses that it gives.
            prefix = f"{scope.get('root_path', '')}{_PREFIX}{given}"
            scope = {**scope, "root_path": prefix, "path": f"{prefix}/{rest}"}
            shared = read_token(self._secret, given)
            if shared is not None and _is_shared(scope["method"], rest, shared.job_id):
                scope[SHARED] = shared
        await self.app(scope, receive, send)


def _is_shared(method: str, rest: str, job_id: str) -> bool:
    parts = rest.split("/")
    return (
        method == "GET"
        and parts[:2] == ["jobs", job_id]
        and parts[2:3] != []
        and (parts[2] in _FOLDERS)
    )


def _signature(secret: bytes, told: bytes) -> bytes:
    return hmac.digest(secret, told, sha256)[:_SIGNATURE_BYTES]
