"""Which tiles, or blocks of tiles, are for what: drawn by a seed, neighbours kept apart."""

from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Literal

import numpy as np
from rasterio.windows import Window

from mfnet.model.errors import BadManifest

End = Literal["train", "validation", "test"]
ENDS: tuple[End, ...] = ("train", "validation", "test")
FEWEST = 4
"""Blocks from which on some are kept from training."""


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
        shares: Of validation and of test, each 0 to 1; at least one thing each, if it is not 0.
        seed: Decides; the same one draws the same.

    Raises:
        BadManifest: Nothing would be left for one of the ends.
    """
    ends: list[End | None] = list(pinned)
    free = [index for index in range(count) if ends[index] is None]
    order = np.random.default_rng(seed).permutation(free).tolist()
    for end, share in zip(ENDS[1:], shares, strict=True):
        wanted = max(1, round(share * count)) if share else 0
        for _ in range(min(wanted - sum(e == end for e in ends), len(order))):
            ends[order.pop()] = end
    for index in order:
        ends[index] = "train"
    wanted_ends = [end for end, share in zip(ENDS, (1, *shares), strict=True) if share]
    drawn = [end for end in ends if end is not None]
    _require(drawn, wanted_ends, "say which tile is for what (split = ...), or cut by block")
    return drawn


def ends_by_key(
    keys: Sequence[str], pinned: Sequence[End | None], shares: tuple[float, float], seed: int
) -> list[End]:
    """Says of each block with labels what it is for, by the hash of its key.

    So blocks of one key, the same ground labelled twice, serve one end; and no block that one
    training has learned from is for validation in the next, which has more of them. The shares hold
    on average. Of `FEWEST` keys and more, each end whose share is not 0 gets one at least: the
    lowest hashes. Fewer are all for training.

    Args:
        keys: Of each block: its ground.
        pinned: What is decided for each already.
        shares: Of validation, more than 0, and of test, each less than 1.
        seed: Goes into the hash.

    Raises:
        BadManifest: Nothing is left for training, or for a test that has a share.
    """
    hashes = {k: _hash(seed, k) for k, end in zip(keys, pinned, strict=True) if end is None}
    order = sorted(hashes, key=lambda key: hashes[key])
    drawn: dict[str, End] = dict.fromkeys(order, "train")
    validation, test = shares
    if len(order) >= FEWEST:
        first = max(1, sum(at < validation for at in hashes.values()))
        last = max(first + bool(test), sum(at < validation + test for at in hashes.values()))
        last = min(last, len(order) - 1)  # one is left for training
        first = min(first, last - bool(test))
        drawn |= dict.fromkeys(order[:first], "validation")
        drawn |= dict.fromkeys(order[first:last], "test")
    ends = [end or drawn[key] for key, end in zip(keys, pinned, strict=True)]
    if ends:
        advice = f"{FEWEST} blocks with labels, or split.test = 0 where nothing is to be tested"
        _require(ends, ["train", "test"] if test else ["train"], advice)
    return ends


def _hash(seed: int, key: str) -> float:
    """A number from 0 to 1, drawn evenly by seed and key."""
    return int.from_bytes(sha256(f"{seed} {key}".encode()).digest()[:8]) / 2**64


def _require(ends: Sequence[End], wanted: Sequence[End], advice: str) -> None:
    lacking = [end for end in wanted if end not in ends]
    if lacking:
        raise BadManifest(
            f"{len(ends)} tiles or blocks, and none is left for {' and '.join(lacking)}; expected "
            f"one for each end: {advice}",
            lacking=lacking,
        )


def _spans(size: int, block_px: int, margin_px: int) -> list[tuple[int, int]]:
    """First and last of the pixels of each block along an axis, the last not included."""
    count = max(1, size // block_px)
    edges = [index * size // count for index in range(count + 1)]
    before, after = margin_px - margin_px // 2, margin_px // 2
    return [
        (edge + (before if index else 0), end - (after if index < count - 1 else 0))
        for index, (edge, end) in enumerate(pairwise(edges))
    ]
