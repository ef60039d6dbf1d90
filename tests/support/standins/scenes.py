"""What stand-ins show: every class, and heights and colours that follow from it."""

import warnings
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning


def class_map(seed: int, height: int, width: int, classes: int) -> NDArray[np.uint8]:
    """Squares of 16 pixels, each of a class; every class occurs."""
    rng = np.random.default_rng(seed)
    rows, cols = -(-height // 16), -(-width // 16)
    cells = rng.permutation(np.arange(rows * cols) % classes).reshape(rows, cols)
    whole = np.kron(cells, np.ones((16, 16), np.int64))[:height, :width]
    return whole.astype(np.uint8)


def coloured(
    truth: NDArray[np.uint8], colours: list[tuple[int, int, int]], ignored: int = 255
) -> NDArray[np.uint8]:
    """A class map as (3, H, W) colours; black where it is to be ignored."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(colours)] = colours
    table[ignored] = 0
    return np.moveaxis(table[truth], -1, 0)


def write(path: Path, bands: NDArray[np.generic], **options: object) -> Path:
    """Writes (B, H, W) as a TIFF or, by its name, a JPEG; on no ground unless options say so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    jpeg = path.suffix == ".jpg"
    with warnings.catch_warnings(), rasterio.Env(GDAL_PAM_ENABLED="NO"):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path,
            "w",
            driver="JPEG" if jpeg else "GTiff",
            count=bands.shape[0],
            height=bands.shape[1],
            width=bands.shape[2],
            dtype=bands.dtype.name,
            **options,
        ) as raster:
            raster.write(bands)
    return path
