"""Tiles of maps, drawn by a child process that is kept: the API itself opens no raster."""

import base64
import contextlib
import json
import select
import subprocess
import sys
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

from mfnet.service.db.tables import Job
from mfnet.service.domain.job import SEGMENT
from mfnet.service.domain.map_outputs import CONFIDENCE
from mfnet.service.errors import Busy, InspectionBroken, NoSuchResult, ResultNotReady
from mfnet.service.files.storage import Storage
from mfnet.service.operations.inspection.file_inspection import ENVIRONMENT

LAYERS = {"classes": "classes.tif", "confidence": CONFIDENCE[0]}
"""What may be looked at, and the file that it is drawn of."""

MOST_ZOOM = 24
_MODULE = "mfnet.model.cli.tiles"
_PATIENCE_S = 30.0
_WAIT_S = 10.0
_WAITING = 16
"""Requests that may wait for the child: each holds a thread, and 40 threads serve everybody."""
_REMEMBERED = 1000
"""Tiles, of some kilobytes each."""


class TileExtent(NamedTuple):
    """Where a map lies.

    Attributes:
        bounds: West, south, east, north, in degrees.
        minzoom: At which it fills about a tile.
        maxzoom: Beyond which there is no more to see.
    """

    bounds: tuple[float, float, float, float]
    minzoom: int
    maxzoom: int


class TileDrawer:
    """Draws one tile at a time; its child is started with the first.

    Args:
        storage: Where the maps are.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_WAITING)
        self._child: subprocess.Popen[str] | None = None
        self._drawn: OrderedDict[tuple[str, int, int, int], bytes] = OrderedDict()

    def extent(self, job: Job, layer: str) -> TileExtent:
        """Where a layer of a job's map lies.

        Raises:
            Busy: Too many ask at once.
            ResultNotReady: There is no map yet.
            NoSuchResult: No such layer, or nobody knows where the map lies.
        """
        told = self._ask({"raster": str(self._file(job, layer))})["extent"]
        if told is None:
            raise NoSuchResult("nobody knows where this map lies: it has no tiles", job=job.id)
        return TileExtent(tuple(told["bounds"]), told["minzoom"], told["maxzoom"])

    def draw(self, job: Job, layer: str, z: int, x: int, y: int) -> bytes:
        """A tile as PNG, transparent where the map is not.

        Raises:
            Busy, ResultNotReady, NoSuchResult: As `extent`; also for a tile that the zoom does not
                have.
        """
        file = self._file(job, layer)
        if not (z <= MOST_ZOOM and x < 2**z and y < 2**z):
            raise NoSuchResult(
                f"no tile {z}/{x}/{y}; expected a zoom of 0 to {MOST_ZOOM}, and columns and rows "
                "of 0 to 2^zoom - 1",
            )
        known = self._drawn.get((str(file), z, x, y))
        if known is None:
            look = "percent" if layer == "confidence" else "classes"
            asked = {"look": look, "statistics": str(file.with_name("statistics.json"))}
            told = self._ask({"raster": str(file), **asked, "z": z, "x": x, "y": y})
            known = self._remember((str(file), z, x, y), base64.b64decode(told["png"]))
        return known

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._end()

    def layers(self, job: Job) -> list[str]:
        """The layers that a job's map has."""
        if job.process != SEGMENT or job.result_epoch is None:
            return []
        folder = self._storage.folder(job.id, job.result_epoch)
        return [layer for layer, name in LAYERS.items() if (folder / name).is_file()]

    def _file(self, job: Job, layer: str) -> Path:
        if job.process == SEGMENT and job.result_epoch is None:
            raise ResultNotReady(f"job {job.id} is {job.state}; its tiles come with its map")
        known = self.layers(job)
        if layer not in known:
            raise NoSuchResult(f"no layer {layer!r}; there are: {', '.join(known)}", job=job.id)
        assert job.result_epoch is not None
        return self._storage.folder(job.id, job.result_epoch) / LAYERS[layer]

    def _remember(self, tile: tuple[str, int, int, int], png: bytes) -> bytes:
        """Keeps a tile, whose map never changes, for whoever asks next."""
        with self._lock:
            self._drawn[tile] = png
            if len(self._drawn) > _REMEMBERED:
                self._drawn.popitem(last=False)
        return png

    def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        if not self._places.acquire(timeout=_WAIT_S):
            raise Busy("too many tiles at once; ask again")
        try:
            with self._lock:
                answer = self._say_or_end(json.dumps(asked) + "\n")
        finally:
            self._places.release()
        if "error" in answer:
            raise InspectionBroken(f"no tile was drawn: {answer['error']}")
        return answer

    def _say_or_end(self, line: str) -> dict[str, Any]:
        """The child's answer; a child that gives none is ended, for it would answer the next."""
        try:
            return self._say(line)
        except (OSError, ValueError) as error:
            self._end()
            raise InspectionBroken(f"no tile was drawn: {error}") from error

    def _say(self, line: str) -> dict[str, Any]:
        if self._child is None or self._child.poll() is not None:
            self._end()
            self._child = _started()
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(line)
        child.stdin.flush()
        if not select.select([child.stdout], [], [], _PATIENCE_S)[0]:
            raise TimeoutError(f"nothing within {_PATIENCE_S:.0f} s")
        answer: dict[str, Any] = json.loads(child.stdout.readline())
        return answer

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            with contextlib.suppress(OSError), child:
                child.kill()


def _started() -> subprocess.Popen[str]:
    # Isolated (-I): neither the working directory nor an environment variable adds code.
    return subprocess.Popen(
        [sys.executable, "-I", "-X", "utf8", "-m", _MODULE],
        env=ENVIRONMENT,
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
