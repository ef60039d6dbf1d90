"""The processes that look at strangers' files: one for each file, forked from one that is ready.

A child looks at one file and ends, so nothing of a file reaches the next one's process. Half a
second of imports is over before a file comes: children are forked from a process that has imported
all that they need, and that ends where its socket is closed, as it is when we end.
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from subprocess import CompletedProcess, Popen

_MODULE = "mfnet.model.cli.fork_server"
_LENGTH = 8
_START_S = 60
"""More than a child may take, for whoever forks it to start on a busy machine."""


class Children:
    """Starts children and asks each one thing.

    Args:
        environment: Theirs, whole.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._server: list[tuple[Popen[bytes], socket.socket]] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _end, self._server)  # for whoever does not close

    def start(self) -> None:
        """Have the imports done before the first file comes."""
        with self._lock:
            self._running()

    def close(self) -> None:
        """No further children; those at work end by themselves."""
        with self._lock:
            _end(self._server)

    def run(self, arguments: Sequence[str], seconds: float) -> CompletedProcess[str]:
        """What `mfnet` with these arguments says.

        Raises:
            subprocess.TimeoutExpired: It took longer than `seconds`, and was ended.
        """
        started = time.monotonic()
        pipes = [os.pipe() for _ in range(3)]
        try:
            self._ask(arguments, seconds, [theirs for _, theirs in pipes])
            out, err, ended = self._read([ours for ours, _ in pipes], seconds + _START_S)
        finally:
            for ours, _ in pipes:
                os.close(ours)
        status = int(ended or 1)  # whoever forks has been killed
        if status == -signal.SIGKILL and time.monotonic() - started >= seconds:
            raise subprocess.TimeoutExpired(list(arguments), seconds)
        said = [text.decode("utf-8", "replace") for text in (out, err)]
        return CompletedProcess(arguments, status, *said)

    def _ask(self, arguments: Sequence[str], seconds: float, streams: Sequence[int]) -> None:
        """Hands over a request, and the pipes' other ends, which are closed here."""
        request = json.dumps({"arguments": list(arguments), "seconds": seconds}).encode()
        try:
            with self._lock, suppress(OSError):  # it ends: nothing comes out of the pipes
                _, control = self._running()
                socket.send_fds(control, [len(request).to_bytes(_LENGTH)], streams)
                control.sendall(request)
        finally:
            for stream in streams:
                os.close(stream)

    def _read(self, streams: Sequence[int], seconds: float) -> list[bytes]:
        """Each stream to its end."""
        deadline = time.monotonic() + seconds
        found = {stream: bytearray() for stream in streams}
        with selectors.DefaultSelector() as selector:
            for stream in streams:
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:  # whoever forks hangs
                    self.close()
                    break
                for key, _ in ready:
                    if piece := os.read(key.fd, 1 << 16):
                        found[key.fd] += piece
                    else:
                        selector.unregister(key.fd)
        return [bytes(found[stream]) for stream in streams]

    def _running(self) -> tuple[Popen[bytes], socket.socket]:
        if self._server and self._server[0][0].poll() is not None:
            _end(self._server)
        if not self._server:
            ours, theirs = socket.socketpair()
            with theirs:
                self._server.append((_start(self._environment, theirs), ours))
        return self._server[0]


def _end(server: list[tuple[Popen[bytes], socket.socket]]) -> None:
    while server:
        process, control = server.pop()
        control.close()
        with process:
            process.kill()


def _start(environment: dict[str, str], control: socket.socket) -> Popen[bytes]:
    # Isolated (-I): neither the working directory nor an environment variable adds code.
    return Popen(
        [sys.executable, "-I", "-X", "utf8", "-m", _MODULE, str(control.fileno())],
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[control.fileno()],
    )
