"""`mfnet` as a process, forked from one that has imported what most commands need.

A start takes 30 ms in place of a second. It has arguments, streams, limits and an end of its own,
like a process of the shell; tests of the start itself use the true command line.
"""

import resource
import sys
import tempfile
import threading
import time
from multiprocessing.connection import wait
from os import dup2
from pathlib import Path
from typing import NamedTuple

from forked import context

_ONE_AT_A_TIME = threading.Lock()
"""A start looks at how other processes have ended, and a status can be read once: of two threads
that read it, one takes it for 255."""


class Said(NamedTuple):
    """How a command ended.

    Attributes:
        status: Its exit status; minus the signal that ended it.
        out: What it printed.
        err: What it said beside that.
        seconds: How long it took.
        peak_bytes: Its largest memory; 0 if a signal ended it.
    """

    status: int
    out: str
    err: str
    seconds: float
    peak_bytes: int


def mfnet(*arguments: object, timeout_s: float = 120) -> Said:
    """Run `mfnet ARGUMENTS`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.monotonic()
        process = context.Process(target=_run, args=(folder, [*map(str, arguments)]))
        with _ONE_AT_A_TIME:
            process.start()
        wait([process.sentinel], timeout_s)
        with _ONE_AT_A_TIME:
            process.join(0)
        seconds = time.monotonic() - started
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"mfnet {arguments} did not end within {timeout_s} s")
        said = [(folder / stream).read_text() for stream in ("out", "err")]
        peak = folder / "peak"
        return Said(process.exitcode, *said, seconds, int(peak.read_text()) if peak.exists() else 0)


def _run(folder: Path, arguments: list[str]) -> None:
    from mfnet.model.cli.main import main

    for number, stream in ((1, "out"), (2, "err")):
        with (folder / stream).open("wb") as file:
            dup2(file.fileno(), number)
    sys.argv = ["mfnet", *arguments]
    try:
        main()
    finally:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        (folder / "peak").write_text(str(peak))
