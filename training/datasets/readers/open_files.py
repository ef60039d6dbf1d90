"""Files that stay open between windows: the ones last used, a bounded number of them.

Every reading says how large GDAL's cache may be: rasterio gives it back its default, a twentieth of
the machine's memory, as soon as an environment is left.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from mfnet.model.raster.files.gdal_access import CACHE_BYTES, OPEN_OPTIONS, gdal

MAX_OPEN = 64
"""Entries a thread; a tile has three files at most, and a process is allowed 1,024 as a rule."""


_DRIVERS = {".jpg": "JPEG", ".jpeg": "JPEG", ".jp2": "JP2OpenJPEG"}
"""By the ending of a name; else it is a TIFF."""


class Closable(Protocol):
    """What can be kept open."""

    def close(self) -> None:
        """Gives back what is held."""


Opened = TypeVar("Opened", bound=Closable)


class OpenFiles:
    """Opened things by key, each thread and process having its own: GDAL's are not to be shared.

    It may be pickled and forked; on the other side nothing is open.

    Args:
        limit: Entries a thread; the one used longest ago is closed first.
    """

    def __init__(self, limit: int = MAX_OPEN) -> None:
        self.limit = limit
        self._own = threading.local()

    def __reduce__(self) -> tuple[type["OpenFiles"], tuple[int]]:
        return OpenFiles, (self.limit,)

    def get(self, key: object, open_: Callable[[], Opened]) -> Opened:
        """What is open under a key; opened if it is not."""
        entries = self._entries()
        if key in entries:
            entries.move_to_end(key)
        else:
            while len(entries) >= self.limit:
                entries.popitem(last=False)[1].close()
            entries[key] = open_()
        found: Opened = entries[key]
        return found

    def read(self, path: Path, bands: Sequence[int], window: Window) -> NDArray[np.generic]:
        """A window (bands, h, w) of a TIFF as it is stored; it need not lie on any ground."""
        raster = self.get(path, lambda: open_raster(path))
        with gdal(path, CACHE_BYTES):
            values: NDArray[np.generic] = raster.read(list(bands), window=window)
        return values

    def shape(self, path: Path) -> tuple[int, int]:
        """Rows and columns of a TIFF."""
        raster = self.get(path, lambda: open_raster(path))
        return int(raster.height), int(raster.width)

    def close(self) -> None:
        """Closes what this thread has open."""
        entries = self._entries()
        while entries:
            entries.popitem()[1].close()

    def _entries(self) -> "OrderedDict[object, Any]":
        # A forked child shares file positions with its parent: it must open its own, and must not
        # close the parent's.
        if getattr(self._own, "pid", None) != os.getpid():
            self._own.pid, self._own.entries = os.getpid(), OrderedDict()
        entries: OrderedDict[object, Any] = self._own.entries
        return entries


def open_raster(path: Path) -> DatasetReader:
    """Opens a TIFF, JPEG or JPEG 2000 that may lie nowhere on the ground; no sidecar is looked at.

    Raises:
        RasterUnreadable: GDAL cannot.
    """
    driver = _DRIVERS.get(path.suffix.lower(), "GTiff")
    options = OPEN_OPTIONS if driver == "GTiff" else {}
    with gdal(path, CACHE_BYTES):
        return rasterio.open(path, driver=driver, **options)
