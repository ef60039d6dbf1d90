"""Gaps as surveys have them: holes, ragged outlines of a flight, stripes between flight lines."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Gap = Callable[[np.random.Generator, int, int, float], NDArray[np.bool_]]
"""Of a generator, rows, columns and the share that is to be missing: where it is missing (h, w)."""


def draw_gaps(
    rng: np.random.Generator, height: int, width: int, share: float, kind: str | None = None
) -> NDArray[np.bool_]:
    """Where pixels are missing, (h, w).

    Args:
        rng: Where the chance comes from.
        height: Rows.
        width: Columns.
        share: Of the pixels, about.
        kind: A key of `GAPS`; any if not given.
    """
    kind = str(rng.choice(list(GAPS))) if kind is None else kind
    return GAPS[kind](rng, height, width, share)


def holes(rng: np.random.Generator, height: int, width: int, share: float) -> NDArray[np.bool_]:
    """Ellipses and rectangles of all sizes, until enough is missing."""
    gap = np.zeros((height, width), bool)
    rows, columns = np.ogrid[:height, :width]
    wanted = max(1, round(share * gap.size))
    while (left := wanted - int(gap.sum())) > 0:
        # None is larger than what is still wanted, so that the share comes out right.
        side = rng.uniform(0.05, 0.6) * min(height, width)
        side = min(side, max(2.0, left**0.5))
        half_h, half_w = side * rng.uniform(0.3, 0.5), side * rng.uniform(0.3, 0.5)
        row, column = rng.uniform(0, height), rng.uniform(0, width)
        away_h, away_w = np.abs(rows - row) / half_h, np.abs(columns - column) / half_w
        round_ = rng.random() < 0.5
        gap |= (away_h**2 + away_w**2 <= 1) if round_ else ((away_h <= 1) & (away_w <= 1))
    return gap


def outline(rng: np.random.Generator, height: int, width: int, share: float) -> NDArray[np.bool_]:
    """What lies outside of a ragged shape, on one to four sides."""
    sides = rng.permutation(4)[: rng.integers(1, 5)]
    depth_share = share / len(sides)
    gap = np.zeros((height, width), bool)
    for side in sides.tolist():
        length, depth = (height, width) if side < 2 else (width, height)
        # Steps of flight lines, and a roughness of single pictures.
        steps = np.repeat(rng.random(length // 64 + 1), 64)[:length]
        rough = np.repeat(rng.random(length // 8 + 1), 8)[:length]
        edge = depth * depth_share * (0.3 + 1.1 * steps + 0.3 * rough)
        missing = np.arange(depth)[None, :] + 0.5 < edge[:, None]
        missing = missing if side % 2 == 0 else missing[:, ::-1]
        gap |= missing if side < 2 else missing.T
    return gap


def stripes(rng: np.random.Generator, height: int, width: int, share: float) -> NDArray[np.bool_]:
    """Parallel stripes at any angle."""
    angle = rng.uniform(0, np.pi)
    rows, columns = np.indices((height, width), dtype=np.float32)
    across = columns * np.cos(angle) + rows * np.sin(angle)
    period = rng.uniform(0.3, 0.9) * min(height, width)
    phase = (across / period + rng.random()) % 1.0
    return np.asarray(phase < share)


GAPS: dict[str, Gap] = {"holes": holes, "outline": outline, "stripes": stripes}
