"""Files are looked at by a child process, fenced in: rasters by `mfnet inspect --json`, models by
`mfnet models`.

The API process itself opens neither. The child gets an environment of its own, with no secret in
it and GDAL reduced to the drivers of GeoTIFF and of two vector formats, and limits on memory and
time. It says what the file is (exit status 0) or why it is refused (2). A child that a signal or
the clock ended was ended by the file.
"""

import contextlib
import copy
import json
import os
import re
import subprocess
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mfnet.service.domain.option_names import as_inputs
from mfnet.service.domain.reading_inputs import as_arguments
from mfnet.service.errors import Busy, InspectionBroken, Refused
from mfnet.service.files import sidecar_files
from mfnet.service.operations.inspection.inspection_child import Children
from mfnet.service.runtime import gdal_env

Names = Mapping[str, str]

_PAIR = ("ortho", "height")

_WAITING = 16
"""Requests that may wait for one: each holds a thread, and 40 threads serve everybody."""

_OF_CORRECTIONS = re.compile(r"(?<![\w-])--(column|layer)(?![\w-])")
"""Options that a correction has as keys of its own."""
_DRAWERS = 4
"""Requests that draw or wait for it."""
_REMEMBERED = 256
"""Reports on pairs; of some kilobytes each."""
_DRAWING_S = 240
"""More for the pictures of a job: both rasters are read whole."""
_UNPACKED_BYTES_S = 50_000_000
"""At least."""
_GRACE_S = 10
"""For starting the interpreter, and for the child's own time limit to speak first."""

ENVIRONMENT: dict[str, str] = gdal_env.allowing(
    gdal_env.FENCE, *gdal_env.VECTORS, gdal_env.MOSAIC
) | {
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
        children: Who starts them; its own if not given.
    """

    def __init__(
        self,
        *,
        models_dir: Path,
        max_memory_mb: int,
        max_seconds: int,
        at_once: int,
        children: Children | None = None,
    ) -> None:
        self._models_dir = models_dir.resolve()
        self._max_seconds = max_seconds
        self._limits = ["--max-memory-mb", str(max_memory_mb), "--max-seconds", str(max_seconds)]
        self._places = threading.BoundedSemaphore(at_once)
        self._queue = threading.BoundedSemaphore(at_once + _WAITING)
        self._drawing = threading.BoundedSemaphore(1)
        self._unpacking = threading.BoundedSemaphore(1)
        self._drawers = threading.BoundedSemaphore(_DRAWERS)
        self._children = children or Children(ENVIRONMENT)
        self._pairs: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def keep_warm(self) -> None:
        """Have the imports of children done before the first file comes."""
        self._children.start()

    def close(self) -> None:
        """No further children."""
        self._children.close()

    def file(
        self, path: Path, names: Names, sidecar: str | None = None, *, quick: bool = False
    ) -> dict[str, Any]:
        """The report on one raster, whatever its role, or on what stands beside one.

        Args:
            path: The raster, or a folder of its tiles.
            names: What its sender calls it, by the name that it has on our disk.
            sidecar: What kind of sidecar it is, if it is one.
            quick: By headers and a sample of the blocks.

        Raises:
            Refused: The file is at fault; code and message are the inspection's.
            InspectionBroken: We are.
            Busy: Too many inspections at once.
        """
        arguments = [] if sidecar is None else ["--sidecar", sidecar]
        # What takes longer to decode is no fault of its sender's: the map's engine sees the rest.
        scan = ["--quick"] if quick else ["--scan-seconds", str(self._max_seconds / 2)]
        return self._inspect([str(path), *arguments, *scan], names)

    def unpacked(
        self, archive: Path, folder: Path, names: Names, max_bytes: int
    ) -> list[dict[str, Any]]:
        """Unpacks a zip of tiles; returns each one's `file`, `name` and `bytes`, none of another.

        Args:
            archive: The zip.
            folder: Empty.
            names: As in `file`.
            max_bytes: That may come out.

        Raises:
            Refused, InspectionBroken, Busy: As `file`.
        """
        # Whatever else is zipped waits for no tiles.
        asked = ["unpack", str(archive), str(folder)]
        if not self._ask([*asked, "--check", "--json", *self._limits], names)["holds_tiles"]:
            return []
        seconds = int(self._max_seconds + max_bytes / _UNPACKED_BYTES_S)
        limits = [*self._limits[:2], "--max-seconds", str(seconds)]
        room = ["--max-bytes", str(max_bytes), "--json"]
        with _place(self._queue, 0), _place(self._unpacking, self._max_seconds):
            child = self._run([*asked, *room, *limits], seconds + _GRACE_S)
        # What the tiles are called now is for us.
        found: list[dict[str, Any]] = _reading(child, names if child.returncode else {})["tiles"]
        return found

    def pair(
        self,
        files: Mapping[str, Path],
        model: str,
        options: Mapping[str, Any],
        names: Names,
        sums: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, Any]:
        """The quick report on a pair for a model: headers, grids, a sample; not every block.

        A report that was made is remembered, by what the files hold and what they are called: an
        upload never changes, and a model has its sha256 for a name.

        Args:
            files: By role: `ortho`, `height`, and what else the job reads.
            model: The file of the model.
            options: How they are to be read (`service/domain/reading_inputs.py`).
            names: As in `file`.
            sums: The sha256 of files, by role, as far as they are known.

        Raises:
            Refused, InspectionBroken, Busy: As `file`.
        """
        further = {role: file for role, file in files.items() if role not in _PAIR}
        arguments = [str(files[role]) for role in _PAIR if role in files]
        arguments += ["--quick", "--model", model, "--models-dir", str(self._models_dir)]
        arguments += as_arguments(further)
        arguments += as_arguments(options)
        contents = {role: _content(file, sums.get(role)) for role, file in files.items()}
        called = {role: names.get(file.name) for role, file in files.items()}
        asked = json.dumps([contents, called, model, names.get(model), dict(options)])
        known = self._pairs.get(asked)
        if known is None:
            known = self._pairs[asked] = self._inspect(arguments, names)
            if len(self._pairs) > _REMEMBERED:
                self._forget()
        return copy.deepcopy(known)

    def _forget(self) -> None:
        with contextlib.suppress(KeyError):  # another request has emptied it meanwhile
            self._pairs.popitem(last=False)

    def correction(
        self, the_map: Path, labels: Path, out: Path, options: Mapping[str, Any], names: Names
    ) -> dict[str, Any]:
        """Makes a label raster of a map and its correction; says what was corrected.

        Args:
            the_map: The folder of a job's results.
            labels: The correction: a class raster, or a file of polygons.
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

    def pictures(
        self,
        rasters: Mapping[str, Path],
        the_map: Path | None,
        reading: Mapping[str, Any],
        out: Path,
        names: Names,
    ) -> dict[str, Any]:
        """Draws rasters, and their map if there is one, for a screen; says what it drew.

        Args:
            rasters: By role: `ortho`, perhaps `height` and `dtm`; none of a map alone.
            the_map: The folder of a job's results.
            reading: How the rasters are to be read.
            out: An existing folder for the pictures.
            names: As in `file`.

        Raises:
            Refused, InspectionBroken, Busy: As `file`.
        """
        pair = [str(rasters[role]) for role in ("ortho", "height") if role in rasters]
        arguments = [*pair, "--out", str(out), "--json"]
        arguments += ["--dtm", str(rasters["dtm"])] if "dtm" in rasters else []
        arguments += ["--map", str(the_map)] if the_map is not None else []
        return self._draw(["pictures", *arguments, *as_arguments(reading)], names)

    def town(self, out: Path, side_px: int, seed: int) -> None:
        """Draws a synthetic pair: `ortho.tif` and `ndsm.tif` in `out`.

        Raises:
            InspectionBroken, Busy: As `file`.
        """
        self._draw(["town", str(out), "--size", str(side_px), "--seed", str(seed), "--json"], {})

    def _draw(self, arguments: list[str], names: Names) -> dict[str, Any]:
        """One at a time, and few wait: drawing keeps no upload from being looked at."""
        seconds = _DRAWING_S + self._max_seconds
        limits = ["--max-seconds", str(seconds)] if arguments[0] == "pictures" else []
        limits += self._limits[:2] if limits else []
        with _place(self._drawers, 0), _place(self._drawing, self._max_seconds):
            child = self._run([*arguments, *limits], seconds + _GRACE_S)
        return _reading(child, names)

    def installed(self) -> dict[str, Path]:
        """The files of the installed models that can be read, by name.

        Raises:
            InspectionBroken, Busy: As `file`.
        """
        found = self._ask(["models", "list", "--json", "--models-dir", str(self._models_dir)], {})
        # The registry keeps models, and their exports beside them; no export alone, which could
        # not be retrained.
        files = {row["name"]: Path(row["file"]) for row in found["models"] if "error" not in row}
        return {name: file for name, file in files.items() if file.suffix == ".safetensors"}

    def config(self, path: Path) -> dict[str, Any]:
        """What stands in a model's file beside its weights: its header alone is read.

        Raises:
            Refused, InspectionBroken, Busy: As `file`.
        """
        return self._ask(["models", "show", str(path)], {})

    def _inspect(self, arguments: list[str], names: Names) -> dict[str, Any]:
        how = ["--no-forecast", "--json", *self._limits]
        return self._ask(["inspect", *arguments, *how], names)

    def _ask(self, arguments: list[str], names: Names) -> dict[str, Any]:
        with _place(self._queue, 0), _place(self._places, self._max_seconds):
            child = self._run(arguments, self._max_seconds + _GRACE_S)
        return _reading(child, names)

    def _run(self, arguments: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
        try:
            return self._children.run(arguments, seconds)
        except subprocess.TimeoutExpired:
            raise _file_killed_it(f"it took more than {seconds:.0f} seconds") from None


def _content(file: Path, sha256: str | None) -> str:
    """A word for what a file holds, with the sidecars beside it."""
    alone = not any(path.exists() for path in sidecar_files.beside(file))
    return sha256 if sha256 is not None and alone else str(file)


@contextlib.contextmanager
def _place(places: threading.BoundedSemaphore, seconds: float) -> Iterator[None]:
    """Hold one of the places; `Busy` where none becomes free in time."""
    if not places.acquire(timeout=seconds):
        raise Busy("too many files are being inspected; try again")
    try:
        yield
    finally:
        places.release()


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


def _renamed(text: str, names: Names) -> str:
    """JSON with the senders' names in place of ours, which mean nothing to them.

    Whoever sends a request has no command line: `--height-offset 3` is `inputs.height_offset 3`.
    """
    text = _OF_CORRECTIONS.sub(r"\1", as_inputs(text))
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
