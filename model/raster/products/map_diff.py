"""What differs between two maps of the same place."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.io import DatasetReader
from rasterio.windows import Window

from mfnet.model.classes import NODATA, ClassScheme
from mfnet.model.errors import MapsNotComparable, RasterUnreadable
from mfnet.model.raster.files.gdal_access import gdal
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.cog import BLOCK_PX, CogWriter

_SAME_PLACE_PX = 0.01


def compare_maps(
    before: Path, after: Path, old: ClassScheme, new: ClassScheme, out: Path | None = None
) -> dict[str, Any]:
    """What differs between two maps that anybody may have made.

    Args:
        before: A class raster of ours, 255 where there is no class.
        after: Another, of the same grid.
        old: The classes of `before`.
        new: The classes of `after`.
        out: A COG as of `write_changes`, if wanted.

    Returns:
        As of `write_changes`.

    Raises:
        MapsNotComparable: They lie elsewhere, or their values mean different classes.
        RasterUnreadable: One of them is no raster.
    """
    if old.names != new.names:
        raise MapsNotComparable(
            f"the classes differ: {before.name} has {', '.join(old.names)}; {after.name} has "
            f"{', '.join(new.names)}"
        )
    grids = []
    for path in (before, after):
        try:
            with gdal(path), rasterio.open(path) as raster:
                grids.append(_grid(raster))
        except rasterio.RasterioIOError as error:
            raise RasterUnreadable(f"{path}: no raster that GDAL reads", file=str(path)) from error
    _check_same_place(grids[0], grids[1], (before.name, after.name))
    return write_changes(before, after, out, old)


def write_changes(
    before: Path,
    after: Path,
    out: Path | None,
    scheme: ClassScheme,
    tags: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Writes the new class of each pixel whose class differs; the others have none (255).

    Args:
        before: A class raster of ours, 255 where there is no class.
        after: Another, of the same grid.
        out: A COG with the classes' colours and names; none if not given.
        scheme: The classes of both.
        tags: Of the COG.

    Returns:
        JSON values: "pixels" with a class in both, the "share" of them that differs, and under
        "classes" of each pair of names ("from", "to") that occurs its "pixels", "area_m2" (None
        where the grid knows no areas) and "share", the most frequent first.
    """
    counts = np.zeros((len(scheme), len(scheme)), np.int64)
    areas_m2 = np.zeros(counts.shape)
    with ExitStack() as stack:
        stack.enter_context(gdal(before))
        old, new = (stack.enter_context(rasterio.open(path)) for path in (before, after))
        assert old.shape == new.shape, (old.shape, new.shape)
        grid = _grid(old)
        widths = np.diff(grid.areas.edges)
        changes = out and stack.enter_context(
            CogWriter(out, grid, description="changes", scheme=scheme, tags=tags)
        )
        for row in range(0, grid.height, BLOCK_PX):
            rows = Window(0, row, grid.width, min(BLOCK_PX, grid.height - row))
            first, second = (raster.read(1, window=rows) for raster in (old, new))
            known = (first != NODATA) & (second != NODATA)
            for each in range(len(first)):
                at = known[each]
                pairs = len(scheme) * first[each, at].astype(np.int64) + second[each, at]
                pixel_m2 = np.repeat(grid.areas.at(row + each), widths)[at]
                counts += np.bincount(pairs, minlength=counts.size).reshape(counts.shape)
                areas_m2 += np.bincount(pairs, pixel_m2, counts.size).reshape(counts.shape)
            if changes:
                changes.write(row, np.where(known & (first != second), second, NODATA))
    return _summary(counts, areas_m2, scheme)


def _grid(raster: DatasetReader) -> Grid:
    return Grid(raster.height, raster.width, raster.transform, raster.crs)


def _check_same_place(old: Grid, new: Grid, names: tuple[str, str]) -> None:
    sizes = [f"{grid.height} × {grid.width}" for grid in (old, new)]
    if sizes[0] != sizes[1]:
        raise MapsNotComparable(f"{names[0]} has {sizes[0]} pixels, {names[1]} {sizes[1]}")
    if old.crs != new.crs:
        raise MapsNotComparable(f"{names[0]} and {names[1]} have different CRSs")
    corners = np.array([[0, old.width, 0, old.width], [0, 0, old.height, old.height]], float)
    if np.abs(new.to_pixels(old.to_ground(corners)) - corners).max() > _SAME_PLACE_PX:
        raise MapsNotComparable(f"{names[0]} and {names[1]} do not lie on the same pixels")


def _summary(counts: np.ndarray, areas_m2: np.ndarray, scheme: ClassScheme) -> dict[str, Any]:
    total = int(counts.sum())
    pairs = [
        {
            "from": scheme.names[old],
            "to": scheme.names[new],
            "pixels": int(counts[old, new]),
            "area_m2": _known(areas_m2[old, new]),
            "share": float(counts[old, new] / total),
        }
        for old, new in zip(*np.nonzero(counts), strict=True)
        if old != new
    ]
    pairs.sort(key=lambda pair: -pair["pixels"])
    share = sum(pair["pixels"] for pair in pairs) / total if total else 0.0
    return {"pixels": total, "share": share, "classes": pairs}


def _known(area_m2: float) -> float | None:
    return float(area_m2) if np.isfinite(area_m2) else None
