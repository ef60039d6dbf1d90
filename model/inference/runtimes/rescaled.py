"""A network that sees all rasters at about its own pixel size, whatever theirs is.

Finer pixels are averaged and coarser ones interpolated by factors of two, window by window; the
logits go the other way. The map stays on the orthophoto's grid.

Shapes: B batch, C bands or classes, S side of a window.
"""

from collections.abc import Mapping
from functools import cached_property

from mfnet.model.config import ModelConfig
from mfnet.model.inference.arrays.interface import Array, Arrays
from mfnet.model.inference.runtimes.interface import Runtime


def at_its_size(runtime: Runtime, gsd_m: float | None) -> Runtime:
    """The runtime for rasters of a pixel size, metres; itself where that is near its own."""
    return RescaledRuntime(runtime, gsd_m) if runtime.config.halvings(gsd_m) else runtime


class RescaledRuntime:
    """A runtime behind pixels of another size. See `Runtime`.

    Args:
        inner: At its own pixel size.
        gsd_m: Side of the rasters' pixels in metres.
    """

    def __init__(self, inner: Runtime, gsd_m: float | None) -> None:
        self._inner, self._halvings = inner, inner.config.halvings(gsd_m)
        self.config: ModelConfig = inner.config.at(gsd_m)
        self.name, self.device, self.precision = inner.name, inner.device, inner.precision
        self.arrays: Arrays = inner.arrays
        # A finer raster's window has that many more pixels.
        self.batch_size = max(1, inner.batch_size >> max(0, 2 * self._halvings))

    @property
    def conditions(self) -> Mapping[str, str | int]:
        """See `Runtime`."""
        return {**self._inner.conditions, "halvings": self._halvings}

    @cached_property
    def fingerprint(self) -> str:
        """See `Runtime`."""
        return self._inner.fingerprint

    def at(self, gsd_m: float | None) -> Runtime:
        """See `Runtime`: it is there already."""
        return self

    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        """See `Runtime`."""
        finer = self._halvings > 0
        there, back = (halved, self._doubled) if finer else (self._doubled, halved)
        seen = dict(inputs)
        for _ in range(abs(self._halvings)):
            seen = {name: there(values) for name, values in seen.items()}
        logits = self._inner(seen)
        for _ in range(abs(self._halvings)):
            logits = back(logits)
        return logits

    def _doubled(self, x_BCSS: Array) -> Array:
        return doubled(x_BCSS, self.arrays)


def halved(x_BCHW: Array) -> Array:
    """Means of two by two pixels."""
    pairs = (x_BCHW[:, :, ::2] + x_BCHW[:, :, 1::2]) * 0.5
    return (pairs[..., ::2] + pairs[..., 1::2]) * 0.5


def doubled(x_BCHW: Array, arrays: Arrays) -> Array:
    """Bilinear between the pixels' middles; the rim is repeated."""
    B, C, rows, columns = x_BCHW.shape
    tall = arrays.zeros(B, C, 2 * rows, columns)
    _spread(x_BCHW.swapaxes(2, 3), tall.swapaxes(2, 3))
    wide = arrays.zeros(B, C, 2 * rows, 2 * columns)
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
