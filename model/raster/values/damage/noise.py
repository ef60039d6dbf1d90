"""Single pixels far above all around them, so many that they are noise of a bad matching.

In measured heights a hundredth of a percent and two stand 5 m above all eight neighbours, and in
those of the worst surveys an eighth of a percent does so above all but one. Where they are ten
times as many, they are no chimneys and no tips of trees.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Heights = NDArray[np.float32]

HIGHER_M = 5.0
NOISE_SHARE = 1.5e-3
"""Of the sampled heights."""
_ENOUGH_PX, _ROUGH = 4096, 0.75
"""Heights of which something is concluded, and the most of them with such a step around them."""


def share_of_noise(blocks: Sequence[Heights], *, below: bool = False) -> float:
    """Of the heights inside of windows, those far above all their neighbours.

    Args:
        blocks: Metres of windows of one shape, (n, h, w); NaN where unknown.
        below: Those far below, too, as a terrain model may have them.

    Returns:
        0 where the windows hold too few heights to tell, or where such steps are everywhere.
    """
    found = known = rough = 0
    for block in blocks:
        if min(block.shape[1:]) < 3:
            continue
        inside = block[:, 1:-1, 1:-1]
        known += int(np.isfinite(inside).sum())
        around = _neighbours(block)
        rough += int((np.fmax.reduce(around) - np.fmin.reduce(around) > HIGHER_M).sum())
        for sign in (1, -1) if below else (1,):
            most = np.fmax.reduce(_neighbours(sign * block))
            found += int((sign * inside > most + HIGHER_M).sum())
    return found / known if known >= _ENOUGH_PX and rough <= _ROUGH * known else 0.0


def find_noise(metres: Heights, *, below: bool = False) -> NDArray[np.bool_]:
    """Where heights (h, w) are far above all their neighbours but one; False at the rim."""
    found = np.zeros(metres.shape, bool)
    for sign in (1, -1) if below else (1,):
        known = np.where(np.isfinite(metres), sign * metres, -np.inf)
        first = second = np.full((metres.shape[0] - 2, metres.shape[1] - 2), -np.inf)
        for each in _neighbours(known):
            first, second = np.maximum(first, each), np.maximum(second, np.minimum(first, each))
        found[1:-1, 1:-1] |= known[1:-1, 1:-1] > second + HIGHER_M
    return found


def _neighbours(block: NDArray[np.floating]) -> list[NDArray[np.floating]]:
    """The eight neighbours of what lies inside of (…, h, w)."""
    height, width = block.shape[-2:]
    return [
        block[..., row : row + height - 2, column : column + width - 2]
        for row in range(3)
        for column in range(3)
        if (row, column) != (1, 1)
    ]
