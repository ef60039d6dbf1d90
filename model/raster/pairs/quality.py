"""What each pixel of a map rests on: a mask beside it, with the reason of each gap."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

from mfnet.model.classes import ClassScheme, LandClass
from mfnet.model.raster.files.gdal_access import gdal
from mfnet.model.raster.pairs.area_of_interest import AreaOfInterest
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.products.areas.class_areas import ClassAreas
from mfnet.model.raster.products.cog import BLOCK_PX, CogWriter

UNSURE_PERCENT = 60
"""Of the pixels below it `town` gets three of ten wrong, on the one real place that we hold."""

QUALITY = ClassScheme(
    name="quality",
    classes=(
        LandClass(name="colour_and_height", title="Colour and height", color="#b7dfb0"),
        LandClass(name="unsure", title="Colour and height, but unsure", color="#f4d35e"),
        LandClass(name="colour_alone", title="Colour alone: no height", color="#ee964b"),
        LandClass(name="no_orthophoto", title="No orthophoto", color="#4a4a4a"),
        LandClass(name="outside", title="Outside of the area of interest", color="#c9c9c9"),
    ),
)
"""The values of the mask; each pixel has the last of those that apply."""

_FINE, _UNSURE, _COLOUR, _NOTHING, _OUTSIDE = range(5)


def write_quality(
    pair: RasterPair,
    out: Path,
    *,
    confidence: Path | None = None,
    wanted: AreaOfInterest | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Writes a COG of `QUALITY` on the orthophoto's grid; the inputs are read once more.

    Args:
        pair: What the map was made of.
        out: The mask; its style lies beside it, as beside a map.
        confidence: The map's, in percent; nothing is `unsure` without it.
        wanted: The area that was mapped, if not all was.
        progress: Called with the rows done and their total.

    Returns:
        Of each reason `name`, `title`, `pixels`, `area_m2` and `share`.

    Raises:
        RasterUnreadable, OutputNotWritable: As in `segment`.
    """
    grid = pair.grid
    areas = ClassAreas(grid, QUALITY)
    with ExitStack() as stack:
        mask = stack.enter_context(
            CogWriter(out, grid, description="what the map rests on", scheme=QUALITY)
        )
        percent = None
        if confidence is not None:
            stack.enter_context(gdal(confidence))
            percent = stack.enter_context(rasterio.open(confidence))
        for row in range(0, grid.height, BLOCK_PX):
            rows = min(BLOCK_PX, grid.height - row)
            found = _of_rows(pair, row, rows)
            if percent is not None:
                sure = percent.read(1, window=Window(0, row, grid.width, rows))
                found[(found == _FINE) & (sure < UNSURE_PERCENT)] = _UNSURE
            if wanted is not None:
                found[~wanted.mask(row, rows)] = _OUTSIDE
            areas.add(row, found)
            mask.write(row, found)
            progress(row + rows, grid.height)
    kept = ("name", "title", "pixels", "area_m2", "share")
    reasons = areas.summary()["classes"]
    return {each["name"]: {key: each[key] for key in kept} for each in reasons}


def _of_rows(pair: RasterPair, row: int, rows: int) -> np.ndarray:
    """What the inputs say, (rows, W) uint8."""
    read = pair.read(row, rows)
    has_colour, has_height = read.valid["ortho"], read.valid["ndsm"]
    found: np.ndarray = np.where(has_height, _FINE, _COLOUR).astype(np.uint8)
    found[~has_colour] = _NOTHING
    return found
