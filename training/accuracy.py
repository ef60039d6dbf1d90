"""Compares a map of a synthetic town with its truth."""

from pathlib import Path
from typing import Any

import rasterio

from model.classes import ISPRS
from model.errors import InputError
from training.metrics import Confusion


def accuracy(classes: Path, truth: Path) -> dict[str, Any]:
    """What `Confusion.summary` says of a map, all values of it JSON.

    Args:
        classes: A class raster of the ISPRS scheme.
        truth: The class raster that is right, of the same size.

    Raises:
        InputError: The sizes differ.
    """
    confusion = Confusion(ISPRS)
    with rasterio.open(classes) as mapped, rasterio.open(truth) as true:
        if mapped.shape != true.shape:
            raise InputError(f"{classes} has {mapped.shape} pixels, {truth} has {true.shape}")
        for _, window in true.block_windows(1):
            confusion.add(true.read(1, window=window), mapped.read(1, window=window))
    return confusion.summary()
