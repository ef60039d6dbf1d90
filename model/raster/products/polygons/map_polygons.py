"""A class raster as polygons, strip by strip: what is finished is written and forgotten.

A strip's polygons are found in it alone. Those that go on below are not closed there: their borders
wait in a file, and are linked when the polygon goes on no more. So memory is set by a strip and by
a few numbers for each place where a border crosses from strip to strip; it holds neither the raster
nor its largest polygon.

Coordinates are pixels, columns and rows from the raster's upper left corner, until polygons leave a
strip. H W pixels of a strip.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.classes import NODATA, ClassScheme
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.polygons.cut_borders import cut_borders
from mfnet.model.raster.products.polygons.kept_borders import BorderFile, KeptPolygon
from mfnet.model.raster.products.polygons.simplify import (
    Shapes,
    framed,
    simplify_shapes,
    with_corners,
    without_straight_corners,
)
from mfnet.model.raster.products.polygons.strip_outlines import (
    ClassPolygon,
    add_heights,
    outlines,
)
from mfnet.model.raster.products.polygons.waiting import MOST_BYTES_IN_MEMORY, Waiting
from mfnet.model.raster.vectors.geopackage_writer import Add
from mfnet.model.raster.vectors.polygon_writers import writer_of

STRIP_ROWS = 1024
_STRIP_PIXELS = 2 << 20
LAYER = "land_cover"
_KINDS = {"class": "INTEGER", "name": "TEXT", "title": "TEXT", "area_m2": "REAL"}
_HEIGHTS = {"height_mean": "REAL", "height_p95": "REAL"}

Heights = Callable[[int, int], NDArray[np.float32]]
"""By a row and a number of rows their heights: (h, W) metres above ground, NaN where unknown."""


def write_map_polygons(
    classes: Path,
    out: Path,
    scheme: ClassScheme,
    *,
    min_area_m2: float = 0.0,
    simplify_m: float = 0.0,
    heights: Heights | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Writes the polygons of a class raster into a GeoPackage, or a FlatGeobuf file.

    The layer `land_cover` has a polygon for each area of one class, with its value, name and title,
    and `area_m2`, the sum of its pixels' areas as in the statistics. No two overlap, and there is
    no gap between them but nodata. With `heights` it also has `height_mean` and `height_p95`,
    metres that 95 % of the pixels do not exceed; nothing where no height is known.

    Areas and heights are those of the pixels, whether borders are simplified or not. Neighbours
    share simplified borders, too; corners stay where a border crosses from strip to strip.

    Args:
        classes: As `segment` wrote it.
        out: Its name ends with `.gpkg` or `.fgb`; replaced if it exists.
        scheme: What the values mean.
        min_area_m2: Smaller ones are left out.
        simplify_m: Corners go where the triangle with their neighbours is smaller than the square
            of it, in metres; in the coordinates' unit where the raster has no CRS.
        heights: What reads the heights on the map's grid.
        progress: Called with the rows done and their total.

    Returns:
        How many were written.

    Raises:
        InputError: The class raster cannot be read, or the name has another ending.
        OutputNotWritable: The folder is missing, not writable or full.
    """
    written, kinds = 0, _KINDS | (_HEIGHTS if heights is not None else {})
    with (
        GeoTiff(classes, Role.LABELS) as raster,
        writer_of(out)(out, LAYER, kinds, raster.grid.crs) as add,
    ):
        rows = raster.grid.height
        strip_rows = min(STRIP_ROWS, max(1, _STRIP_PIXELS // raster.grid.width))
        strips = map_polygons(
            raster,
            strip_rows,
            heights,
            simplify_m / _pixel_side(raster.grid),
            transform=raster.grid.transform,
            folder=out.parent,
        )
        for strip, found in enumerate(strips, start=1):
            progress(min(strip * strip_rows, rows), rows)
            kept = [one for one in found if not one.area_m2 < min_area_m2]
            _add(add, kept, scheme)
            written += len(kept)
    return written


def _add(add: Add, polygons: list[ClassPolygon], scheme: ClassScheme) -> None:
    in_memory = [one for one in polygons if isinstance(one.shape, shapely.Polygon)]
    if in_memory:
        rows = [_columns(one, scheme) for one in in_memory]
        add([one.shape for one in in_memory], list(zip(*rows, strict=True)))
    for one in polygons:
        if isinstance(one.shape, KeptPolygon):
            add.large(one.shape, _columns(one, scheme))


def _columns(one: ClassPolygon, scheme: ClassScheme) -> list[int | float | str | None]:
    """What stands beside a polygon."""
    item = scheme.classes[one.value]
    area_m2 = one.area_m2 if np.isfinite(one.area_m2) else None
    told: list[int | float | str | None] = [one.value, item.name, item.title, area_m2]
    if one.heights is not None:
        told += [_rounded(one.heights.mean_m), _rounded(one.heights.percentile_m(95))]
    return told


def map_polygons(
    raster: GeoTiff,
    strip_rows: int = STRIP_ROWS,
    heights: Heights | None = None,
    simplify_px: float = 0.0,
    *,
    transform: Affine | None = None,
    folder: Path | None = None,
    most_bytes: int = MOST_BYTES_IN_MEMORY,
) -> Iterator[list[ClassPolygon]]:
    """The polygons of a class raster, those of a strip's end together.

    Args:
        raster: Its classes.
        strip_rows: Rows of a strip.
        heights: As in `write_map_polygons`.
        simplify_px: Likewise, in pixels.
        transform: From pixels to the coordinates of the polygons; pixels if not given.
        folder: Where borders wait, in a file that nobody sees.
        most_bytes: Of a polygon's WKB; what is larger is yielded as a `KeptPolygon`, which has to
            be read before the next ones are asked for.
    """
    grid, transform = raster.grid, transform or Affine.identity()
    with TemporaryFile(dir=folder, prefix=".polygons-") as file:
        kept = BorderFile(file, transform, keep_corners=simplify_px > 0)
        waiting = Waiting(kept, grid.width, most_bytes)
        for row in range(0, grid.height, strip_rows):
            rows = min(strip_rows, grid.height - row)
            parts, frame = _strip(raster, row, rows, heights, simplify_px)
            if not parts:
                yield []
                continue
            shapes = np.array([part.shape for part in parts], object)
            classes = np.array([part.value for part in parts])
            cut = cut_borders(shapes, classes, frame, row, keep_corners=simplify_px > 0)
            whole = np.flatnonzero(~cut.goes_on)
            if len(whole):
                shown = shapes[whole] if simplify_px else without_straight_corners(shapes[whole])
                for number, shape in zip(whole, _placed(shown, transform), strict=True):
                    parts[number].shape = shape
            yield list(waiting.advance(parts, cut))


def _strip(
    raster: GeoTiff, row: int, rows: int, heights: Heights | None, simplify_px: float
) -> tuple[list[ClassPolygon], NDArray[np.int16]]:
    """The polygons of a strip, in pixels, and its classes with those around it."""
    grid = raster.grid
    above, below = min(row, 1), min(grid.height - row - rows, 1)
    values, valid = raster.read_stored(Window(0, row - above, grid.width, above + rows + below))
    around_HW = np.where(valid, values[0], np.uint8(NODATA))
    classes_HW, frame = around_HW[above : above + rows], framed(around_HW, row, rows)
    if (classes_HW == NODATA).all():
        return [], frame
    parts, shapes = outlines(classes_HW, row, grid)
    if heights is not None:
        add_heights(parts, classes_HW, row, heights(row, rows))
    shapes = with_corners(shapes, frame, row)
    shapes = simplify_shapes(shapes, simplify_px) if simplify_px else shapes
    for part, shape in zip(parts, shapes, strict=True):
        part.shape = shape
    return [part for part in parts if part.value != NODATA], frame


def _pixel_side(grid: Grid) -> float:
    """Metres; in the coordinates' unit without a CRS."""
    return grid.gsd_m or math.sqrt(abs(grid.transform.determinant))


def _rounded(metres: float | None) -> float | None:
    return None if metres is None else round(metres, 2)


def _placed(shapes: Shapes, transform: Affine) -> Shapes:
    def place(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = transform * (pixels[:, 0], pixels[:, 1])
        return np.column_stack([x, y])

    found: Shapes = shapely.transform(shapes, place)
    return found
