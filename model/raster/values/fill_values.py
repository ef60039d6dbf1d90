"""Values that stand for missing heights without being declared: found by where they lie.

Two kinds of evidence. Some numbers cannot be heights on Earth whatever the raster: they need no
sample, so that a single wild pixel is found in any window. Others could be heights (0 in a terrain
model, 9999 in centimetres): they count as missing where they stand apart from all other heights and
are repeated to the last digit, as measurements are not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ABSOLUTE_M = (-500.0, 9000.0)
"""Surfaces and terrain, from the Dead Sea's shore to Mount Everest."""
ABOVE_GROUND_M = (-50.0, 850.0)
"""Heights above ground, from an open pit under an old terrain model to the highest tower."""

_USUAL = (
    *(-1.0, -9.0, -99.0, -999.0, -9999.0, -99999.0, -32767.0, -32768.0),
    *(999.0, 9999.0, 99999.0, 32767.0, 65535.0),
)
_REPEATED = 1e-3
"""Share of the sample that a fill value takes at least: one in a thousand, and 8 pixels."""
_LARGE = 0.05
_ENOUGH = 1024
"""Sampled heights, of which the range of a place is concluded."""
_APART_USUAL_M, _APART_M = 3.0, 20.0
_BELOW_GROUND_USUAL_M, _BELOW_GROUND_M = 0.5, 1.5
_APART_TOWER_M = 150.0
_FINE_M = 0.1
"""How far a fill value lies from the nearest height: a usual one, any other, and one below ground
in heights above it, where hardly anything is."""
_OFF_GROUND_M, _DISTINCT, _OFTENER = 1.0, 100, 10
"""Off the ground, measured heights are so many different ones; a number that somebody has written
is there so many times as often as any of them."""


@dataclass(frozen=True)
class Fill:
    """A value that stands for a missing height.

    Attributes:
        value: As stored.
        share: Of the sample.
    """

    value: float
    share: float


def find_fills(stored: NDArray[np.generic], unit_m: float, *, above_ground: bool) -> list[Fill]:
    """Fill values among heights that could be heights.

    Args:
        stored: (n,) valid pixels of a sample, as stored, all of them possible as heights.
        unit_m: Metres a stored step.
        above_ground: The heights count from the ground, where 0 is a height like others.

    Returns:
        The lowest first. A sample of a crop may find fewer: where nothing else is in it, a fill
        value stands apart from nothing.
    """
    values, counts = np.unique(stored, return_counts=True)
    values = values.astype(np.float64)
    fine = np.issubdtype(stored.dtype, np.floating) or unit_m < _FINE_M
    found = []
    for ends_low in (True, False):
        while len(values) > 1:
            end = 0 if ends_low else -1
            if not _is_fill(values, counts, unit_m, len(stored), ends_low, above_ground, fine):
                break
            found.append(Fill(float(values[end]), float(counts[end] / len(stored))))
            kept = slice(1, None) if ends_low else slice(None, -1)
            values, counts = values[kept], counts[kept]
    return sorted(found, key=lambda fill: fill.value)


def far_from_all(
    stored: NDArray[np.generic], unit_m: float, *, above_ground: bool
) -> tuple[float, ...]:
    """Usual fill values that no sampled height is near, wherever else they may be in the raster.

    Args:
        stored: As for `find_fills`, without those that it has found.
    """
    if stored.size < _ENOUGH:
        return ()
    values, counts = np.unique(stored, return_counts=True)
    low, high = float(values[0]), float(values[-1])
    apart = max(_APART_M, unit_m * _spread(values.astype(np.float64), counts)) / unit_m
    codes = _USUAL if above_ground else (0.0, *_USUAL)
    return tuple(code for code in codes if code < low - apart or code > high + apart)


def possible(metres: NDArray[np.floating], limits: tuple[float, float]) -> NDArray[np.bool_]:
    """Where metres could be heights; False where they are not finite."""
    low, high = limits
    with np.errstate(invalid="ignore"):
        return np.asarray((metres >= low) & (metres <= high))


def type_extremes(dtype: np.dtype) -> Iterator[int]:
    """Values of an integer type that its writers use for nothing: its ends, from 16 bits up.

    Of 8 bits, 255 may be a height; of unsigned types 0 may be the ground.
    """
    if np.issubdtype(dtype, np.integer) and dtype.itemsize > 1:
        limits = np.iinfo(dtype)
        if limits.min < 0:
            yield limits.min
        yield limits.max


def _is_fill(
    values: NDArray[np.float64],
    counts: NDArray[np.int64],
    unit_m: float,
    pixels: int,
    ends_low: bool,
    above_ground: bool,
    fine: bool,
) -> bool:
    """Whether the lowest, or highest, of the sorted values stands for nothing."""
    value, count = (values[0], counts[0]) if ends_low else (values[-1], counts[-1])
    if count < max(8, _REPEATED * pixels):
        return False
    gap_m = unit_m * float(values[1] - values[0] if ends_low else values[-1] - values[-2])
    rest = slice(1, None) if ends_low else slice(None, -1)
    spread_m = unit_m * _spread(values[rest], counts[rest])
    if value == 0:
        return not above_ground and gap_m >= _APART_USUAL_M
    if above_ground and ends_low and value * unit_m <= -1:
        usual = value in _USUAL and stands_out(values, counts, 0, unit_m)
        return gap_m >= (_BELOW_GROUND_USUAL_M if usual else _BELOW_GROUND_M)
    if value in _USUAL:
        return gap_m >= max(_APART_USUAL_M, 0.2 * spread_m)
    # Above ground it may be a tower, but for a round number over a good part of the place.
    if not above_ground or (float(value).is_integer() and count >= _LARGE * pixels):
        return gap_m >= max(_APART_M, spread_m)
    # No roof is level to the last digit of a measurement, where no other height is repeated.
    end = 0 if ends_low else len(values) - 1
    apart_m = _APART_M if stands_out(values, counts, end, unit_m) else _APART_TOWER_M
    return fine and gap_m >= max(apart_m, spread_m)


def stands_out(
    values: NDArray[np.float64], counts: NDArray[np.int64], at: int, unit_m: float
) -> bool:
    """Whether one of the sorted values is repeated as no other is, off the ground.

    Args:
        values: As stored, different ones.
        counts: How often each is there.
        at: Which.
        unit_m: Metres a stored step.
    """
    others = np.delete(counts, at)[abs(np.delete(values, at)) * unit_m > _OFF_GROUND_M]
    return len(others) >= _DISTINCT and bool(counts[at] >= _OFTENER * others.max())


def _spread(values: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """From the 1 % to the 99 % quantile of values that are sorted, with their counts."""
    share = np.cumsum(counts) / counts.sum()
    low, high = np.searchsorted(share, (0.01, 0.99))
    return float(values[min(high, len(values) - 1)] - values[low])
