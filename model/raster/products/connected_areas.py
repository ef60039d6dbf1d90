"""Areas of a class raster: pixels of one class that share sides.

H W pixels.
"""

import numpy as np
from numpy.typing import NDArray

from mfnet.model.raster.values.linked_runs import lowest_linked


def label_areas(classes_HW: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Finds the areas, nodata among them.

    Args:
        classes_HW: Fewer than 2³¹ pixels.

    Returns:
        (H, W) the number of each pixel's area, counted from the top left, and the areas' classes.
    """
    starts_HW = np.ones(classes_HW.shape, bool)
    np.not_equal(classes_HW[:, 1:], classes_HW[:, :-1], out=starts_HW[:, 1:])
    starts = np.flatnonzero(starts_HW)
    lengths = np.diff(starts, append=classes_HW.size)
    runs = np.arange(len(starts), dtype=np.int32)
    runs_HW = np.repeat(runs, lengths).reshape(classes_HW.shape)
    touches = classes_HW[1:] == classes_HW[:-1]
    touches &= starts_HW[1:] | starts_HW[:-1]  # once where two runs lie side by side
    lowest = lowest_linked(len(runs), runs_HW[:-1][touches], runs_HW[1:][touches])
    is_first = lowest == runs
    area = (np.cumsum(is_first, dtype=np.int32) - 1)[lowest]
    areas_HW = np.repeat(area, lengths).reshape(classes_HW.shape)
    return areas_HW, classes_HW.ravel()[starts[is_first]]
