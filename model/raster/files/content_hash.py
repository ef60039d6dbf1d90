"""What a raster's contents are known by, wherever its files lie."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from mfnet.model.raster.files.mosaic import files_of

_CHUNK_BYTES = 64 << 20


def content_sha256(path: Path, still_at_it: Callable[[], None] = lambda: None) -> str:
    """The sha256 of a raster's file, hexadecimal.

    Of a mosaic that of its tiles' digests, one after another in the order in which they are laid.

    Args:
        path: Of the raster.
        still_at_it: Called between chunks of 64 MiB.
    """
    digests = [_of_file(file, still_at_it) for file in files_of(path)]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _of_file(path: Path, still_at_it: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            if file.tell() > _CHUNK_BYTES:
                still_at_it()
            digest.update(chunk)
    return digest.hexdigest()
