"""Which tiles, or blocks of tiles, are for what: drawn by a seed, neighbours kept apart."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from rasterio.windows import Window

from model.errors import BadManifest

End = Literal["train", "validation", "test"]
ENDS: tuple[End, ...] = ("train", "validation", "test")


def blocks(height: int, width: int, block_px: int, margin_px: int) -> list[Window]:
    """Cuts a raster into blocks that lie apart.

    Args:
        height: Rows of the raster.
        width: Its columns.
        block_px: Least side of a block with its share of the margins; a raster that is smaller
            than two of them stays whole on that axis.
        margin_px: What lies between two blocks and belongs to none.

    Returns:
        The blocks, row by row, as even as can be.
    """
    rows, cols = (_spans(size, block_px, margin_px) for size in (height, width))
    return [
        Window(left, top, right - left, bottom - top)
        for top, bottom in rows
        for left, right in cols
    ]


def draw_ends(
    count: int, pinned: Sequence[End | None], shares: tuple[float, float], seed: int
) -> list[End]:
    """Says of each of `count` things what it is for.

    Args:
        count: How many there are.
        pinned: What is decided for each already.
        shares: Of validation and of test, each 0 to 1; at least one thing each.
        seed: Decides; the same one draws the same.

    Raises:
        BadManifest: Nothing would be left for one of the ends.
    """
    ends: list[End | None] = list(pinned)
    free = [index for index in range(count) if ends[index] is None]
    order = np.random.default_rng(seed).permutation(free).tolist()
    for end, share in zip(ENDS[1:], shares, strict=True):
        wanted = max(1, round(share * count)) - sum(e == end for e in ends)
        for _ in range(min(wanted, len(order))):
            ends[order.pop()] = end
    for index in order:
        ends[index] = "train"
    lacking = [end for end in ENDS if end not in ends]
    if lacking:
        raise BadManifest(
            f"{count} tiles or blocks, and none is left for {' and '.join(lacking)}; expected one "
            "for each end: say which tile is for what (split = ...), or cut by block",
            lacking=lacking,
        )
    return [end for end in ends if end is not None]


def _spans(size: int, block_px: int, margin_px: int) -> list[tuple[int, int]]:
    """First and last of the pixels of each block along an axis, the last not included."""
    count = max(1, size // block_px)
    edges = [index * size // count for index in range(count + 1)]
    before, after = margin_px - margin_px // 2, margin_px // 2
    return [
        (edge + (before if index else 0), end - (after if index < count - 1 else 0))
        for index, (edge, end) in enumerate(pairwise(edges))
    ]
