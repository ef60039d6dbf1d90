"""Part of the tiles that there are to learn from: what is more labelling worth?"""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def share_of(items: Sequence[Item], share: float, seed: int) -> list[Item]:
    """Some of the items, in their order; at least one.

    Args:
        items: Tiles or blocks.
        share: How many of them, above 0 and up to 1; to the nearest whole number, halves upwards.
        seed: Says which; for one seed, a larger share has all that a smaller one has.
    """
    count = max(1, math.floor(share * len(items) + 0.5))
    order = np.random.default_rng(seed).permutation(len(items))
    return [items[index] for index in sorted(order[:count].tolist())]
