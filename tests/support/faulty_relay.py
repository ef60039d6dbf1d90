"""A way to a web server on which requests and answers meet with accidents."""

import contextlib
import http.client
import itertools
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = ("503", "refused", "lost answer", "cut answer", "slow")
"""An answer of the relay's own; the connection ends before the request reaches the server, or after
it has; it ends in the middle of the answer; the answer takes its time."""

_HOP = {"connection", "keep-alive", "transfer-encoding", "date", "server", "content-length"}


class FaultyRelay:
    """Hands requests on.

    Args:
        port: Of the server, on loopback.

    Attributes:
        address: To connect to.
        met: The accidents so far.
    """

    def __init__(self, port: int) -> None:
        relay = self
        self.met: list[str] = []
        self._faults: Iterator[str | None] = itertools.repeat(None)
        self._lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _hand_on(self) -> None:
                relay._answer(self, port)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _hand_on

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Says nothing: clients leave, too."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def meet(self, faults: Sequence[str | None]) -> None:
        """From now on the requests meet with these, one after the other, and again from the first;
        None: with nothing."""
        with self._lock:
            self._faults = itertools.cycle(faults) if faults else itertools.repeat(None)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, client: BaseHTTPRequestHandler, port: int) -> None:
        with self._lock:
            fault = next(self._faults)
        if fault is not None:
            self.met.append(fault)
        length = int(client.headers.get("Content-Length") or 0)
        if fault == "refused":
            _reset(client)
            return
        body = client.rfile.read(length)
        if fault == "503":
            client.send_response(503)
            client.send_header("Content-Length", "0")
            client.end_headers()
            return
        server = http.client.HTTPConnection("127.0.0.1", port)
        with contextlib.closing(server):
            server.request(client.command, client.path, body, dict(client.headers))
            reply = server.getresponse()
            content = reply.read()
        if fault == "lost answer":
            _reset(client)
            return
        client.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in _HOP:
                client.send_header(name, value)
        told = reply.getheader("Content-Length") if client.command == "HEAD" else len(content)
        client.send_header("Content-Length", str(told or 0))
        client.end_headers()
        half = len(content) // 2
        client.wfile.write(content[:half])
        if fault == "cut answer" and client.command != "HEAD":
            client.wfile.flush()
            _reset(client)
            return
        if fault == "slow":
            client.wfile.flush()
            time.sleep(0.2)
        client.wfile.write(content[half:])


def _reset(client: BaseHTTPRequestHandler) -> None:
    """Ends the connection at once, not in order."""
    client.close_connection = True
    linger = struct.pack("ii", 1, 0)
    client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    with contextlib.suppress(OSError):
        client.connection.shutdown(socket.SHUT_RDWR)
