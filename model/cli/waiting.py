"""`mfnet` that has imported what looking at a file takes, and waits for its arguments.

`python -m mfnet.model.cli.waiting` reads one line, a JSON list, from standard input, and is then
the command with these arguments. Whoever looks at one file after the other, each in a process of
its own, starts the next one ahead. Without a line it ends.
"""

import contextlib
import json
import os
import sys

from mfnet.model.cli import main as command


def main() -> None:
    """Import, wait, run."""
    _import_ahead()
    line = sys.stdin.readline()
    if line:
        sys.argv[1:] = json.loads(line)
        _run_and_leave()


def _run_and_leave() -> None:
    """Ends as soon as all is said: taking down what was imported takes a tenth of a second."""
    status: object = 0
    try:
        command.main()
    except SystemExit as ended:
        status = ended.code
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
