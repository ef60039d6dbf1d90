"""Class rasters as pictures of a screen's size: finished rows of a map while the others are still
computed, or a whole one.

A strip of a map that is being made appears whole. Processes that compute parts of one map write
into one folder.
"""

import time
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image

from mfnet.model.classes import NODATA, ClassScheme
from mfnet.model.raster.files.gdal_access import gdal

SIDE_PX = 1600
"""Longest side of a picture, or of the strips of one together."""

PAUSE_S = 2.0
"""Between two strips: a map of seconds needs one, and one of hours not thousands."""


class RowPreview:
    """Writes strips `<first row>-<rows>.png`, both in pixels of the map as it is shown.

    Args:
        folder: Where to; made if it is not there.
        height: Of the map, pixels.
        width: Likewise.
        scheme: Its classes.
    """

    def __init__(self, folder: Path, height: int, width: int, scheme: ClassScheme) -> None:
        self._folder = folder
        self._step = _step(height, width)
        self._colors = _colors(scheme)
        self._rows: list[NDArray[np.uint8]] = []
        self._first = 0
        self._written = time.monotonic()

    def add(self, row: int, classes_hW: NDArray[np.uint8]) -> None:
        """Takes finished rows, from the top.

        Args:
            row: The first of them.
            classes_hW: (h, W).
        """
        shown = classes_hW[-row % self._step :: self._step, :: self._step]
        if len(shown):
            if not self._rows:
                self._first = -(-row // self._step)
            self._rows.append(shown.copy())
        if time.monotonic() - self._written > PAUSE_S:
            self.flush()

    def flush(self) -> None:
        """Writes what was not written yet."""
        if not self._rows:
            return
        strip_hW = np.concatenate(self._rows)
        self._rows = []
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self._first}-{len(strip_hW)}.png"
        part = path.with_suffix(f".{time.monotonic_ns()}.part")
        _save(self._colors[strip_hW], part)
        part.replace(path)
        self._written = time.monotonic()


def draw_classes(classes: Path, out: Path, scheme: ClassScheme) -> None:
    """Draws a class raster of ours as a PNG, transparent where there is no class."""
    with gdal(classes), rasterio.open(classes) as raster:
        step = _step(raster.height, raster.width)
    _save(_colors(scheme)[read_thinned(classes, step)], out)


def read_thinned(path: Path, step: int) -> NDArray[np.uint8]:
    """Every so-manyth pixel of a raster of ours, classes or percents, (H, W)."""
    with gdal(path), rasterio.open(path, driver="GTiff", OVERVIEW_LEVEL="NONE") as raster:
        rows = range(0, raster.height, step)
        found_HW = np.empty((len(rows), -(-raster.width // step)), np.uint8)
        for number, row in enumerate(rows):
            window = ((row, row + 1), (0, raster.width))
            found_HW[number] = raster.read(1, window=window)[0, ::step]
    return found_HW


def _step(height: int, width: int) -> int:
    """Pixels of the raster from one of the picture's to the next."""
    return -(-max(height, width) // SIDE_PX)


def _save(shown_HW4: NDArray[np.uint8], path: Path) -> None:
    Image.fromarray(shown_HW4, "RGBA").save(path, "png", compress_level=1)


def _colors(scheme: ClassScheme) -> NDArray[np.uint8]:
    """A colour for each value of a byte, (256, 4); transparent where there is no class."""
    colors = np.zeros((NODATA + 1, 4), np.uint8)
    for value, each in enumerate(scheme.classes):
        colors[value] = [*bytes.fromhex(each.color[1:]), 255]
    return colors
