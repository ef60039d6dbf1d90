"""A file at an address as rasterio opens it: read in pieces, each asked for until it is whole.

GDAL's own reader (`/vsicurl/`) takes an answer that ends early for the end of the file, and does
not ask again. So a process that GDAL may not reach the network from can read here, and nothing but
this one file.
"""

import io
import logging
import threading
import time
from collections import OrderedDict
from pathlib import Path

import httpx
from rasterio.abc import FileContainer

_log = logging.getLogger(__name__)
_PIECE_BYTES = 256 << 10
_MOST_PIECES = 32
_HELD = 128
_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
_TIMEOUT_S = 30.0


class LinkedFile(FileContainer):  # type: ignore[misc] # rasterio has no types
    """The file.

    Args:
        address: Of it; answers requests for ranges.
        size: Its bytes.
        path: By which rasterio asks for it.
    """

    def __init__(self, address: str, size: int, path: Path) -> None:
        self._address = address
        self._size = size
        self._path = str(path)
        self._pieces: OrderedDict[int, bytes] = OrderedDict()
        self._next, self._run = 0, 1
        self._lock = threading.Lock()
        self._client = httpx.Client(timeout=_TIMEOUT_S)

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    def read(self, start: int, stop: int) -> bytes:
        """Bytes from `start` to before `stop`, or the end.

        Raises:
            OSError: It cannot be read.
        """
        stop = min(stop, self._size)
        found = bytearray()
        while start < stop:
            number, skipped = divmod(start, _PIECE_BYTES)
            part = self._piece(number)[skipped : skipped + stop - start]
            found += part
            start += len(part)
        return bytes(found)

    def _piece(self, number: int) -> bytes:
        with self._lock:
            if number not in self._pieces:
                # One behind the other: twice as many each time. Here and there: one each.
                self._run = min(2 * self._run, _MOST_PIECES) if number == self._next else 1
                self._next = number + self._run
                self._fetch(number, self._run)
            self._pieces.move_to_end(number)
            while len(self._pieces) > _HELD:
                self._pieces.popitem(last=False)
            return self._pieces[number]

    def _fetch(self, number: int, count: int) -> None:
        start = number * _PIECE_BYTES
        content = self._asked(start, min(start + count * _PIECE_BYTES, self._size))
        for at in range(0, len(content), _PIECE_BYTES):
            self._pieces[number + at // _PIECE_BYTES] = content[at : at + _PIECE_BYTES]

    def _asked(self, start: int, stop: int) -> bytes:
        """A range, asked for until it is whole."""
        why = ""
        for pause_s in (*_PAUSES_S, 0.0):
            try:
                asked = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
                answer = self._client.get(self._address, headers=asked)
            except httpx.HTTPError as error:
                why = type(error).__name__  # its text may hold the address
            else:
                if answer.status_code == httpx.codes.PARTIAL_CONTENT:
                    if len(answer.content) == stop - start:
                        return answer.content
                    why = f"{len(answer.content)} of {stop - start} bytes"
                else:
                    why = f"status {answer.status_code}"
            time.sleep(pause_s)
        raise OSError(f"bytes {start} to {stop} cannot be had: {why}")

    # ---- as rasterio asks for it -----------------------------------------------------------

    def open(self, path: str, mode: str = "rb", **_: object) -> "_Reader":
        """The file, to read."""
        self._require(path)
        return _Reader(self, self._size)

    def isfile(self, path: str) -> bool:
        """Whether it is this file."""
        return path == self._path

    def isdir(self, path: str) -> bool:
        """There are none."""
        return False

    def ls(self, path: str) -> list[str]:
        """Nothing beside it."""
        return []

    def rm(self, path: str) -> None:
        """Nothing is removed."""
        raise PermissionError(path)

    def mtime(self, path: str) -> int:
        """It does not change."""
        return 0

    def size(self, path: str) -> int:
        """Its bytes."""
        self._require(path)
        return self._size

    def _require(self, path: str) -> None:
        if path != self._path:
            raise FileNotFoundError(path)


class _Reader(io.RawIOBase):
    """A place in the file."""

    def __init__(self, file: LinkedFile, size: int) -> None:
        self._file, self._size, self._at = file, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = begin + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        try:
            found = self._file.read(self._at, self._size if size < 0 else self._at + size)
        except OSError as error:
            _log.warning("%s", error)
            return b""  # by which GDAL fails to read; an exception it would not hand on
        self._at += len(found)
        return found
