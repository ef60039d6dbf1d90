"""The engine: down the raster once, windows to finished rows. Knows no files and no networks.

A raster row is read once, its windows are run in batches of one fixed shape and in a fixed order,
and it leaves as soon as no later window can touch it. Memory is set by the raster's width, the
window and the batch, never by the raster's height.

Shapes: B batch, C bands, K classes, S side of a window, h rows, W width of the raster.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from model.classes import NODATA
from model.errors import BadOption, Cancelled, NonFiniteLogits
from model.inference.ahead import ahead
from model.inference.blend import RowBand
from model.inference.windows import Step, WindowPlan
from model.raster.normalize import Scaling


class Rows(Protocol):
    """Full-width raster rows: by modality, values (C, h, W) and where they are valid (h, W)."""

    @property
    def arrays(self) -> Mapping[str, NDArray[Any]]: ...
    @property
    def valid(self) -> Mapping[str, NDArray[np.bool_]]: ...


class Source(Protocol):
    """What rows are read from, top to bottom."""

    def read(self, row: int, rows: int) -> Rows: ...


Predict = Callable[[Mapping[str, Tensor]], Tensor]
"""Normalised windows by modality, (B, C, S, S), to logits, (B, K, S, S)."""


@dataclass(frozen=True)
class Sweep:
    """How to run a network over a raster.

    Args:
        plan: The windows.
        predict: The network.
        scalings: Of each modality that the network takes; the first says which pixels have data.
        classes: K.
        blend: A name of `blend.BLENDS`.
        batch_size: Windows a call of `predict`.
        device: Where windows are cut, summed and decided.
        confidence: Also say how sure the network is.
        progress: Called with the windows done and their total.
        cancelled: Asked before each batch.

    Raises:
        BadOption: The batch size is below one.
    """

    plan: WindowPlan
    predict: Predict
    scalings: Mapping[str, Scaling]
    classes: int
    blend: str = "mean"
    batch_size: int = 8
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    confidence: bool = False
    progress: Callable[[int, int], None] = lambda done, total: None
    cancelled: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise BadOption(f"the batch size is {self.batch_size}; expected 1 or more")

    def run(self, source: Source) -> Generator["Band", None, None]:
        """Classes of the plan's wanted rows from the top; raises what `means` does."""
        for means in self.means(source):
            yield self._decide(means)

    def means(self, source: Source) -> Generator["Means", None, None]:
        """Mean logits of the plan's wanted rows from the top, reading ahead in a thread.

        Raises:
            Cancelled: `cancelled` said so.
            NonFiniteLogits: Naming the windows.
        """
        strip = Strip(self)
        sums = RowBand(self.plan, self.classes, self.blend, self.device)
        done = 0
        for step, rows in ahead(_read(source, self.plan)):
            strip.advance(step, rows)
            for first in range(0, len(self.plan.lefts), self._batch):
                lefts = self.plan.lefts[first : first + self._batch]
                self._add_windows(sums, strip, step.top, lefts)
                done += len(lefts)
                self.progress(done, len(self.plan))
            means = self._finish(sums, strip, step)
            if step.wanted:
                yield means

    @property
    def _batch(self) -> int:
        """The one batch shape of this raster: no wider than a row of windows."""
        return min(self.batch_size, len(self.plan.lefts))

    def _add_windows(self, sums: RowBand, strip: "Strip", top: int, lefts: Sequence[int]) -> None:
        if self.cancelled():
            raise Cancelled("cancelled by the caller")
        lefts = [left for left in lefts if strip.has_data(left)]
        if not lefts:
            return
        try:
            logits_BKSS = self.predict(strip.windows(lefts, self._batch))
        except NonFiniteLogits as error:
            where = f"in one of the windows at row {top}, columns {', '.join(map(str, lefts))}"
            raise NonFiniteLogits(f"{error.message} {where}", row=top, columns=lefts) from error
        sums.add(logits_BKSS[: len(lefts)], top, lefts)

    def _finish(self, sums: RowBand, strip: "Strip", step: Step) -> "Means":
        finished_KhW = sums.finish(step.top, step.final)
        wanted = slice(step.wanted.start - step.top, step.wanted.stop - step.top)
        return Means(
            row=step.wanted.start,
            mean_KhW=finished_KhW[:, wanted, : self.plan.width],
            valid_hW=strip.valid_SW[wanted, : self.plan.width],
        )

    def _decide(self, means: "Means") -> "Band":
        # max finds the same index as argmax, and on a CPU thirty times sooner.
        best_hW, classes_hW = means.mean_KhW.max(0)
        classes_hW = classes_hW.to(torch.uint8).masked_fill_(~means.valid_hW, NODATA)
        percent_hW = self._percent(means, best_hW) if self.confidence else None
        return Band(means.row, classes_hW.cpu().numpy(), percent_hW)

    def _percent(self, means: "Means", best_hW: Tensor) -> NDArray[np.uint8]:
        share_hW = (best_hW - means.mean_KhW.logsumexp(0)).exp()
        percent_hW = (100 * share_hW).round().to(torch.uint8)
        values: NDArray[np.uint8] = percent_hW.masked_fill_(~means.valid_hW, NODATA).cpu().numpy()
        return values


@dataclass(frozen=True)
class Means:
    """Finished rows before the decision.

    Args:
        row: The first one.
        mean_KhW: Weighted means over the windows that touch a pixel, on the device.
        valid_hW: Where the raster has data.
    """

    row: int
    mean_KhW: Tensor
    valid_hW: Tensor


@dataclass(frozen=True)
class Band:
    """Finished rows.

    Args:
        row: The first one.
        classes_hW: uint8, 255 where the orthophoto has no data.
        confidence_hW: uint8, percent of the winning class in the softmax of the mean logits.
    """

    row: int
    classes_hW: NDArray[np.uint8]
    confidence_hW: NDArray[np.uint8] | None


class Strip:
    """The raster rows under one row of windows, normalised, on the device.

    Zero stands for what a modality does not know. What of a window lies beyond the raster repeats
    its rim: black would look like something.
    """

    def __init__(self, sweep: Sweep) -> None:
        plan, self._device = sweep.plan, sweep.device
        self._side, self._width = plan.window, max(plan.width, plan.window)
        self._scalings = sweep.scalings
        self._values: dict[str, Tensor] = {}
        self._batches: dict[str, Tensor] = {}
        self._top = 0
        self.valid_SW = torch.zeros(0, self._width, dtype=torch.bool, device=self._device)
        self._valid_before: list[int] = []

    def advance(self, step: Step, rows: Rows) -> None:
        """Moves down to `step`: drops the rows above it, appends the new ones."""
        passed, self._top = step.top - self._top, step.top
        for name, scaling in self._scalings.items():
            new = self._normalized(rows.arrays[name], rows.valid[name], scaling)
            old = self._values.get(name, new[:, :0])
            self._values[name] = torch.cat([old[:, passed:], new], dim=1)
        first = next(iter(self._scalings))
        beyond = (0, self._width - rows.valid[first].shape[-1])
        new_valid = F.pad(torch.from_numpy(rows.valid[first]).to(self._device), beyond)
        self.valid_SW = torch.cat([self.valid_SW[passed:], new_valid])
        self._valid_before = F.pad(self.valid_SW.any(0).cumsum(0), (1, 0)).tolist()

    def has_data(self, left: int) -> bool:
        """Whether the window at column `left` has one valid pixel."""
        return self._valid_before[left + self._side] > self._valid_before[left]

    def windows(self, lefts: Sequence[int], batch: int) -> Mapping[str, Tensor]:
        """The windows at columns `lefts`, by modality, (batch, C, S, S), zeros behind the last.

        Valid until the next call.
        """
        for name, values_CSW in self._values.items():
            windows_BCSS = self._batch(name, batch)
            windows_BCSS[len(lefts) :] = 0
            for window_CSS, left in zip(windows_BCSS, lefts, strict=False):
                part = values_CSW[:, :, left : left + self._side]
                window_CSS[:, : part.shape[1]] = part
                window_CSS[:, part.shape[1] :] = part[:, -1:]
        return self._batches

    def _batch(self, name: str, batch: int) -> Tensor:
        """Room for one batch of a modality, used again for the next one."""
        if name not in self._batches:
            shape = (batch, self._values[name].shape[0], self._side, self._side)
            self._batches[name] = torch.zeros(shape, device=self._device)
        return self._batches[name]

    def _normalized(
        self, values_ChW: NDArray[Any], valid_hW: NDArray[np.bool_], scaling: Scaling
    ) -> Tensor:
        values = torch.from_numpy(values_ChW).to(self._device).float()
        values = values.mul_(scaling.scale).add_(scaling.offset)
        values.masked_fill_(~torch.from_numpy(valid_hW).to(self._device), 0)
        return F.pad(values, (0, self._width - values.shape[-1]), mode="replicate")


def _read(source: Source, plan: WindowPlan) -> Generator[tuple[Step, Rows], None, None]:
    for step in plan.steps():
        yield step, source.read(step.read, step.read_rows)
