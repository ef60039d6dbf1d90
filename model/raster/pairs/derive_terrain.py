"""The terrain under a surface model, where nobody has measured it.

CNES's bulldozer drapes a cloth over the surface turned upside down. It is given a coarse raster of
lowest heights, so that memory stays the same for any size and no seam is cut: terrain is smooth,
and what is read of it later is interpolated.
"""

import contextlib
import io
import logging
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.windows import Window

from mfnet.model.atomic_files import replacing
from mfnet.model.errors import BadOption, MissingExtra, RasterUnreadable
from mfnet.model.raster.files.gdal_access import gdal
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.pairs.interpretation import height_values
from mfnet.model.raster.pairs.pair_remarks import DERIVED_TAG
from mfnet.model.raster.values.reading_options import ReadingOptions

LARGEST_M = 16.0
"""Size of the largest building that is taken off for sure, if nobody says otherwise. bulldozer's
own default, which also takes off the 25 m of our towns' halls."""

CELL_M = 0.5
MOST_CELLS = 16_000_000
"""Terrain is derived in cells of this size, or of as many more metres as keeps to so many."""

NODATA_M = -9999.0

_ANYWHERE = CRS.from_epsg(32631)
"""A projected CRS in metres."""

PASSES = 3
"""The cloth is draped anew over what it has left: a hill wider than a building comes out."""

_ROWS_READ = 512
_MOST_MISSING = 0.1
_STEEP = 0.36
_OPEN_M, _OPEN_SHARE = 0.3, 0.15
"""Where fewer cells of the surface than this share lie on the terrain, little ground is seen."""


def derive_terrain(
    surface: Path,
    out: Path,
    *,
    options: ReadingOptions | None = None,
    largest_m: float = LARGEST_M,
) -> Path:
    """Writes the terrain under a surface model.

    Args:
        surface: The surface model (DSM), a GeoTIFF.
        out: The terrain model to write, a GeoTIFF on a coarser grid of the same place, in metres.
            Its tag `MFNET_DERIVED` says how it was made and where it is unsure.
        options: How the surface model is to be read.
        largest_m: Width of the widest building, metres: what is wider stays terrain.

    Raises:
        MissingExtra: bulldozer is not installed.
        BadOption: The width is not above zero.
        InputError: The surface model is refused.
        RasterUnreadable: It has hardly any heights, or no terrain was found under them.
    """
    check_derivable(largest_m)
    with GeoTiff(surface, Role.HEIGHT, options) as source:
        grid = source.grid
        gsd_m = grid.gsd_m or abs(grid.transform.determinant) ** 0.5
        factor = _factor(grid.height, grid.width, gsd_m)
        lowest = _lowest(source, factor, options or ReadingOptions())
        crs, transform = grid.crs, grid.transform * Affine.scale(factor)
    if np.isfinite(lowest).mean() < 0.01:
        raise RasterUnreadable(f"{surface.name}: hardly any heights to derive a terrain from")
    cell_m = gsd_m * factor
    with TemporaryDirectory(prefix="mfnet-terrain-", dir=out.parent) as aside:
        # The cloth falls through a raster that is hardly wider than the widest building.
        for widest_m in (largest_m, largest_m / 2, largest_m / 4):
            terrain = _draped_anew(lowest, Path(aside), cell_m, widest_m)
            missing = float(np.isnan(terrain[np.isfinite(lowest)]).mean())
            if missing <= _MOST_MISSING:
                break
    if missing > _MOST_MISSING:
        raise RasterUnreadable(
            f"{surface.name}: no terrain was found under {100 * missing:.0f} % of it; try another "
            "--largest-building, or give a terrain model"
        )
    notes = _notes(lowest, terrain, cell_m, widest_m)
    with replacing(out) as part:
        _write(part, terrain, crs, transform, {DERIVED_TAG: "\n".join(notes)})
    return out


def check_derivable(largest_m: float = LARGEST_M) -> None:
    """Refuses what `derive_terrain` would refuse whatever the surface.

    Raises:
        MissingExtra, BadOption: As there.
    """
    if find_spec("bulldozer") is None:
        raise MissingExtra(
            "deriving a terrain model needs bulldozer-dtm, which is not installed: "
            "pip install 'mfnet[terrain]'",
            module="bulldozer",
        )
    if not largest_m > 0:
        raise BadOption(f"the largest building is {largest_m} m wide; expected more than 0")


def _write(
    path: Path,
    heights: NDArray[np.float32],
    crs: CRS | None,
    transform: Affine,
    tags: dict[str, str] | None = None,
) -> None:
    rows, columns = heights.shape
    with gdal(path), rasterio.open(
        path, "w", driver="GTiff", dtype="float32", count=1, height=rows, width=columns, crs=crs,
        transform=transform, nodata=NODATA_M, compress="deflate", predictor=3,
    ) as raster:  # fmt: skip
        raster.write(np.where(np.isnan(heights), np.float32(NODATA_M), heights), 1)
        raster.units = ("metre",)
        raster.update_tags(**(tags or {}))


def _draped_anew(
    lowest: NDArray[np.float32], folder: Path, cell_m: float, widest_m: float
) -> NDArray[np.float32]:
    """The place's slope, and what draping adds to it, pass by pass."""
    terrain = _plane(lowest)
    for _ in range(PASSES):
        terrain = terrain + _drape(lowest - terrain, folder, cell_m, widest_m)
    return terrain


def _factor(height: int, width: int, gsd_m: float) -> int:
    """Pixels a side of a cell."""
    fine = max(1, round(CELL_M / gsd_m))
    return max(fine, int(np.ceil((height * width / MOST_CELLS) ** 0.5)))


def _lowest(source: GeoTiff, factor: int, options: ReadingOptions) -> NDArray[np.float32]:
    """Lowest height of each cell in metres, NaN where it has none."""
    with gdal(source.path):
        values, grid = height_values(source, options), source.grid
    strips = []
    rows_read = factor * max(1, _ROWS_READ // factor)
    for row in range(0, grid.height, rows_read):
        window = Window(0, row, grid.width, min(rows_read, grid.height - row))
        with gdal(source.path):
            stored, valid = source.read_stored(window)
        metres = values.metres(stored[0], valid)
        metres = np.where(np.isfinite(metres), metres, np.float32(np.inf))
        rim = [(0, -length % factor) for length in metres.shape]
        padded = np.pad(metres, rim, constant_values=np.inf)
        rows, columns = (length // factor for length in padded.shape)
        strips.append(padded.reshape(rows, factor, columns, factor).min(axis=(1, 3)))
    lowest = np.concatenate(strips).astype(np.float32)
    return np.where(np.isfinite(lowest), lowest, np.float32(np.nan))


def _plane(lowest: NDArray[np.float32]) -> NDArray[np.float32]:
    """The slope of the place as a whole, (h, w): the cloth, which hangs level, follows it badly.

    Fitted to the lowest cells of a coarse grid, in float64.
    """
    side = max(1, min(lowest.shape) // 16)
    rows, columns = (length // side for length in lowest.shape)
    blocks = lowest[: rows * side, : columns * side].reshape(rows, side, columns, side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of blocks without a height
        low = np.nanmin(blocks, axis=(1, 3)).astype(np.float64)
    row, column = (side * (index[np.isfinite(low)] + 0.5) for index in np.indices(low.shape))
    design = np.stack([np.ones_like(row), row, column], axis=1)
    (level, down, right), *_ = np.linalg.lstsq(design, low[np.isfinite(low)], rcond=None)
    at_row, at_column = np.arange(lowest.shape[0])[:, None], np.arange(lowest.shape[1])
    plane: NDArray[np.float32] = (level + down * at_row + right * at_column).astype(np.float32)
    return plane


def _drape(
    lowest: NDArray[np.float32], folder: Path, cell_m: float, largest_m: float
) -> NDArray[np.float32]:
    """bulldozer's terrain, from file to file; what it prints is not for our users.

    bulldozer takes the sides of pixels for metres, so it is given metres, wherever the place lies.
    """
    from bulldozer.pipeline.bulldozer_pipeline import dsm_to_dtm

    surface = folder / "surface.tif"
    _write(surface, lowest, _ANYWHERE, Affine.scale(cell_m, -cell_m))
    quiet = io.StringIO()
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            dsm_to_dtm(
                dsm_path=str(surface),
                output_dir=str(folder / "out"),
                max_object_size=max(largest_m, 2 * cell_m),
                nb_max_workers=1,
            )
    finally:
        logging.disable(before)
    with gdal(surface), rasterio.open(folder / "out" / "dtm.tif") as raster:
        draped = raster.read(1).astype(np.float32)
    terrain: NDArray[np.float32] = np.where(draped == NODATA_M, np.float32(np.nan), draped)
    return terrain


def _notes(
    surface: NDArray[np.float32],
    terrain: NDArray[np.float32],
    cell_m: float,
    largest_m: float,
) -> list[str]:
    """How the terrain was made; and where it is in doubt, if anywhere."""
    made_by = f"bulldozer-dtm {version('bulldozer-dtm')}, cells of {cell_m:.3g} m"
    notes = [
        f"the terrain model was derived from the surface model ({made_by}); buildings much wider "
        f"than {largest_m:g} m stay terrain: --largest-building says otherwise"
    ]
    down, right = np.gradient(terrain, cell_m) if min(terrain.shape) > 1 else (0.0, 0.0)
    steep = float(np.mean(np.hypot(down, right) > _STEEP))
    on_ground = float(np.mean((surface - terrain)[np.isfinite(surface)] < _OPEN_M))
    doubts = []
    if steep > 0.1:
        doubts.append(f"{100 * steep:.0f} % of it is steeper than 20 degrees")
    if on_ground < _OPEN_SHARE:
        doubts.append(f"only {100 * on_ground:.0f} % of the surface is ground")
    if doubts:
        said = " and ".join(doubts)
        notes.append(f"the derived terrain is unsure: {said}; a measured one is better")
    return notes
