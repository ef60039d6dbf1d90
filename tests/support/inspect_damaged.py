"""Inspects files one after the other, each in a process of its own: FILE … to JSON lines.

The service's limits hold for each: memory, time. A line says how the process ended and how long it
took; a signal means that the file killed it.
"""

import json
import os
import sys
import time
from pathlib import Path

MEMORY_MB, SECONDS = 1024, 10


def main() -> None:
    from mfnet.model.raster.pairs import inspection  # noqa: F401  imported once, before the processes part

    for name in sys.argv[1:]:
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            os._exit(inspect(Path(name)))
        _, status = os.waitpid(child, 0)
        told = {
            "file": name,
            "exit": os.waitstatus_to_exitcode(status),
            "seconds": time.monotonic() - started,
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def inspect(path: Path) -> int:
    from mfnet.model.cli.resource_limits import limit
    from mfnet.model.errors import InputError
    from mfnet.model.raster.pairs.inspection import inspect_raster

    limit(MEMORY_MB, SECONDS)
    try:
        inspect_raster(path)
    except InputError:
        return 2
    except BaseException:
        import traceback

        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
