"""Whether heights are a mirror image of their orthophoto, or turned: rows written upside down.

Their edges then match those of the picture after they are turned back, and not as they are.
"""

from dataclasses import dataclass

import numpy as np
from rasterio.windows import Window

from mfnet.model.raster.pairs.alignment.measure_shift import (
    FEWEST_PX,
    LEAST_PEAK,
    WINDOW_PX,
    correlation,
    edges_of,
    peak,
)
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.remark import Remark

_A_SIDE = 4
"""Windows along each side, at most."""
_NEAR_PX = 3.0
"""By which heights that are turned back may lie beside the picture."""


@dataclass(frozen=True)
class _Turn:
    """What turns heights back: rows and columns are swapped if need be, then reversed."""

    swapped: bool
    rows: bool
    columns: bool
    found: str


_AS_IT_IS = _Turn(False, False, False, "as they should be")
_TURNS = (
    _Turn(False, True, False, "upside down"),
    _Turn(False, False, True, "mirrored left to right"),
    _Turn(False, True, True, "turned by half a turn"),
    _Turn(True, True, False, "turned by a quarter to the right"),
    _Turn(True, False, True, "turned by a quarter to the left"),
    _Turn(True, False, False, "mirrored, rows for columns"),
    _Turn(True, True, True, "mirrored, rows for columns, and turned by half a turn"),
)


def turn_remarks(pair: RasterPair) -> list[Remark]:
    """Tells of heights whose edges match the picture's only when they are turned back.

    Args:
        pair: Open. Takes up to three seconds where edges do not match.
    """
    height, width = pair.grid.height, pair.grid.width
    if pair.height is None or min(height, width) < 2 * FEWEST_PX or _matches(pair, _AS_IT_IS):
        return []
    for turn in _TURNS:
        if (height == width or not turn.swapped) and _matches(pair, turn):
            message = (
                f"{pair.height.source.path.name}: the heights are {turn.found}: turned back their "
                "edges match those of the orthophoto, as they are they do not; write their rows "
                "and columns in the order that the file's transform says"
            )
            return [Remark(code="pair.turned", message=message)]
    return []


def _matches(pair: RasterPair, turn: _Turn) -> bool:
    """Whether edges of picture and heights lie on each other, over all windows."""
    height, width = pair.grid.height, pair.grid.width
    side = min(WINDOW_PX, min(height, width) // 2)
    found = []
    for row in np.linspace(0, height - side, min(_A_SIDE, 2 * height // side - 1)).astype(int):
        for column in np.linspace(0, width - side, min(_A_SIDE, 2 * width // side - 1)).astype(int):
            window = Window(int(column), int(row), side, side)
            picture, shown, metres = pair.read_window(window)
            if turn is not _AS_IT_IS:
                metres = _turned_back(pair, window, turn)
            edges = edges_of(picture, shown, metres)
            if edges is not None:
                found.append(correlation(*edges))
    if not found:
        return False
    total = np.sum(found, axis=0)
    return bool(total.max() >= LEAST_PEAK * total.std() and max(map(abs, peak(total))) <= _NEAR_PX)


def _turned_back(pair: RasterPair, window: Window, turn: _Turn) -> np.ndarray:
    """The heights (h, w) that belong to a square window, from where they have been written."""
    row, column, side = window.row_off, window.col_off, window.height
    row = pair.grid.height - row - side if turn.rows else row
    column = pair.grid.width - column - side if turn.columns else column
    if turn.swapped:
        row, column = column, row
    metres = pair.read_window(Window(column, row, side, side))[2]
    metres = metres.T if turn.swapped else metres
    return metres[:: -1 if turn.rows else 1, :: -1 if turn.columns else 1]
