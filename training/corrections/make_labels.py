"""A user's correction of a map becomes labels: compared with the map, and written on its grid."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from rasterio.windows import Window

from mfnet.model.atomic_files import check_outputs
from mfnet.model.classes import NODATA, ClassScheme
from mfnet.model.errors import EmptyCorrection, TooSmall
from mfnet.model.raster.files.gdal_access import gdal
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.cog import BLOCK_PX, CogWriter
from mfnet.model.raster.products.map_scheme import read_scheme
from mfnet.model.raster.vectors.polygon_formats import is_polygons
from mfnet.training.corrections.correction_files import (
    Corrected,
    CorrectedPolygons,
    CorrectedRaster,
)

_WINDOW_TAG = "MFNET_WINDOW"
_STRIP_PIXELS = 8 << 20
"""At once: 64 MB as the 64-bit integers that they are counted by."""


class ClassChange(BaseModel):
    """What a correction says of a class; pixels."""

    name: str
    mapped: int = Field(description="the map's, of those that are labelled")
    labelled: int = Field(description="the user's")
    kept: int = Field(description="of this class in both")
    changed_share: float | None = Field(description="of the map's pixels, those now another class")


class CorrectionReport(BaseModel):
    """What a correction says, and of which classes."""

    kind: str = Field(description="raster or polygons")
    scheme: ClassScheme
    pixels: int = Field(description="of the map, with a class")
    labelled: int = Field(description="of them, those that the labels say something of")
    changed: int = Field(description="of these, those of another class than the map's")
    classes: list[ClassChange]
    remarks: list[str]


def correct(
    classes: Path,
    statistics: Path,
    correction: Path,
    out: Path,
    *,
    column: str = "class",
    layer: str | None = None,
    keep_map: bool = False,
) -> CorrectionReport:
    """Makes a label raster of a map and its correction.

    Args:
        classes: The map, as `segment` wrote it.
        statistics: The map's, which say what its numbers mean.
        correction: The whole map corrected, a GeoTIFF on its grid; or polygons in a vector
            file, which say something of the pixels whose centres lie in them.
        out: The label raster to write, a COG on the map's grid; 255 is not to be learned.
        column: Of polygons, holds the class: its name or number.
        layer: Of polygons; the only one if not given.
        keep_map: Where polygons say nothing, take the map's class and not 255.

    Raises:
        OtherGrid: A raster that does not lie on the map's grid.
        WrongClasses, BadLabels: Classes that the map does not have.
        EmptyCorrection: Nothing differs, nothing is labelled, or the polygons lie elsewhere.
        TooSmall: The map is smaller than a window of the model that made it.
        InputError: The file is damaged, or is neither.
    """
    check_outputs((classes, correction), (out,))
    scheme = read_scheme(statistics)
    with GeoTiff(classes, Role.LABELS) as the_map:
        _require_a_window(the_map)
        source = _opened(correction, the_map, scheme, column, layer)
        try:
            changes, drawn = (
                _Changes(scheme, correction.name),
                isinstance(source, CorrectedPolygons),
            )
            # One thread: each would reserve address space, which the service limits.
            with CogWriter(
                out, the_map.grid, description="labels", scheme=scheme, threads=1
            ) as labels:
                for window in _strips(the_map.grid):
                    was = the_map.read(window)[0][0]
                    told = source.read(window)
                    if drawn and keep_map:
                        told = np.where(told == NODATA, was, told)
                    changes.add(was, told)
                    labels.write(window.row_off, told)
                remarks = source.finish()
                kind = "polygons" if drawn else "raster"
                return changes.report(kind, remarks, anew=drawn and not keep_map)
        finally:
            source.close()


def _opened(
    correction: Path, the_map: GeoTiff, scheme: ClassScheme, column: str, layer: str | None
) -> Corrected:
    if is_polygons(correction):
        return CorrectedPolygons(correction, the_map.grid, scheme, column, layer)
    return CorrectedRaster(correction, the_map.grid, scheme)


def _strips(grid: Grid) -> Iterator[Window]:
    """Full-width windows from the top."""
    rows = max(1, min(BLOCK_PX, _STRIP_PIXELS // grid.width))
    for row in range(0, grid.height, rows):
        yield Window(0, row, grid.width, min(rows, grid.height - row))


def _require_a_window(the_map: GeoTiff) -> None:
    with gdal(the_map.path):
        window_px = int(the_map.dataset.tags().get(_WINDOW_TAG, 1))
    height, width = the_map.grid.height, the_map.grid.width
    if min(height, width) < window_px:
        raise TooSmall(
            f"{the_map.path.name}: the map has {height} × {width} pixels; expected at least "
            f"{window_px} a side, a window of the model, as training takes whole windows: map a "
            "larger part of the orthophoto and correct that",
            file=the_map.path.name,
            window_px=window_px,
        )


class _Changes:
    """Counts pixels by what the map says of them and what the user says."""

    def __init__(self, scheme: ClassScheme, file: str) -> None:
        self._scheme, self._file = scheme, file
        side = NODATA + 1
        self._counts = np.zeros((side, side), np.int64)  # by the map's class, then the user's

    def add(self, was: NDArray[np.uint8], told: NDArray[np.uint8]) -> None:
        """Counts rows, (h, W) each."""
        pairs = was.astype(np.intp) * (NODATA + 1) + told
        self._counts += np.bincount(pairs.ravel(), minlength=self._counts.size).reshape(
            self._counts.shape
        )

    def report(self, kind: str, remarks: list[str], *, anew: bool) -> CorrectionReport:
        """The counts as they are told.

        Args:
            kind: `raster` or `polygons`.
            remarks: For people.
            anew: Labels stand where somebody drew them, so those that agree count, too.

        Raises:
            EmptyCorrection: They say nothing.
        """
        count = len(self._scheme)
        inside = self._counts[:count, :count]
        labelled, kept = int(inside.sum()), int(inside.trace())
        if not labelled:
            raise EmptyCorrection(
                f"{self._file}: the correction labels not one pixel of the map; expected some that "
                f"have a class and not {NODATA}",
                file=self._file,
            )
        if labelled == kept and not anew:
            raise EmptyCorrection(
                f"{self._file}: the correction says what the map says, in all {labelled:,} pixels; "
                "expected some that differ: was the right file sent, and saved?",
                file=self._file,
            )
        return CorrectionReport(
            kind=kind,
            scheme=self._scheme,
            pixels=int(self._counts[:count].sum()),
            labelled=labelled,
            changed=labelled - kept,
            classes=[self._change(value, inside) for value in range(count)],
            remarks=remarks,
        )

    def _change(self, value: int, inside: NDArray[np.int64]) -> ClassChange:
        mapped, kept = int(inside[value].sum()), int(inside[value, value])
        return ClassChange(
            name=self._scheme.names[value],
            mapped=mapped,
            labelled=int(inside[:, value].sum()),
            kept=kept,
            changed_share=1 - kept / mapped if mapped else None,
        )
