"""A request's body to a file: constant memory, checked, and whole or not there at all.

The body goes to `<target>.part`, which is flushed to the disk and renamed only when every byte has
come and every check has passed. Whatever happens before that leaves no `target`, and all but a
killed process leaves no `.part` either; that one the reconciler removes.
"""

import base64
import errno
import hashlib
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread
from starlette.requests import ClientDisconnect

from mfnet.service.errors import (
    BadChecksum,
    ChecksumMismatch,
    StorageFull,
    UploadEmpty,
    UploadIncomplete,
    UploadTooLarge,
)
from mfnet.service.files.storage import PART

_BLOCK_BYTES = 1 << 20  # one hop to a thread for each; the socket's own chunks are 16 times smaller
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Received:
    """What came."""

    bytes: int
    sha256: str


def announced_sha256(parameter: str | None, content_digest: str | None) -> str | None:
    """The SHA-256 that the client says the body has, in lower-case hex.

    Args:
        parameter: `?sha256=HEX`.
        content_digest: The header of RFC 9530, `sha-256=:BASE64:`, perhaps among other digests.

    Raises:
        BadChecksum: Neither form, or two that differ.
    """
    announced = {parameter.lower()} if parameter is not None else set()
    for digest in (content_digest or "").split(","):
        algorithm, _, value = digest.strip().partition("=")
        if algorithm.lower() == "sha-256":
            announced.add(_hex_of(value))
    if not announced:
        return None
    sha256 = announced.pop()
    if announced or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise BadChecksum("expected one SHA-256: ?sha256=HEX or Content-Digest: sha-256=:BASE64:")
    return sha256


async def receive(
    body: AsyncIterator[bytes],
    target: Path,
    *,
    limit_bytes: int,
    declared_bytes: int | None,
    sha256: str | None,
) -> Received:
    """Writes a body to `target`.

    Args:
        body: Chunks of any size; `ClientDisconnect` when the client leaves early.
        target: Where the file appears once it is whole; its folder exists.
        limit_bytes: The most that is taken.
        declared_bytes: `Content-Length`, where the client sent one.
        sha256: What the client says the bytes hash to, in hex.

    Raises:
        UploadTooLarge: Declared or arrived over the limit.
        UploadIncomplete: The client left, or fewer bytes came than declared.
        UploadEmpty: No byte came.
        ChecksumMismatch: Other bytes came than announced.
        StorageFull: No room left.
    """
    if declared_bytes is not None and declared_bytes > limit_bytes:
        raise _too_large(limit_bytes)
    part = target.with_name(target.name + PART)
    try:
        with storing(part.name):
            received = await _write(body, part, limit_bytes)
            _check(received, declared_bytes, sha256)
            await to_thread.run_sync(part.rename, target)
    except ClientDisconnect:
        raise UploadIncomplete("the connection ended before the file did; send it again") from None
    finally:
        part.unlink(missing_ok=True)  # gone already where all went well
    return received


@contextmanager
def storing(name: str) -> Iterator[None]:
    """Where a file is written; `StorageFull` where there is no room for it."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise StorageFull(f"no room for {name}: {error.strerror}") from error
        raise


async def _write(body: AsyncIterator[bytes], part: Path, limit_bytes: int) -> Received:
    """Appends the body block by block, flushed to the disk at the end."""
    digest, size, block = hashlib.sha256(), 0, bytearray()

    def flush(file: BinaryIO) -> None:
        digest.update(block)
        file.write(block)
        block.clear()

    def close(file: BinaryIO) -> None:
        flush(file)
        file.flush()
        os.fsync(file.fileno())

    with part.open("xb") as file:
        async for chunk in body:
            size += len(chunk)
            if size > limit_bytes:
                raise _too_large(limit_bytes)
            block += chunk
            if len(block) >= _BLOCK_BYTES:
                await to_thread.run_sync(flush, file)
        await to_thread.run_sync(close, file)
    return Received(size, digest.hexdigest())


def _check(received: Received, declared_bytes: int | None, sha256: str | None) -> None:
    if not received.bytes:
        raise UploadEmpty("the body is empty; send the file's bytes, as curl -T FILE does")
    if declared_bytes not in (None, received.bytes):
        raise UploadIncomplete(f"got {received.bytes} bytes, expected {declared_bytes}")
    if sha256 not in (None, received.sha256):
        raise ChecksumMismatch(
            f"got sha256 {received.sha256}, expected {sha256}; send the file again",
            got=received.sha256,
            expected=sha256,
        )


def _hex_of(value: str) -> str:
    """A byte sequence of RFC 8941 (`:BASE64:`) as hex; no hex at all where it is none."""
    try:
        return base64.b64decode(value.strip().strip(":"), validate=True).hex()
    except ValueError:  # binascii.Error is one; a letter beyond ASCII gives the plain kind
        return "invalid"


def _too_large(limit_bytes: int) -> UploadTooLarge:
    return UploadTooLarge(
        f"the file is over the limit of {limit_bytes} bytes", limit_bytes=limit_bytes
    )
