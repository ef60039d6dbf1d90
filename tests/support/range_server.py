"""A web server on this machine that hands out ranges of files, and says which were asked for."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple


class Asked(NamedTuple):
    """A request that was answered with bytes.

    Attributes:
        name: Of the file.
        start: The first byte.
        stop: The one behind the last.
    """

    name: str
    start: int
    stop: int


class RangeServer(NamedTuple):
    """A server at work.

    Attributes:
        address: Of its folder.
        asked: What has been fetched so far.
    """

    address: str
    asked: list[Asked]


@contextmanager
def range_server(folder: Path) -> Iterator[RangeServer]:
    """Serves the files of a folder on 127.0.0.1."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            content, asked_for = self._answer()
            self.wfile.write(content[asked_for.start : asked_for.stop])
            if content:
                asked.append(Asked(self._path().name, asked_for.start, asked_for.stop))

        def log_message(self, *_: object) -> None:
            """Says nothing."""

        def _path(self) -> Path:
            return folder / self.path.partition("?")[0].lstrip("/")

        def _answer(self) -> tuple[bytes, range]:
            """Sends the head; the file, and the part of it that is wanted."""
            there = self._path().is_file()
            content = self._path().read_bytes() if there else b""
            found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            part = range(len(content))
            if there and found:
                part = range(int(found[1]), min(int(found[2]) + 1, len(content)))
            self.send_response(404 if not there else 206 if found else 200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(part)))
            if found:
                self.send_header(
                    "Content-Range", f"bytes {part.start}-{part.stop - 1}/{len(content)}"
                )
            self.end_headers()
            return content, part

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield RangeServer(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
