"""Files are looked at by a child process, fenced in: rasters by `mfnet inspect --json`, models by
`mfnet models`.

The API process itself opens neither. The child gets an environment of its own, with no secret in
it and GDAL reduced to the GeoTIFF driver, and limits on memory and time. It says what the file is
(exit status 0) or why it is refused (2). A child that a signal or the clock ended was ended by the
file.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mfnet.service.domain.reading_inputs import NAMES, as_arguments
from mfnet.service.errors import Busy, InspectionBroken, Refused
from mfnet.service.runtime import gdal_env

Names = Mapping[str, str]

_WAITING = 16
"""Requests that may wait for one: each holds a thread, and 40 threads serve everybody."""

# `rio edit-info --crs` is another program's.
_OPTION = re.compile(
    r"(?<![\w-])(?<!edit-info )--("
    + "|".join(name.replace("_", "-") for name in (*NAMES, "dtm", "no_collar"))
    + r")(?![\w-])"
)
_OF_CORRECTIONS = re.compile(r"(?<![\w-])--(column|layer)(?![\w-])")
"""Options that a correction has as keys of its own."""
_GRACE_S = 10
"""For starting the interpreter, and for the child's own time limit to speak first."""

ENVIRONMENT: dict[str, str] = gdal_env.FENCE | {
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_CACHEMAX": "64",
    "GDAL_NUM_THREADS": "1",
    # Each thread of these reserves address space, which the child's limit counts.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
# Whose data are followed is the child's to say (model/proj_data.py), as in a worker.
ENVIRONMENT |= {
    name: os.environ[name] for name in ("PROJ_DATA", "PROJ_LIB", "GDAL_DATA") if name in os.environ
}
"""The child's whole environment."""


class Inspector:
    """Runs inspections, a few at a time.

    Args:
        models_dir: Where `mfnet inspect --model` looks for models beside its own.
        max_memory_mb: Address space of a child.
        max_seconds: Time of a child.
        at_once: Children at a time. A few more wait as long as one may take, the rest come again.
    """

    def __init__(
        self, *, models_dir: Path, max_memory_mb: int, max_seconds: int, at_once: int
    ) -> None:
        self._models_dir = models_dir.resolve()
        self._max_seconds = max_seconds
        self._limits = ["--max-memory-mb", str(max_memory_mb), "--max-seconds", str(max_seconds)]
        self._places = threading.BoundedSemaphore(at_once)
        self._queue = threading.BoundedSemaphore(at_once + _WAITING)

    def file(self, path: Path, names: Names, sidecar: str | None = None) -> dict[str, Any]:
        """The report on one raster, whatever its role, or on what stands beside one.

        Args:
            path: The raster.
            names: What its sender calls it, by the name that it has on our disk.
            sidecar: What kind of sidecar it is, if it is one.

        Raises:
            Refused: The file is at fault; code and message are the inspection's.
            InspectionBroken: We are.
            Busy: Too many inspections at once.
        """
        arguments = [] if sidecar is None else ["--sidecar", sidecar]
        return self._inspect([str(path), *arguments], names)

    def pair(
        self,
        ortho: Path,
        height: Path,
        dtm: Path | None,
        model: str,
        reading: Mapping[str, Any],
        names: Names,
    ) -> dict[str, Any]:
        """The quick report on a pair for a model: headers, grids, a sample; not every block.

        Args:
            ortho: The orthophoto.
            height: The height raster.
            dtm: The terrain model.
            model: The file of the model.
            reading: How they are to be read (`service/domain/reading_inputs.py`).
            names: As in `file`.

        Raises:
            Refused, InspectionBroken, Busy: As `file`.
        """
        arguments = [str(ortho), str(height), "--quick", "--model", model]
        arguments += ["--models-dir", str(self._models_dir)]
        if dtm is not None:
            arguments += ["--dtm", str(dtm)]
        arguments += as_arguments(reading)
        return self._inspect(arguments, names)

    def correction(
        self, the_map: Path, labels: Path, out: Path, options: Mapping[str, Any], names: Names
    ) -> dict[str, Any]:
        """Makes a label raster of a map and its correction; says what was corrected.

        Args:
            the_map: The folder of a job's results.
            labels: The correction: a class raster, or a GeoPackage.
            out: The label raster to write.
            options: `column`, `layer` and `keep_map` of `mfnet correct`.
            names: As in `file`.

        Raises:
            Refused, InspectionBroken, Busy: As `file`.
        """
        arguments = [str(the_map / "classes.tif"), str(labels), "--out", str(out)]
        arguments += ["--statistics", str(the_map / "statistics.json")]
        # With an equals sign: what begins with a dash is a name all the same.
        arguments += [f"--{name}={options[name]}" for name in ("column", "layer") if options[name]]
        arguments += ["--keep-map"] if options["keep_map"] else []
        return self._ask(["correct", *arguments, "--json", *self._limits], names)

    def installed(self) -> dict[str, Path]:
        """The files of the installed models that can be read, by name.

        Raises:
            InspectionBroken, Busy: As `file`.
        """
        found = self._ask(["models", "list", "--json", "--models-dir", str(self._models_dir)], {})
        return {row["name"]: Path(row["file"]) for row in found["models"] if "error" not in row}

    def config(self, path: Path) -> dict[str, Any]:
        """What stands in a model's file beside its weights: its header alone is read.

        Raises:
            Refused, InspectionBroken, Busy: As `file`.
        """
        return self._ask(["models", "show", str(path)], {})

    def _inspect(self, arguments: list[str], names: Names) -> dict[str, Any]:
        return self._ask(["inspect", *arguments, "--json", *self._limits], names)

    def _ask(self, arguments: list[str], names: Names) -> dict[str, Any]:
        with _place(self._queue, 0), _place(self._places, self._max_seconds):
            child = _run(arguments, self._max_seconds + _GRACE_S)
        return _reading(child, names)


@contextmanager
def _place(places: threading.BoundedSemaphore, seconds: float) -> Iterator[None]:
    """Hold one of the places; `Busy` where none becomes free in time."""
    if not places.acquire(timeout=seconds):
        raise Busy("too many files are being inspected; try again")
    try:
        yield
    finally:
        places.release()


def _run(arguments: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    # Isolated (-I): neither the working directory nor an environment variable adds code.
    command = [sys.executable, "-I", "-X", "utf8", "-m", "mfnet.model.cli.main", *arguments]
    try:
        return subprocess.run(
            command, env=ENVIRONMENT, cwd="/", capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise _file_killed_it(f"it took more than {seconds:.0f} seconds") from None


def _reading(child: subprocess.CompletedProcess[str], names: Names) -> dict[str, Any]:
    """What the child said: its report, or an exception with its error."""
    if child.returncode < 0:
        raise _file_killed_it(f"it ended by signal {-child.returncode}")
    if child.returncode not in (0, 2):
        raise InspectionBroken(f"mfnet exited {child.returncode}: {child.stderr[-2000:]}")
    try:
        said: dict[str, Any] = json.loads(_renamed(child.stdout, names))
    except ValueError:
        raise InspectionBroken(f"mfnet said no JSON: {child.stderr[-2000:]}") from None
    if child.returncode == 0:
        return said
    error = said["error"]
    raise Refused(error["code"], error["message"], **error["params"])


def _as_input(option: re.Match[str]) -> str:
    """An option of the command line, and the same as an input of a job."""
    words = option.group(1).replace("-", "_")
    return f"inputs.{words.removeprefix('no_')}" + (" false" if words.startswith("no_") else "")


def _renamed(text: str, names: Names) -> str:
    """JSON with the senders' names in place of ours, which mean nothing to them.

    Whoever sends a request has no command line: `--height-offset 3` is `inputs.height_offset 3`.
    """
    text = _OF_CORRECTIONS.sub(r"\1", _OPTION.sub(_as_input, text))
    for ours, theirs in names.items():
        name = json.dumps(theirs)[1:-1]
        for ending in (".tfw", ".prj"):  # which stand in place of the raster's own ending
            text = text.replace(ours + ending, (name.rpartition(".")[0] or name) + ending)
        text = text.replace(ours, name)
    return text


def _file_killed_it(how: str) -> Refused:
    return Refused(
        "raster.unreadable",
        f"the file could not be inspected: {how}. Rewrite it: a raster as a plain tiled GeoTIFF "
        "(gdal_translate -co TILED=YES), polygons as a new GeoPackage",
    )
