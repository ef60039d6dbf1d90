"""Processes forked from one that has imported what they need: a start costs little.

Workers are processes like those of the command line, which other tests start, with an environment,
a log and an engine of their own; they can be stopped and killed. `command_line` forks commands.
"""

import os
import sys
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

context = get_context("forkserver")
context.set_forkserver_preload(
    [
        *("mfnet.service.worker.main", "mfnet.service.cli.settings_options"),
        *("mfnet.model.cli.main", "mfnet.model.raster.pairs.inspection"),
    ]
)


class Worker(psutil.Process):
    """A worker process; what `psutil` says of it, and how it ended."""

    def __init__(self, process: BaseProcess) -> None:
        super().__init__(process.pid)
        self._process = process

    def wait(self, timeout: float | None = None) -> int:
        """The exit status; minus the signal that ended it."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise psutil.TimeoutExpired(timeout, self.pid)
        return self._process.exitcode


def start_worker(data_dir: Path, environment: dict[str, str], log: Path) -> Worker:
    """What `mfnet worker --data-dir DATA_DIR` starts."""
    process = context.Process(target=_work, args=(data_dir, environment, log))
    process.start()
    return Worker(process)


def _work(data_dir: Path, environment: dict[str, str], log: Path) -> None:
    from mfnet.service.cli.settings_options import settings_of
    from mfnet.service.worker.main import work

    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.exit(work(settings_of(data_dir=data_dir)))
