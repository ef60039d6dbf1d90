"""A network that sees all rasters at about its own pixel size, whatever theirs is.

Finer pixels are averaged and coarser ones interpolated by factors of two, window by window; the
logits go the other way. The map stays on the orthophoto's grid.

Shapes: B batch, C bands or classes, S side of a window.
"""

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Self

from mfnet.model.config import ModelConfig
from mfnet.model.inference.arrays.interface import Array, Arrays
from mfnet.model.inference.runtimes.interface import Runtime

MOST = 3
"""Factors of two, either way: beyond eight times a pixel says too little, or a window is lost."""


def octaves(config: ModelConfig, gsd_m: float | None) -> int:
    """How often pixels are to be halved in number, or doubled where it is below zero."""
    if not config.rescale or config.gsd_m is None or not gsd_m:
        return 0
    return max(-MOST, min(MOST, round(math.log2(config.gsd_m / gsd_m))))


def at_its_size(runtime: Runtime, gsd_m: float | None) -> Runtime:
    """The runtime for rasters of a pixel size, metres; itself where that is near its own."""
    halvings = octaves(runtime.config, gsd_m)
    return RescaledRuntime(runtime, halvings) if halvings else runtime


class RescaledRuntime:
    """A runtime behind pixels of another size. See `Runtime`.

    Args:
        inner: At its own pixel size.
        halvings: From `octaves`; not 0.
    """

    def __init__(self, inner: Runtime, halvings: int) -> None:
        self._inner, self._halvings = inner, halvings
        factor = 2.0**halvings
        window, stride = inner.config.window_px, inner.config.stride_px
        scaled = {"window_px": int(window * factor), "stride_px": max(1, int(stride * factor))}
        self.config = inner.config.model_copy(update=scaled)
        self.name, self.device, self.precision = inner.name, inner.device, inner.precision
        self.arrays: Arrays = inner.arrays
        self.batch_size = inner.batch_size

    @property
    def conditions(self) -> Mapping[str, str | int]:
        """See `Runtime`."""
        return {**self._inner.conditions, "halvings": self._halvings}

    @cached_property
    def fingerprint(self) -> str:
        """See `Runtime`."""
        return self._inner.fingerprint

    def at(self, gsd_m: float | None) -> Self:
        """See `Runtime`: it is there already."""
        return self

    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        """See `Runtime`."""
        finer = self._halvings > 0
        there, back = (self.halved, self.doubled) if finer else (self.doubled, self.halved)
        seen = dict(inputs)
        for _ in range(abs(self._halvings)):
            seen = {name: there(values) for name, values in seen.items()}
        logits = self._inner(seen)
        for _ in range(abs(self._halvings)):
            logits = back(logits)
        return logits

    def halved(self, x_BCSS: Array) -> Array:
        """Means of two by two pixels."""
        pairs = (x_BCSS[:, :, ::2] + x_BCSS[:, :, 1::2]) * 0.5
        return (pairs[..., ::2] + pairs[..., 1::2]) * 0.5

    def doubled(self, x_BCSS: Array) -> Array:
        """Bilinear between the pixels' middles; the rim is repeated."""
        B, C, rows, columns = x_BCSS.shape
        tall = self.arrays.zeros(B, C, 2 * rows, columns)
        _spread(x_BCSS.swapaxes(2, 3), tall.swapaxes(2, 3))
        wide = self.arrays.zeros(B, C, 2 * rows, 2 * columns)
        _spread(tall, wide)
        return wide


def _spread(x: Array, out: Array) -> None:
    """Doubles the last axis into `out`, which is twice as long and zero."""
    out[..., ::2] = x * 0.75
    out[..., 1::2] = x * 0.75
    out[..., 2::2] += x[..., :-1] * 0.25
    out[..., 1:-1:2] += x[..., 1:] * 0.25
    out[..., :1] += x[..., :1] * 0.25
    out[..., -1:] += x[..., -1:] * 0.25
