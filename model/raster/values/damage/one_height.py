"""One height that many pixels have to the last digit, in a raster whose sample has missed them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mfnet.model.raster.remark import Remark
from mfnet.model.raster.values.fill_values import stands_out
from mfnet.model.raster.values.height_values import HeightValues

_LEAST_PX, _LEAST_SHARE, _GROUND_M = 64, 1e-3, 1.0


def tell_of_one_height(
    file: str, values: HeightValues, metres: NDArray[np.float32]
) -> Iterator[Remark]:
    """Tells of a number that no other height is repeated like.

    Args:
        file: The height raster's name.
        values: What its numbers mean.
        metres: (n,) pixels of all of it; NaN where unknown.
    """
    known = metres[np.isfinite(metres)]
    numbers, counts = np.unique(known[abs(known) > _GROUND_M], return_counts=True)
    if not len(numbers):
        return
    at = int(counts.argmax())
    if counts[at] < max(_LEAST_PX, _LEAST_SHARE * known.size):
        return
    highest = at == len(numbers) - 1
    if highest or stands_out(numbers.astype(np.float64), counts, at, 1.0):
        stored = (float(numbers[at]) - values.offset_m) / values.scale
        message = (
            f"{file}: {100 * counts[at] / known.size:.2g} % of the heights are {stored:.7g} to the "
            "last digit, and no other height is repeated so; they are taken for heights: "
            f"--height-nodata {stored:.7g} if nothing is known there"
        )
        yield Remark(code="height.one_value", message=message)
