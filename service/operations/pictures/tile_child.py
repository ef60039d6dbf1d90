"""A process that draws tiles, one after the other (`mfnet.model.cli.tiles`)."""

import contextlib
import json
import select
import subprocess
import sys
import threading
from typing import Any

from mfnet.service.errors import InspectionBroken
from mfnet.service.operations.inspection.file_inspection import ENVIRONMENT

_MODULE = "mfnet.model.cli.tiles"
_PATIENCE_S = 30.0
_ENDING_S = 0.5


class TileChild:
    """Started with the first question, and again where it was ended.

    Args:
        memory_mb: Address space that it may take; None for any.
    """

    def __init__(self, memory_mb: int | None = None) -> None:
        self._arguments = [] if memory_mb is None else [str(memory_mb)]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._is_last = False

    def ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Its answer; a process that gives none is ended, for it would answer the next.

        Raises:
            InspectionBroken: None, or an error.
        """
        with self._lock:
            try:
                answer = self._say(json.dumps(asked) + "\n")
            except (OSError, ValueError) as error:
                self._end()
                raise InspectionBroken(f"no tile was drawn: {error}") from error
            finally:
                if self._is_last:
                    self._end()
        if "error" in answer:
            raise InspectionBroken(f"no tile was drawn: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the process; who has waited for it still gets an answer, of one that then ends."""
        with self._lock:
            self._is_last = True
            self._end()

    @property
    def pid(self) -> int | None:
        """Of the process, if there is one."""
        return None if self._process is None else self._process.pid

    def _say(self, line: str) -> dict[str, Any]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = self._started()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line)
        process.stdin.flush()
        if not select.select([process.stdout], [], [], _PATIENCE_S)[0]:
            raise TimeoutError(f"nothing within {_PATIENCE_S:.0f} s")
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        return answer

    def _end(self) -> None:
        """It ends with its standard input, and takes its temporary files along; or is ended."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError), process:
            try:
                process.communicate(timeout=_ENDING_S)
            except (subprocess.TimeoutExpired, ValueError):
                process.kill()

    def _started(self) -> subprocess.Popen[str]:
        # Isolated (-I): neither the working directory nor an environment variable adds code.
        return subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", "-m", _MODULE, *self._arguments],
            env=ENVIRONMENT,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
