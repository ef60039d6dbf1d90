"""Compares a map of a synthetic town with its truth."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from mfnet.model.classes import ISPRS
from mfnet.model.errors import InputError
from mfnet.model.raster.files.gdal_access import gdal
from mfnet.model.raster.files.tags import walk
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.training.evaluation.class_metrics import Confusion


def accuracy(classes: Path, truth: Path) -> dict[str, Any]:
    """What `Confusion.summary` says of a map, all values of it JSON.

    Args:
        classes: A class raster of the ISPRS scheme.
        truth: The class raster that is right, of the same size.

    Raises:
        InputError: The sizes differ; or RasterMissing, NotGeoTiff, RasterUnreadable,
            WrongClasses.
    """
    confusion = Confusion(ISPRS)
    with _open(classes) as mapped, _open(truth) as true:
        if mapped.shape != true.shape:
            raise InputError(f"{classes} has {mapped.shape} pixels, {truth} has {true.shape}")
        grid = Grid(true.height, true.width, true.transform, true.crs)
        for _, window in true.block_windows(1):
            # Pixels differ in size over a large raster, not over a block.
            middle = window.row_off + window.height // 2, window.col_off + window.width // 2
            pixel_m2 = grid.pixel_area_m2(*middle)
            confusion.add(_read(true, window), _read(mapped, window), pixel_m2)
    return confusion.summary()


def _open(path: Path) -> DatasetReader:
    walk(path)  # refuses what is no TIFF by name; a class raster has a palette, so no screening
    with gdal(path):
        return rasterio.open(path, driver="GTiff")


def _read(raster: DatasetReader, window: Window) -> NDArray[np.integer[Any]]:
    with gdal(Path(raster.name)):
        values: NDArray[np.integer[Any]] = raster.read(1, window=window)
    return values
