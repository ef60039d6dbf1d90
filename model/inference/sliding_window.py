"""The engine: down the raster once, windows to finished rows. Knows no files and no networks.

A raster row is read once, its windows are run in batches of one fixed shape and in a fixed order,
and it leaves as soon as no later window can touch it. Memory is set by the raster's width, the
window and the batch, never by the raster's height.

Shapes: B batch, C bands, K classes, S side of a window, h rows, W width of the raster.
"""

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mfnet.model.classes import NODATA
from mfnet.model.errors import BadOption, Cancelled, NonFiniteLogits
from mfnet.model.inference.arrays.host import HostArrays
from mfnet.model.inference.arrays.interface import Array, Arrays, Upload
from mfnet.model.inference.blend import RowBand
from mfnet.model.inference.prefetch import ahead
from mfnet.model.inference.row_strip import Strip
from mfnet.model.inference.windows import Step, WindowPlan
from mfnet.model.raster.pairs.normalize import Scaling


class Rows(Protocol):
    """Full-width raster rows: by modality, values (C, h, W) and where they are valid (h, W)."""

    @property
    def arrays(self) -> Mapping[str, NDArray[Any]]: ...
    @property
    def valid(self) -> Mapping[str, NDArray[np.bool_]]: ...


class Source(Protocol):
    """What rows are read from, top to bottom."""

    def read(self, row: int, rows: int) -> Rows: ...


class Wanted(Protocol):
    """Which pixels a map is wanted of."""

    def mask(self, row: int, rows: int) -> NDArray[np.bool_]:
        """(rows, W) of full-width rows; beyond the raster nowhere."""


Predict = Callable[[Mapping[str, Array]], Array]
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
        arrays: Where windows are cut, summed and decided.
        confidence: Also say how sure the network is.
        temperature: What mean logits are divided by for it.
        wanted: Windows without a wanted pixel are not computed, and other pixels are nodata; all
            are wanted if it is not given. What is wanted gets the same classes either way.
        progress: Called with the windows done and their total.
        cancelled: Asked before each batch.

    Raises:
        BadOption: The batch size is below one.
    """

    plan: WindowPlan
    predict: Predict
    scalings: Mapping[str, Scaling]
    classes: int
    blend: str = "hann"
    batch_size: int = 8
    arrays: Arrays = field(default_factory=HostArrays)
    confidence: bool = False
    temperature: float = 1.0
    wanted: Wanted | None = None
    progress: Callable[[int, int], None] = lambda done, total: None
    cancelled: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise BadOption(f"the batch size is {self.batch_size}; expected 1 or more")

    def run(self, source: Source) -> Generator["Band", None, None]:
        """Classes of the plan's wanted rows from the top, reading ahead in a thread.

        Raises:
            Cancelled: `cancelled` said so.
            NonFiniteLogits: Naming the windows.
        """
        # Handed out one band late: a device then already has the next windows to work on.
        waiting: deque[Callable[[], Band]] = deque()
        for finished in self._finished(source):
            waiting.append(self._decide(finished))
            if len(waiting) > 1:
                yield waiting.popleft()()
        for band in waiting:
            yield band()

    def means(self, source: Source) -> Generator["Means", None, None]:
        """Mean logits of the plan's wanted rows from the top; raises what `run` does."""
        for finished in self._finished(source):
            mean_KhW = self.arrays.download(finished.mean_KhW())
            yield Means(finished.row, mean_KhW(), finished.valid_hW.copy())

    def _finished(self, source: Source) -> Generator["Finished", None, None]:
        """Sums that no later window touches; each valid until the next is asked for."""
        strip = Strip(self.plan, self.scalings, self.arrays)
        sums = RowBand(self.plan, self.classes, self.blend, self.arrays)
        done, batch = 0, self.plan.batch(self.batch_size)
        for arrival in ahead(self._arrivals(source)):
            step = arrival.step
            strip.advance(step, arrival.values.wait(), arrival.unknown.wait(), arrival.valid_hW)
            needed = self._needed(strip, step.top)
            for first in range(0, len(self.plan.lefts), batch):
                lefts = self.plan.lefts[first : first + batch]
                here = [left for left in lefts if left in needed]
                self._add_windows(sums, strip, step.top, here, batch)
                done += len(lefts)
                self.progress(done, len(self.plan))
            for piece in sums.pieces(step.wanted):
                sums_KhW = sums.sums(piece)[:, :, : self.plan.width]
                weights_hW = sums.weights(piece)[:, : self.plan.width]
                valid_hW = strip.valid(piece)
                if self.wanted is not None:
                    valid_hW = valid_hW & self.wanted.mask(piece.start, len(piece))
                yield Finished(piece.start, sums_KhW, weights_hW, valid_hW)
            sums.clear(range(step.top, step.final))

    def _arrivals(self, source: Source) -> Generator["_Arrival", None, None]:
        """Rows, read and on their way to the device."""
        names, first = list(self.scalings), next(iter(self.scalings))
        for step in self.plan.steps():
            rows = source.read(step.read, step.read_rows)
            masks = {name: ~rows.valid[name] for name in names if not rows.valid[name].all()}
            yield _Arrival(
                step=step,
                values=self.arrays.upload({name: rows.arrays[name] for name in names}),
                unknown=self.arrays.upload(masks),
                valid_hW=rows.valid[first],
            )

    def _needed(self, strip: Strip, top: int) -> set[int]:
        """Columns of the windows that have data, and a wanted pixel."""
        lefts = [left for left in self.plan.lefts if strip.has_data(left)]
        if self.wanted is not None and lefts:
            wanted_W = self.wanted.mask(top, self.plan.window).any(axis=0)
            before = np.concatenate([[0], wanted_W.cumsum()])
            stops = np.minimum(np.array(lefts) + self.plan.window, self.plan.width)
            counts = before[stops] - before[lefts]
            lefts = [left for left, count in zip(lefts, counts, strict=True) if count]
        return set(lefts)

    def _add_windows(
        self, sums: RowBand, strip: Strip, top: int, lefts: Sequence[int], batch: int
    ) -> None:
        if self.cancelled():
            raise Cancelled("cancelled by the caller")
        if not lefts:
            return
        try:
            logits_BKSS = self.predict(strip.windows(lefts, batch))
        except NonFiniteLogits as error:
            where = f"in one of the windows at row {top}, columns {', '.join(map(str, lefts))}"
            raise NonFiniteLogits(f"{error.message} {where}", row=top, columns=lefts) from error
        sums.add(logits_BKSS[-len(lefts) :], top, lefts)

    def _decide(self, finished: "Finished") -> Callable[[], "Band"]:
        """Starts to decide; the band is there when what is returned is called."""
        # A pixel's sums differ from its means by one factor: the highest is the same.
        arrays = self.arrays
        classes = arrays.download(arrays.highest(finished.sums_KhW))
        percent = None
        if self.confidence:
            share_hW = arrays.percent_of_highest(finished.mean_KhW(), self.temperature)
            percent = arrays.download(share_hW)
        empty_hW = None if finished.valid_hW.all() else ~finished.valid_hW

        def band() -> Band:
            classes_hW = _masked(classes(), empty_hW)
            percent_hW = None if percent is None else _masked(percent(), empty_hW)
            return Band(finished.row, classes_hW, percent_hW)

        return band


@dataclass(frozen=True)
class _Arrival:
    """Rows that a step adds; arguments as of `Strip.advance`."""

    step: Step
    values: Upload
    unknown: Upload
    valid_hW: NDArray[np.bool_]


@dataclass(frozen=True)
class Finished:
    """Finished rows, still in the engine's own memory.

    Args:
        row: The first one.
        sums_KhW: Weighted sums over the windows that touch a pixel, on the device.
        weights_hW: The sums of the weights.
        valid_hW: Where the raster has data, on the host.
    """

    row: int
    sums_KhW: Array
    weights_hW: Array
    valid_hW: NDArray[np.bool_]

    def mean_KhW(self) -> Array:  # noqa: N802
        return self.sums_KhW / self.weights_hW


@dataclass(frozen=True)
class Means:
    """Finished rows before the decision.

    Args:
        row: The first one.
        mean_KhW: Weighted means over the windows that touch a pixel, on the host.
        valid_hW: Where the raster has data.
    """

    row: int
    mean_KhW: NDArray[np.float32]
    valid_hW: NDArray[np.bool_]


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


def _masked(values_hW: NDArray[np.uint8], empty_hW: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """The values, 255 where the raster is empty."""
    if empty_hW is not None:
        np.putmask(values_hW, empty_hW, NODATA)
    return values_hW
