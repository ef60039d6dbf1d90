"""`mfnet` that has imported what looking at a file takes, and forks a process for each command.

`python -m mfnet.model.cli.fork_server FD` reads requests from a socket until it is closed: a length
of eight bytes, with which come the descriptors of standard output, standard error and a pipe for
how it ends, and so many bytes of JSON: `arguments`, a list, and `seconds`, after which the process
is ended. Into that pipe goes its exit status, or minus the signal that ended it.

Each command is a process of its own with all that it looks at, forked from one that has seen
nothing; half a second of imports is spared. Linux and macOS.
"""

import contextlib
import gc
import json
import os
import signal
import socket
import sys
from typing import NoReturn

from mfnet.model.cli import main as command

LENGTH = 8
"""Bytes of the length before each request."""


def main() -> None:
    """Import, then serve until the other end is closed."""
    control = socket.socket(fileno=int(sys.argv[1]))
    _import_ahead()
    gc.freeze()  # what a child never frees, it need not copy
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the watchers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever has started us
    while True:
        header, streams, _, _ = socket.recv_fds(control, LENGTH, 3)
        if len(header) < LENGTH:
            return
        request = control.recv(int.from_bytes(header), socket.MSG_WAITALL)
        if os.fork() == 0:
            control.close()
            _watch(**json.loads(request), streams=streams)
        for stream in streams:
            os.close(stream)


def _watch(arguments: list[str], seconds: float, streams: list[int]) -> NoReturn:
    """Has a process run the command, ends it in time, and says how it ended."""
    *output, ended = streams
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    process = os.fork()
    if process == 0:
        os.close(ended)
        _run(arguments, *output)
    for stream in output:
        os.close(stream)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(process, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    _, status = os.waitpid(process, 0)
    with contextlib.suppress(OSError):  # nobody listens any more
        os.write(ended, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _run(arguments: list[str], out: int, err: int) -> NoReturn:
    """Is the command. Ends as soon as all is said: taking down the imports takes a while."""
    for stream, number in ((out, 1), (err, 2)):
        os.dup2(stream, number)
        os.close(stream)
    sys.argv[1:] = arguments
    status: object = 0
    try:
        command.main()
    except SystemExit as error:
        status = error.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


def _import_ahead() -> None:
    """What `inspect` imports and opens; the command itself says what is missing or broken."""
    with contextlib.suppress(Exception):
        import rasterio
        import rasterio.warp
        from pyproj import CRS

        from mfnet.model.cli import console, resource_limits  # noqa: F401
        from mfnet.model.inference import windows  # noqa: F401
        from mfnet.model.raster.pairs import (  # noqa: F401
            inspection,
            join_tiles,
            normalize,
            report,
        )
        from mfnet.model.weights import catalog  # noqa: F401

        command.assembled()
        with rasterio.Env():  # registers the drivers
            CRS.from_epsg(4326)  # opens PROJ's database


if __name__ == "__main__":
    main()
