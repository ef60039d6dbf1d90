"""Where windows overlap: their weights, and the band of sums that moves down the raster.

Shapes: B batch, K classes, S side of a window, W width of the raster.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mfnet.model.engine_options import Blend, require_known
from mfnet.model.inference.arrays.interface import Array, Arrays
from mfnet.model.inference.windows import WindowPlan

BLENDS = tuple(blend.value for blend in Blend)


def window_weights(blend: str, side: int) -> NDArray[np.float32]:
    """Weight of a window's rows, equally of its columns, (S,), float32; nowhere zero.

    `mean` weighs all pixels alike, as the paper does. `hann` trusts a window's middle more: a Hann
    window with its zeros just outside, since weights of zero on the rim would leave the raster's
    outermost pixels without a class.

    Raises:
        BadOption: No blend of this name.
    """
    require_known("blend", blend, BLENDS)
    if blend == "mean":
        return np.ones(side, np.float32)
    return np.hanning(side + 2)[1:-1].astype(np.float32)


class RowBand:
    """Weighted sums of logits for as many raster rows as a window is high.

    Row r lies at r modulo S, so nothing is ever moved: `add` sums windows in, `sums` shows the rows
    that no later window touches, and `clear` makes room for the rows to come.

    Args:
        plan: The windows to come.
        classes: K.
        blend: A name of `BLENDS`.
        arrays: Where the sums lie.
    """

    def __init__(self, plan: WindowPlan, classes: int, blend: str, arrays: Arrays) -> None:
        self._side = plan.window
        width = max(plan.width, plan.window)
        self._sums_KSW = arrays.zeros(classes, plan.window, width)
        weights_S = window_weights(blend, plan.window)
        window_SS = weights_S[:, None] * weights_S[None, :]
        self._window_SS = None if blend == "mean" else arrays.constant(window_SS)
        # A window's weights are a product, and so are their sums over a grid of windows.
        rows_H = _summed(plan.tops, weights_S, max(plan.height, plan.window))
        self._rows_H1 = arrays.constant(rows_H[:, None])
        self._columns_W = arrays.constant(_summed(plan.lefts, weights_S, width))

    def add(self, logits_BKSS: Array, top: int, lefts: Sequence[int]) -> None:
        """Adds the windows at row `top` and columns `lefts`."""
        if self._window_SS is not None:
            logits_BKSS = logits_BKSS * self._window_SS
        for rows in self.pieces(range(top, top + self._side)):
            here = slice(rows.start - top, rows.stop - top)
            sums_KhW = self.sums(rows)
            for logits_KSS, left in zip(logits_BKSS, lefts, strict=True):
                sums_KhW[:, :, left : left + self._side] += logits_KSS[:, here]

    def pieces(self, rows: range) -> Iterator[range]:
        """The rows, cut where they wrap around: each piece lies in one place."""
        start = rows.start
        while start < rows.stop:
            stop = min(rows.stop, start - start % self._side + self._side)
            yield range(start, stop)
            start = stop

    def sums(self, piece: range) -> Array:
        """Weighted sums of the rows of one piece, (K, h, W); a view."""
        first = piece.start % self._side
        return self._sums_KSW[:, first : first + len(piece)]

    def weights(self, piece: range) -> Array:
        """What its sums are to be divided by to become means, (h, W)."""
        return self._rows_H1[piece.start : piece.stop] * self._columns_W

    def clear(self, rows: range) -> None:
        """Makes room for the rows S further down."""
        for piece in self.pieces(rows):
            self.sums(piece)[...] = 0


def _summed(
    offsets: Sequence[int], weights_S: NDArray[np.float32], size: int
) -> NDArray[np.float32]:
    """For each row (or column), the sum of the weights that fall on it, (size,)."""
    total = np.zeros(size, np.float32)
    for offset in offsets:
        total[offset : offset + len(weights_S)] += weights_S
    return total
