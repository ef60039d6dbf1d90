"""The raster rows under one row of windows, normalised, on the device; windows are cut from them.

Shapes: B batch, C bands, S side of a window, h rows, W width of the raster, at least S.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mfnet.model.inference.arrays.interface import Array, Arrays
from mfnet.model.inference.windows import Step, WindowPlan
from mfnet.model.raster.pairs.normalize import Scaling


class Strip:
    """Rows come in below and leave above.

    The model's neutral values stand for what a modality does not know. What of a window lies beyond
    the raster repeats its rim: black would look like something.

    There is room for two windows' rows, so that each row is moved once at most, and a window's rows
    always lie one below the other: evenly spaced windows are then views, and the network's own
    first copy is the only one.

    Args:
        plan: The windows to come.
        scalings: Of each modality.
        arrays: Where the rows lie.
    """

    def __init__(self, plan: WindowPlan, scalings: Mapping[str, Scaling], arrays: Arrays) -> None:
        self._plan, self._scalings, self._arrays = plan, scalings, arrays
        self._side, self._width = plan.window, max(plan.width, plan.window)
        self._values: dict[str, Array] = {}
        self._batches: dict[str, Array] = {}
        self._valid = np.zeros((2 * self._side, self._width), bool)
        self._first = 0  # raster row that lies at 0
        self._top = 0  # of the present windows
        self._valid_before: NDArray[np.int64] = np.zeros(0, np.int64)

    def advance(
        self,
        step: Step,
        values: Mapping[str, Array],
        unknown: Mapping[str, Array],
        valid_hW: NDArray[np.bool_],
    ) -> None:
        """Moves down to `step`.

        Args:
            step: The next one of the plan.
            values: The rows that it adds, by modality, (C, h, W), as the files have them, on the
                device.
            unknown: Where a modality's values mean nothing, (h, W), if anywhere.
            valid_hW: Where the raster has data, on the host.
        """
        self._make_room(step)
        new = self._rows(step.read, step.read + step.read_rows)
        for name, scaling in self._scalings.items():
            room_ChW = self._room(name, len(values[name]))
            rows_ChW = room_ChW[:, new, : self._plan.width]
            rows_ChW[...] = values[name]
            rows_ChW *= scaling.scale
            rows_ChW += scaling.offset
            if name in unknown:
                neutral = scaling.neutral or (0.0,) * len(rows_ChW)
                for band_hW, value in zip(rows_ChW, neutral, strict=True):
                    band_hW[unknown[name]] = value
            self._repeat_rim(room_ChW, new.stop)
        self._valid[new, : self._plan.width] = valid_hW
        here = self._valid[self._rows(step.top, step.top + self._side)].any(0)
        self._valid_before = np.concatenate([[0], here.cumsum()])

    def valid(self, rows: range) -> NDArray[np.bool_]:
        """Where rows have data, (h, W of the raster); valid until the next `advance`."""
        return self._valid[self._rows(rows.start, rows.stop), : self._plan.width]

    def has_data(self, left: int) -> bool:
        """Whether the window at column `left` has one valid pixel."""
        return bool(self._valid_before[left + self._side] > self._valid_before[left])

    def windows(self, lefts: Sequence[int], batch: int) -> Mapping[str, Array]:
        """The windows at columns `lefts`, by modality, (batch, C, S, S), last in the batch.

        What comes before them is filling: the windows before the first, or zeros. Valid until the
        next call; not to be written to.
        """
        spacing = self._spacing(lefts)
        first = lefts[0] - (batch - len(lefts)) * spacing
        if spacing and first >= 0:
            return self._views(slice(first, lefts[-1] + self._side), spacing)
        for name, values_CSW in self._present().items():
            windows_BCSS = self._batch(name, batch)
            filling = batch - len(lefts)
            windows_BCSS[:filling] = 0
            for window_CSS, left in zip(windows_BCSS[filling:], lefts, strict=True):
                window_CSS[...] = values_CSW[:, :, left : left + self._side]
        return self._batches

    def _spacing(self, lefts: Sequence[int]) -> int:
        """Columns from each window to the next; 0 if they differ."""
        spacings = {right - left for left, right in pairwise(lefts)} or {self._side}
        return spacings.pop() if len(spacings) == 1 else 0

    def _views(self, columns: slice, spacing: int) -> Mapping[str, Array]:
        return {
            name: self._arrays.windows(values_CSW[:, :, columns], spacing)
            for name, values_CSW in self._present().items()
        }

    def _present(self) -> Mapping[str, Array]:
        rows = self._rows(self._top, self._top + self._side)
        return {name: values_ChW[:, rows] for name, values_ChW in self._values.items()}

    def _rows(self, start: int, stop: int) -> slice:
        return slice(start - self._first, stop - self._first)

    def _make_room(self, step: Step) -> None:
        """Moves the rows that are still needed up to the top where the new ones would not fit."""
        self._top = step.top
        if not self._values:
            self._first = step.top
        if step.top + self._side - self._first <= 2 * self._side:
            return
        # No more than S rows are kept, and they lie more than S rows down: no overlap.
        kept = self._rows(step.top, step.read)
        count = step.read - step.top
        for values_ChW in self._values.values():
            values_ChW[:, :count] = values_ChW[:, kept]
        self._valid[:count] = self._valid[kept]
        self._first = step.top

    def _repeat_rim(self, values_ChW: Array, stop: int) -> None:
        """Fills what windows reach beyond a raster smaller than them."""
        if self._plan.width < self._width:
            rim = slice(self._plan.width - 1, self._plan.width)
            values_ChW[:, :stop, self._plan.width :] = values_ChW[:, :stop, rim]
        if self._plan.height < self._side:
            values_ChW[:, stop : self._side] = values_ChW[:, stop - 1 : stop]

    def _room(self, name: str, bands: int) -> Array:
        """Where a modality's rows lie, (C, 2 S, W)."""
        if name not in self._values:
            self._values[name] = self._arrays.zeros(bands, 2 * self._side, self._width)
        return self._values[name]

    def _batch(self, name: str, batch: int) -> Array:
        """Room for one batch of a modality, used again for the next one."""
        if name not in self._batches:
            bands = len(self._values[name])
            self._batches[name] = self._arrays.zeros(batch, bands, self._side, self._side)
        return self._batches[name]
