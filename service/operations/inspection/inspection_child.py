"""The processes that look at strangers' files: one for each file, the next one started ahead.

A child looks at one file and ends, so nothing of a file reaches the next one's process. Half a
second of imports is over before a file comes: a child waits for its arguments on its standard
input, and ends where that is closed, as it is when we end.
"""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from subprocess import CompletedProcess, Popen

_MODULE = "mfnet.model.cli.waiting"


class Children:
    """Starts children and asks each one thing.

    Args:
        environment: Theirs, whole.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._spare: Popen[str] | None = None
        self._keeps = False
        self._lock = threading.Lock()

    def keep_one_ahead(self) -> None:
        """From now on, until `close`, a child waits for the next file."""
        self._keeps = True
        self._start_ahead()

    def close(self) -> None:
        """End the child that waits."""
        self._keeps = False
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is not None:
            with spare:
                spare.kill()

    def run(self, arguments: Sequence[str], seconds: float) -> CompletedProcess[str]:
        """What `mfnet` with these arguments says.

        Raises:
            subprocess.TimeoutExpired: It took longer than `seconds`, and was ended.
        """
        with self._taken() as child:
            try:
                out, err = child.communicate(json.dumps(list(arguments)) + "\n", seconds)
            except BaseException:
                child.kill()
                raise
            finally:
                self._start_ahead()
        return CompletedProcess(child.args, child.returncode, out, err)

    def _taken(self) -> Popen[str]:
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is None:
            return self._start()
        if spare.poll() is None:
            return spare
        with contextlib.suppress(OSError), spare:  # something has ended it while it waited
            pass
        return self._start()

    def _start_ahead(self) -> None:
        with self._lock:
            if self._keeps and self._spare is None:
                self._spare = self._start()

    def _start(self) -> Popen[str]:
        # Isolated (-I): neither the working directory nor an environment variable adds code.
        return Popen(
            [sys.executable, "-I", "-X", "utf8", "-m", _MODULE],
            env=self._environment,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
