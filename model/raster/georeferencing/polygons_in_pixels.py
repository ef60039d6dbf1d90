"""Polygons of a layer on a raster's grid."""

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform

from mfnet.model.errors import DataMismatch
from mfnet.model.raster.georeferencing.grid import Grid


def polygons_in_pixels(
    shapes: NDArray[np.object_], crs: CRS, grid: Grid, name: str
) -> NDArray[np.object_]:
    """Polygons in columns and rows of a grid.

    Args:
        shapes: (N,) of shapely, in ground coordinates; None stays None.
        crs: Of the coordinates.
        grid: Where they are wanted.
        name: Of their file, for messages.

    Raises:
        DataMismatch: The grid has no coordinate reference system.
    """
    if grid.crs is None:
        raise DataMismatch(
            f"{name} has polygons in {crs}, and the raster has no coordinate reference system; "
            "expected one: gdal_edit.py -a_srs writes it",
            file=name,
        )

    def onto(points: NDArray[np.float64]) -> NDArray[np.float64]:
        ground = points.T
        if grid.crs != crs:
            ground = np.array(transform(crs, grid.crs, ground[0], ground[1]))
        return grid.to_pixels(ground).T

    moved: NDArray[np.object_] = shapely.transform(shapely.force_2d(shapes), onto)
    return moved
