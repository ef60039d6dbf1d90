"""Class rasters of a few pixels."""

from pathlib import Path

import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin

from mfnet.model.classes import NODATA

UTM = CRS.from_epsg(25832)


def write_classes(
    path: Path,
    values: NDArray,
    crs: CRS | None = UTM,
    pixel: float = 0.5,
    corner: tuple[float, float] = (500_000, 5_700_000),
) -> Path:
    """Writes (H, W) classes as a GeoTIFF."""
    form = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": NODATA, "crs": crs}
    size = {"height": values.shape[0], "width": values.shape[1]}
    transform = from_origin(*corner, pixel, pixel)
    with rasterio.open(path, "w", **form, **size, transform=transform) as raster:
        raster.write(values, 1)
    return path
