"""Test-time augmentation: a network looks at each window mirrored and turned, too.

The mean of the logits, each turned back, is what the map is made of.

Shapes: B batch, C bands or classes, S side of a window.
"""

from collections.abc import Mapping
from functools import cached_property
from itertools import product

from mfnet.model.config import ModelConfig
from mfnet.model.engine_options import Augmentation, require_known
from mfnet.model.inference.arrays.interface import Array, Arrays
from mfnet.model.inference.runtimes.interface import Runtime

ROWS, COLUMNS = -2, -1


def turned(runtime: Runtime, augmentation: str) -> Runtime:
    """The runtime that looks so often; itself where that is once.

    Raises:
        BadOption: An unknown augmentation.
    """
    require_known("test-time augmentation", augmentation, [each.value for each in Augmentation])
    return runtime if augmentation == Augmentation.NONE else TurnedRuntime(runtime, augmentation)


class TurnedRuntime:
    """A runtime that averages a window's views. See `Runtime`.

    Args:
        inner: At the rasters' pixel size.
        augmentation: `flips`, four views, or `turns`, all eight of a square.
    """

    def __init__(self, inner: Runtime, augmentation: str) -> None:
        self._inner, self._augmentation = inner, augmentation
        self._transposed = (False, True) if augmentation == Augmentation.TURNS else (False,)
        self.config: ModelConfig = inner.config
        self.name, self.device, self.precision = inner.name, inner.device, inner.precision
        self.arrays: Arrays = inner.arrays
        self.batch_size = inner.batch_size

    @property
    def conditions(self) -> Mapping[str, str | int]:
        """See `Runtime`."""
        return {**self._inner.conditions, "tta": self._augmentation}

    @cached_property
    def fingerprint(self) -> str:
        """See `Runtime`: the network is the same."""
        return self._inner.fingerprint

    def at(self, gsd_m: float | None) -> Runtime:
        """See `Runtime`."""
        return TurnedRuntime(self._inner.at(gsd_m), self._augmentation)

    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        """See `Runtime`."""
        total: Array = 0
        for transposed, upside_down, mirrored in product(self._transposed, *[(False, True)] * 2):
            axes = (ROWS,) * upside_down + (COLUMNS,) * mirrored
            seen = {name: self._view(x, transposed, axes) for name, x in inputs.items()}
            total = total + self._view_back(self._inner(seen), transposed, axes)
        return total * (1 / (4 * len(self._transposed)))

    def _view(self, x_BCSS: Array, transposed: bool, axes: tuple[int, ...]) -> Array:
        x_BCSS = x_BCSS.swapaxes(ROWS, COLUMNS) if transposed else x_BCSS
        return self.arrays.flip(x_BCSS, axes) if axes else x_BCSS

    def _view_back(self, x_BCSS: Array, transposed: bool, axes: tuple[int, ...]) -> Array:
        x_BCSS = self.arrays.flip(x_BCSS, axes) if axes else x_BCSS
        return x_BCSS.swapaxes(ROWS, COLUMNS) if transposed else x_BCSS
