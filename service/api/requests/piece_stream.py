"""A piece of an upload (tus 1.0) to the end of its file: constant memory, and checked where the
client sent a checksum of it along."""

import base64
import hashlib
from typing import BinaryIO, NamedTuple

from anyio import to_thread
from fastapi import Request
from starlette.requests import ClientDisconnect

from mfnet.service.errors import BadPiece, PieceMismatch, UploadIncomplete
from mfnet.service.files.incoming import Incoming

MEDIA_TYPE = "application/offset+octet-stream"
ALGORITHMS = {"sha256": 32, "sha1": 20}
"""Of checksums, with the bytes of a digest."""

_BLOCK_BYTES = 1 << 20


class PieceChecksum(NamedTuple):
    """What a piece hashes to.

    Attributes:
        algorithm: One of `ALGORITHMS`.
        digest: The hash.
    """

    algorithm: str
    digest: bytes


def piece_checksum(header: str | None) -> PieceChecksum | None:
    """`Upload-Checksum`: an algorithm and a digest in base64.

    Raises:
        BadPiece: It is none that is known.
    """
    if header is None:
        return None
    algorithm, _, value = header.strip().partition(" ")
    try:
        digest = base64.b64decode(value, validate=True)
    except ValueError:
        digest = b""
    if len(digest) != ALGORITHMS.get(algorithm, -1):
        raise BadPiece(
            f"Upload-Checksum: got {header!r}, expected one of {', '.join(ALGORITHMS)} and the "
            "digest in base64",
            algorithms=list(ALGORITHMS),
        )
    return PieceChecksum(algorithm, digest)


async def append(
    request: Request, file: BinaryIO, about: Incoming, checksum: PieceChecksum | None
) -> int:
    """Adds a request's body block by block, as far as it comes.

    Args:
        request: Whose body is the piece.
        file: At its end.
        about: The upload; no more than its length is taken.
        checksum: Of the piece, where it was sent along.

    Returns:
        The new offset.

    Raises:
        BadPiece: More bytes came than the upload has.
        UploadIncomplete: The client left.
        PieceMismatch: Other bytes came than announced.
    """
    block = bytearray()
    digest = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None

    def flush() -> None:
        if digest is not None:
            digest.update(block)
        file.write(block)
        file.flush()
        block.clear()

    try:
        async for chunk in request.stream():
            block += chunk
            if file.tell() + len(block) > about.length:
                raise too_long(about)
            if len(block) >= _BLOCK_BYTES:
                await to_thread.run_sync(flush)
    except ClientDisconnect:
        await to_thread.run_sync(flush)
        raise UploadIncomplete("the connection ended; go on where HEAD says") from None
    await to_thread.run_sync(flush)
    if checksum is not None and digest is not None and digest.digest() != checksum.digest:
        raise PieceMismatch(
            f"the piece has another {checksum.algorithm} than Upload-Checksum said; send it again",
            algorithm=checksum.algorithm,
            got=digest.hexdigest(),
            expected=checksum.digest.hex(),
        )
    return file.tell()


def too_long(about: Incoming) -> BadPiece:
    """The refusal of bytes behind the announced end."""
    return BadPiece(f"more bytes than Upload-Length said: {about.length}", length=about.length)
