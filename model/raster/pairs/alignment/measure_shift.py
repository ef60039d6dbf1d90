"""How far heights lie beside their orthophoto: two steps of one survey are often 1 to 2 m apart.

Edges of the picture and edges of the heights are correlated in windows all over the pair, by
partly whitened cross-correlation (between plain correlation and phase correlation: Knapp and
Carter, "The Generalized Correlation Method for Estimation of Time Delay", IEEE TASSP 1976). The
windows' correlations are summed. Four quarters of the windows, each by itself, must find the same
place, or it is said that nobody can tell.

Shapes: S side of a window, D = 2 · MOST_PX + 3 displacements.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.remark import Remark

MOST_PX = 32
"""Farther displacements are not looked for."""
TOLD_PX = 1.5
"""What is told: more than a pixel, and the half by which the measurement may be wrong."""

WINDOW_PX, FEWEST_PX = 256, 96
A_SIDE = 6
"""Windows along each side of a pair, at most."""
_WHITENED = 0.7
_SMOOTHED_PX = 1.0
_HIGHEST_M, _STEEPEST_M = 12.0, 2.0
"""Heights above, and steps above, count no more than these: a tower is not all edges."""
_ROUGHEST = 0.98
"""Quantile of the picture's edges above which they count no more."""
_LEAST_RELIEF_M = 0.5
_MOST_MISSING = 0.2
_QUARTERS, _AGREEING, _AGREE_PX = 4, 3, 1.0
_FEWEST_WINDOWS = 4
LEAST_PEAK = 5.0
"""Of the summed correlations, in their spread: 2.7 to 4.6 where picture and heights are of two
towns, 6.5 to 27 where they are of one."""

Plane = NDArray[np.float64]


@dataclass(frozen=True)
class Shift:
    """Where heights lie in relation to the orthophoto, in its pixels.

    Attributes:
        columns: How far they lie to the right.
        rows: How far they lie further down.
        windows: How many were looked at.
    """

    columns: float
    rows: float
    windows: int

    @property
    def far(self) -> bool:
        """Whether it is worth telling."""
        return max(abs(self.columns), abs(self.rows)) > TOLD_PX

    @property
    def option(self) -> str:
        """What moves the heights back."""
        return f"--height-shift {self.columns:.2f},{self.rows:.2f}"


def measure_shift(pair: RasterPair) -> Shift | None:
    """Where a pair's heights lie.

    Args:
        pair: Open. About a second for 36 windows.

    Returns:
        The displacement, right to half a pixel where there are buildings; None where it cannot be
        told: no heights, too small a place, too little relief, or quarters of the windows disagree.
    """
    return shift_of(correlations(pair))


def correlations(pair: RasterPair) -> list[Plane]:
    """How well the edges of picture and heights agree, (D, D) each, in windows with relief."""
    return [] if pair.height is None else [correlation(*window) for window in _windows(pair)]


def shift_of(found: Sequence[Plane]) -> Shift | None:
    """Where heights lie, by the correlations of their windows; as `measure_shift`."""
    if len(found) < _FEWEST_WINDOWS:
        return None
    total = np.sum(found, axis=0)
    row, column = peak(total)
    quarters = [peak(np.sum(found[k::_QUARTERS], axis=0)) for k in range(_QUARTERS)]
    near = [max(abs(r - row), abs(c - column)) <= _AGREE_PX for r, c in quarters]
    weak = total.max() < LEAST_PEAK * total.std()
    if weak or sum(near) < _AGREEING or max(abs(row), abs(column)) > MOST_PX:
        return None
    return Shift(round(column, 2), round(row, 2), len(found))


def shift_remarks(pair: RasterPair, shift: Shift | None) -> list[Remark]:
    """What is to be told of a displacement."""
    if pair.height is None or shift is None or not shift.far:
        return []
    name = pair.height.source.path.name
    by = np.hypot(shift.columns, shift.rows)
    metres = "" if pair.grid.gsd_m is None else f" ({by * pair.grid.gsd_m:.2g} m)"
    return [
        Remark(
            code="pair.shifted",
            message=f"{name} lies {by:.1f} pixels{metres} beside the "
            f"orthophoto: {shift.columns:+.1f} columns, {shift.rows:+.1f} rows; --align, or "
            f"{shift.option}, moves it",
        )
    ]


def _windows(pair: RasterPair) -> Iterator[tuple[Plane, Plane]]:
    """Edges of the picture and of the heights, (S, S) each, of windows with relief."""
    height, width = pair.grid.height, pair.grid.width
    side = min(WINDOW_PX, min(height, width) // 2)
    if side < FEWEST_PX:
        return
    for row in starts(height, side):
        for column in starts(width, side):
            edges = edges_of(*pair.read_window(Window(column, row, side, side)))
            if edges is not None:
                yield edges


def edges_of(
    picture: NDArray[Any], shown: NDArray[np.bool_], metres: NDArray[np.float32]
) -> tuple[Plane, Plane] | None:
    """Edges of a window's picture and of its heights, (S, S) each; None without relief.

    Args:
        picture: (bands, S, S).
        shown: (S, S), where it is valid.
        metres: (S, S), NaN where unknown.
    """
    known = np.isfinite(metres)
    if min(shown.mean(), known.mean()) < 1 - _MOST_MISSING:
        return None
    if np.std(metres[known]) < _LEAST_RELIEF_M:
        return None
    return _of_picture(picture, shown), _of_heights(metres, known)


def _of_picture(picture: NDArray[Any], shown: NDArray[np.bool_]) -> Plane:
    edges = _edges(picture.mean(axis=0, dtype=np.float64), shown)
    return np.minimum(edges, np.quantile(edges, _ROUGHEST))


def _of_heights(metres: NDArray[Any], known: NDArray[np.bool_]) -> Plane:
    low = np.quantile(metres[known], 0.1)
    above = np.clip(np.where(known, metres, low) - low, 0, _HIGHEST_M)
    return np.minimum(_edges(above.astype(np.float64), known), _STEEPEST_M)


def _edges(values: Plane, known: NDArray[np.bool_]) -> Plane:
    """Steepness; beside a gap, whose rim is no edge of anything, the mean."""
    down, across = np.gradient(values)
    steepness: Plane = np.hypot(down, across)
    sure = known.copy()
    for _ in range(2):
        padded = np.pad(sure, 1, constant_values=True)
        sure = np.logical_and.reduce(
            [padded[1:-1, 1:-1], padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2],
             padded[1:-1, 2:]]
        )  # fmt: skip
    if not sure.any():
        return np.zeros_like(steepness)
    return np.where(sure, steepness, steepness[sure].mean())


def starts(length: int, side: int) -> list[int]:
    """First pixels of windows along an axis, at even distances, of half a window at least."""
    count = min(A_SIDE, 1 + 2 * (length - side) // side)
    return [round(at) for at in np.linspace(0, length - side, max(1, count))]


def correlation(picture: Plane, relief: Plane) -> Plane:
    """(D, D): how well the edges of both agree at each displacement; of spread 1."""
    side = len(picture)
    fade = np.hanning(side)[:, None] * np.hanning(side)
    spectra = [np.fft.rfft2((edges - edges.mean()) * fade) for edges in (relief, picture)]
    product = spectra[0] * spectra[1].conj()
    product /= np.abs(product) ** _WHITENED + 1e-9
    down, across = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)
    product *= np.exp(-0.5 * (2 * np.pi * _SMOOTHED_PX) ** 2 * (down**2 + across**2))
    reach = MOST_PX + 1
    everywhere = np.roll(np.fft.irfft2(product, s=(side, side)), (reach, reach), (0, 1))
    near: Plane = everywhere[: 2 * reach + 1, : 2 * reach + 1]
    spread: Plane = near / (near.std() + 1e-12)
    return spread


def peak(surface: Plane) -> tuple[float, float]:
    """Rows and columns of the highest displacement, between pixels by a parabola."""
    inner = surface[1:-1, 1:-1]
    row, column = (int(at) + 1 for at in np.unravel_index(inner.argmax(), inner.shape))
    middle = surface[row, column]
    by_row = _vertex(surface[row - 1, column], middle, surface[row + 1, column])
    by_column = _vertex(surface[row, column - 1], middle, surface[row, column + 1])
    return row - MOST_PX - 1 + by_row, column - MOST_PX - 1 + by_column


def _vertex(before: float, at: float, after: float) -> float:
    curve = before - 2 * at + after
    return 0.0 if curve == 0 else float(0.5 * (before - after) / curve)
