"""What the engine does with arrays that NumPy and torch do not spell alike.

Everything else (slices, sums, products, masks) is written the same for both, so that there is one
engine.

Shapes: B batch, C bands, K classes, S side of a window, h rows, W width of the raster.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

Array = Any
"""A NumPy array or a torch tensor; of one kind all through a run."""


class Upload(Protocol):
    """Arrays on their way to where they are computed with."""

    def wait(self) -> Mapping[str, Array]:
        """The arrays by name, for what is computed from here on; of the dtypes they came in."""


class Arrays(Protocol):
    """One kind of array, and where it lies."""

    def zeros(self, *shape: int) -> Array:
        """Float32 zeros."""

    def constant(self, values: NDArray[Any]) -> Array:
        """A small array from the host, copied."""

    def upload(self, arrays: Mapping[str, NDArray[Any]]) -> Upload:
        """Starts moving arrays from the host; may be called from a thread beside the computing."""

    def download(self, array: Array) -> Callable[[], NDArray[Any]]:
        """Starts moving an array to the host, where the call of what is returned waits for it."""

    def flip(self, array: Array, axes: tuple[int, ...]) -> Array:
        """The array the other way round along some axes; perhaps a view."""

    def windows(self, values_CSW: Array, spacing: int) -> Array:
        """Windows of S columns, `spacing` apart, (B, C, S, S); a view."""

    def highest(self, scores_KhW: Array) -> Array:
        """The class with the highest score, the first of equals, (h, W), uint8."""

    def percent_of_highest(self, mean_KhW: Array, temperature: float) -> Array:
        """Share of the highest in the softmax of mean logits, percent, (h, W), uint8.

        Args:
            mean_KhW: Mean logits.
            temperature: What they are divided by first; the highest stays the highest.
        """
