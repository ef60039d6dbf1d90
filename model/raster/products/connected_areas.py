"""Areas of a class raster: pixels of one class that share sides.

H W pixels.
"""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


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


def lowest_linked(count: int, one: NDArray[np.integer], other: NDArray[np.integer]) -> Numbers:
    """The lowest number that each of `count` numbers is linked to, over any number of links.

    Args:
        count: Numbers from 0 on.
        one: An end of each link.
        other: Its other end.
    """
    lowest = np.arange(count)
    while True:
        ends, others = lowest[one], lowest[other]
        apart = ends != others
        if not apart.any():
            return lowest
        one, other, ends, others = one[apart], other[apart], ends[apart], others[apart]
        np.minimum.at(lowest, np.maximum(ends, others), np.minimum(ends, others))
        lowest = ends_of(lowest)


def ends_of(target: Numbers) -> Numbers:
    """Where each arrives that goes from target to target; those who stay are their own."""
    while not np.array_equal(further := target[target], target):
        target = further
    return target
