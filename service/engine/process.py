"""The engine: a child process that computes, so that only the child dies of a crash.

Requests go to its standard input and replies come from its standard output; see `protocol`.

The child is started by exec, not fork, without secrets and with GDAL's drivers restricted, since it
opens strangers' rasters. It keeps the last model loaded between requests, and ends when its
standard input does: when this process is killed, the kernel closes the pipe.
"""

import logging
import queue
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from pydantic import ValidationError

from mfnet.service.engine.protocol import REPLY, Reply, Request
from mfnet.service.runtime import gdal_env
from mfnet.service.settings import environment_without_secrets

_log = logging.getLogger(__name__)

ENVIRONMENT = gdal_env.allowing(
    gdal_env.FENCE, *gdal_env.VECTORS, gdal_env.MOSAIC, gdal_env.POLYGONIZING
)
"""Of an engine, beside its parent's."""


class EngineDied(Exception):
    """The child ended, or wrote what is no reply, in the middle of a request."""


class Engine:
    """One engine process, started when needed. For use by one thread.

    Args:
        command: The program and its arguments.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._child: subprocess.Popen[str] | None = None
        self._replies: queue.SimpleQueue[str] = queue.SimpleQueue()

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is none."""
        return self._child.pid if self._child else None

    def send(self, request: Request) -> None:
        """Starts on a request; the one before must have been answered.

        Raises:
            EngineDied: It does not take the request.
        """
        if self._child is None or self._child.poll() is not None:
            self._start()
        assert self._child is not None
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(request.model_dump_json() + "\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None

    def receive(self, timeout: float) -> Reply | None:
        """The next reply; None where none came within `timeout` seconds.

        Raises:
            EngineDied: None will come any more.
        """
        try:
            line = self._replies.get(timeout=timeout)
        except queue.Empty:
            return None
        if not line:
            raise self._died()
        try:
            return REPLY.validate_json(line)
        except ValidationError:
            self.stop()
            raise EngineDied(f"the engine wrote {line[:80]!r}, which is no reply") from None

    def stop(self) -> None:
        """End the child at once, in the middle of a request or not."""
        if self._child is None:
            return
        self._child.kill()
        self._child.wait()
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):  # what it did not take is still in the buffer
            self._child.stdin.close()
        self._child = None

    def _start(self) -> None:
        self.stop()
        # In a session of its own: Ctrl-C on a terminal is for the supervisor to handle.
        self._child = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",  # what is no text is no reply either, and shall be seen as such
            env=environment_without_secrets() | ENVIRONMENT,
            start_new_session=True,
        )
        # Each child has a queue of its own, so that nothing of a former one is left in it.
        self._replies = queue.SimpleQueue()
        threading.Thread(
            target=_pump, args=(self._child.stdout, self._replies), name="engine", daemon=True
        ).start()
        _log.info("engine started as process %d", self._child.pid)

    def _died(self) -> EngineDied:
        assert self._child is not None
        try:
            status = self._child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            status = None
        self.stop()
        if status is None:
            return EngineDied("the engine closed its output")
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return EngineDied(f"the engine ended with {how}")


def _pump(lines: IO[str], into: "queue.SimpleQueue[str]") -> None:
    try:
        with lines:
            for line in lines:
                into.put(line)
    finally:
        into.put("")  # or whoever listens would wait out MFNET_STALL_S
