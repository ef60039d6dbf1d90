"""A file of a store of objects as an answer, as `DataFile` gives those of the data folder.

Its bytes pass through, as the client takes them; nothing is written to this machine's disk.
"""

import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from anyio import to_thread

from mfnet.service.api.answers.data_file import DataFile
from mfnet.service.errors import NoSuchResult
from mfnet.service.files.store import BLOCK_BYTES, Store

_MOST_BYTES = 8 << 20


class KeptFile(DataFile):
    """A file of a store, with an ETag, conditions and ranges.

    Args:
        store: Where it is kept.
        path: The file; chosen by us, never made of what a client sends.
        media_type: Of its content.
        filename: What a browser calls it when it saves it.
    """

    chunk_size = BLOCK_BYTES

    def __init__(self, store: Store, path: Path, *, media_type: str, filename: str) -> None:
        super().__init__(path, media_type=media_type, filename=filename)
        self._store = store

    def _status(self) -> os.stat_result:
        try:
            kept = self._store.stat(Path(self.path))
        except FileNotFoundError:
            name = str(self.filename)
            raise NoSuchResult(f"{name} is no longer there", name=name) from None
        times = (kept.modified,) * 3
        return os.stat_result((stat.S_IFREG, 0, 0, 0, 0, 0, kept.bytes, *map(int, times)))

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[Any]:
        yield _Reader(self._store, Path(self.path))


class _Reader:
    """Reads as the framework reads a file, and ahead of it: twice as far each time."""

    def __init__(self, store: Store, path: Path) -> None:
        self._store, self._path = store, path
        self._position, self._ahead = 0, b""
        self._next_bytes = 0

    async def seek(self, position: int) -> int:
        self._position, self._ahead, self._next_bytes = position, b"", 0
        return position

    async def read(self, size: int) -> bytes:
        if len(self._ahead) < size:
            self._next_bytes = min(max(size, 2 * self._next_bytes), _MOST_BYTES)
            self._ahead += await to_thread.run_sync(self._fetch, self._next_bytes)
        taken, self._ahead = self._ahead[:size], self._ahead[size:]
        return taken

    def _fetch(self, size: int) -> bytes:
        end = self._store.stat(self._path).bytes
        stop = min(self._position + size, end)
        got = b"".join(self._store.read(self._path, self._position, stop))
        self._position += len(got)
        return got
