"""What differs between two maps of the same place."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

from mfnet.model.classes import NODATA, ClassScheme
from mfnet.model.raster.files.gdal_access import gdal
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.cog import BLOCK_PX, CogWriter


def write_changes(
    before: Path, after: Path, out: Path, scheme: ClassScheme, tags: dict[str, str] | None = None
) -> dict[str, Any]:
    """Writes the new class of each pixel whose class differs; the others have none (255).

    Args:
        before: A class raster of ours, 255 where there is no class.
        after: Another, of the same grid.
        out: A COG with the classes' colours and names.
        scheme: The classes of both.
        tags: Of the COG.

    Returns:
        JSON values: "pixels" with a class in both, the "share" of them that differs, and under
        "classes" of each pair of names ("from", "to") that occurs its "pixels" and "share", the
        most frequent first.
    """
    counts = np.zeros((len(scheme), len(scheme)), np.int64)
    with gdal(before), rasterio.open(before) as old, rasterio.open(after) as new:
        assert old.shape == new.shape, (old.shape, new.shape)
        grid = Grid(old.height, old.width, old.transform, old.crs)
        with CogWriter(out, grid, description="changes", scheme=scheme, tags=tags) as changes:
            for row in range(0, grid.height, BLOCK_PX):
                rows = Window(0, row, grid.width, min(BLOCK_PX, grid.height - row))
                first, second = (raster.read(1, window=rows) for raster in (old, new))
                known = (first != NODATA) & (second != NODATA)
                np.add.at(counts, (first[known], second[known]), 1)
                changes.write(row, np.where(known & (first != second), second, NODATA))
    return _summary(counts, scheme)


def _summary(counts: np.ndarray, scheme: ClassScheme) -> dict[str, Any]:
    total = int(counts.sum())
    pairs = [
        {
            "from": scheme.names[old],
            "to": scheme.names[new],
            "pixels": int(counts[old, new]),
            "share": float(counts[old, new] / total),
        }
        for old, new in zip(*np.nonzero(counts), strict=True)
        if old != new
    ]
    pairs.sort(key=lambda pair: -pair["pixels"])
    share = sum(pair["pixels"] for pair in pairs) / total if total else 0.0
    return {"pixels": total, "share": share, "classes": pairs}
