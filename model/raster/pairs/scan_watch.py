"""What decoding every block shows of a pair that a sample of 64 windows has missed: told."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.values.damage.lines import (
    find_copied_lines,
    tell_of_copied_lines,
    tell_of_zero_lines,
)
from mfnet.model.raster.values.damage.one_colour import find_one_colour, tell_of_one_colour
from mfnet.model.raster.values.damage.one_height import tell_of_one_height

_MOST_PX = 1 << 18
"""Pixels of a raster that are kept, at even distances of `_STEP` and more in rows and columns."""
_STEP, _LINE_STEP = 2, 16
"""Of the pixels, and of the columns by which rows are compared."""


class ScanWatch:
    """Keeps some pixels of blocks that are decoded, and tells what is odd about them all.

    Args:
        pair: What is scanned.
    """

    def __init__(self, pair: RasterPair) -> None:
        self.pair = pair
        self._colours: list[tuple[NDArray[Any], NDArray[np.bool_]]] = []
        self._heights: list[NDArray[np.float32]] = []
        self._copied: dict[str, list[Remark]] = {}
        self._zeros: list[Remark] = []

    def see_colours(self, window: Window, values: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Of the orthophoto: values (3, h, w), validity (h, w)."""
        valid = valid.copy()
        for collar in self.pair.decisions.collars:
            collar.clear(valid, window)
        step = _step(self.pair.ortho.grid.height * self.pair.ortho.grid.width)
        self._colours.append((values[:, ::step, ::step].copy(), valid[::step, ::step]))
        self._see_lines("ortho", self.pair.ortho.path.name, values, valid)

    def see_heights(self, code: str, metres: NDArray[np.float32]) -> None:
        """Of the height raster or the terrain model, `code`: metres (h, w), NaN where unknown."""
        part = self.pair.height if code == "height" else self.pair.dtm
        assert part is not None
        name = part.source.path.name
        self._see_lines(code, name, metres[np.newaxis], np.isfinite(metres))
        if code == "dtm" or self.pair.dtm is not None:
            return
        step = _step(part.source.grid.height * part.source.grid.width)
        self._heights.append(metres[::step, ::step].ravel())
        if not self._zeros:
            self._zeros = [*tell_of_zero_lines(name, [metres[:, ::4]], least=1)]

    def remarks(self) -> list[Remark]:
        """What the sample has not told."""
        told = {remark.code for remark in self.pair.report.remarks}
        told |= {"height.one_value"} if "height.cut" in told else set()
        return [remark for remark in self._found() if remark.code not in told]

    def _found(self) -> Iterator[Remark]:
        pair, options = self.pair, self.pair.options
        hidden = {"ortho.collar_maybe"} & {remark.code for remark in pair.report.remarks}
        if self._colours and not hidden:
            one = find_one_colour(self._colours, pair.white, reach_px=1)
            yield from tell_of_one_colour(pair.ortho.path.name, one)
        for remarks in self._copied.values():
            yield from remarks
        if self._heights and pair.height is not None and options.height_nodata is None:
            yield from self._zeros
            yield from tell_of_one_height(
                pair.height.source.path.name, pair.height.values, np.concatenate(self._heights)
            )

    def _see_lines(
        self, code: str, name: str, values: NDArray[Any], valid: NDArray[np.bool_]
    ) -> None:
        if self._copied.get(code):
            return
        thin = (values[..., ::_LINE_STEP], valid[:, ::_LINE_STEP])
        if min(thin[1].shape) >= 4:
            found = find_copied_lines([thin], least=1)
            self._copied[code] = [*tell_of_copied_lines(name, code, found)]


def _step(pixels: int) -> int:
    return max(_STEP, int(np.ceil(np.sqrt(pixels / _MOST_PX))))
