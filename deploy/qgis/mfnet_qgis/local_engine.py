"""The command `mfnet`, where it is installed on this machine: maps without a service.

It runs in a process of its own: QGIS's Python needs none of its packages.
"""

import os
import queue
import shutil
import subprocess
import threading

from qgis.core import QgsProcessingException, QgsSettings

from .http_requests import Cancelled

_LOOK_S = 0.2
_SHOWN = 5  # of its last lines, where it fails
# QGIS's own Python, GDAL and PROJ are no use to another program.
_OF_QGIS = ("PYTHONHOME", "PYTHONPATH", "GDAL_DATA", "GDAL_DRIVER_PATH", "PROJ_LIB", "PROJ_DATA")


def program():
    """Where `mfnet` is: as QGIS's setting mfnet/program or MFNET_PROGRAM says, or on the path.

    Returns:
        None where there is none.
    """
    given = QgsSettings().value("mfnet/program", "") or os.environ.get("MFNET_PROGRAM", "")
    return shutil.which(given or "mfnet")


def run(arguments, feedback):
    """Run `mfnet` to its end; what it says is told meanwhile.

    Raises:
        QgsProcessingException: It failed, in its own words.
        Cancelled: By the user.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OF_QGIS}
    process = subprocess.Popen(
        [program(), *map(str, arguments)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    lines = queue.Queue()
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    said = []
    try:
        while (line := _next(lines, feedback)) is not None:
            said = [*said, line][-_SHOWN:]
            feedback.pushInfo(line)
        if process.wait() != 0:
            raise QgsProcessingException("\n".join(said) or "mfnet ended without a word")
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _read(stream, lines):
    for line in stream:
        lines.put(line.rstrip())
    lines.put(None)


def _next(lines, feedback):
    """The next line, None at the end."""
    while not feedback.isCanceled():
        try:
            return lines.get(timeout=_LOOK_S)
        except queue.Empty:
            continue
    raise Cancelled("cancelled")
