"""Tiles, drawn by children that are kept: the API itself opens no raster.

One child draws our own maps. What was uploaded is drawn by a child for each job, so that nothing of
a stranger's file reaches the process that draws another's.
"""

import base64
import json
import threading
from collections import OrderedDict
from typing import Any

from mfnet.service.errors import Busy
from mfnet.service.operations.pictures.tile_child import TileChild

_WAIT_S = 10.0
_WAITING = 16
"""Requests that may wait for a child: each holds a thread, and 40 threads serve everybody."""
_REMEMBERED = 1000
"""Tiles, of some kilobytes each."""
_OF_JOBS = 2
"""Children for uploads at a time."""


class TileDrawer:
    """Draws tiles and remembers them; its children are started with the first.

    Args:
        memory_mb: Address space of a child that reads uploads.
    """

    def __init__(self, memory_mb: int) -> None:
        self._memory_mb = memory_mb
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_WAITING)
        self._of_maps = TileChild()
        self._of_jobs: OrderedDict[str, TileChild] = OrderedDict()
        self._drawn: OrderedDict[str, bytes] = OrderedDict()

    def ask(self, asked: dict[str, Any], job_id: str | None = None) -> dict[str, Any]:
        """What a child says.

        Args:
            asked: As `mfnet.model.cli.tiles` takes it.
            job_id: The job whose uploads are read for it; None where our own maps alone are.

        Raises:
            Busy: Too many ask at once.
            InspectionBroken: The child failed.
        """
        if not self._places.acquire(timeout=_WAIT_S):
            raise Busy("too many tiles at once; ask again")
        try:
            return self._child(job_id).ask(asked)
        finally:
            self._places.release()

    def draw(self, asked: dict[str, Any], job_id: str | None = None) -> bytes:
        """A tile as PNG, from memory where it was drawn before: a map never changes.

        Args, Raises: As `ask`.
        """
        name = json.dumps(asked)
        with self._lock:
            known = self._drawn.get(name)
        if known is None:
            known = base64.b64decode(self.ask(asked, job_id)["png"])
            with self._lock:
                self._drawn[name] = known
                if len(self._drawn) > _REMEMBERED:
                    self._drawn.popitem(last=False)
        return known

    def close(self) -> None:
        """End the children."""
        with self._lock:
            children = [self._of_maps, *self._of_jobs.values()]
        for child in children:
            child.close()

    def _child(self, job_id: str | None) -> TileChild:
        if job_id is None:
            return self._of_maps
        oldest = None
        with self._lock:
            child = self._of_jobs.pop(job_id, None) or TileChild(self._memory_mb)
            self._of_jobs[job_id] = child
            if len(self._of_jobs) > _OF_JOBS:
                _, oldest = self._of_jobs.popitem(last=False)
        if oldest is not None:
            oldest.close()
        return child
