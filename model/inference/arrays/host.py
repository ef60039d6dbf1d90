"""NumPy's arrays, on a processor: nothing is moved, and nothing imports torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray


@dataclass(frozen=True)
class Here:
    """Arrays that are where they are needed."""

    arrays: Mapping[str, NDArray[Any]]

    def wait(self) -> Mapping[str, NDArray[Any]]:
        """The arrays."""
        return self.arrays


class HostArrays:
    """See `Arrays`."""

    def zeros(self, *shape: int) -> NDArray[np.float32]:
        """See `Arrays`."""
        return np.zeros(shape, np.float32)

    def constant(self, values: NDArray[Any]) -> NDArray[Any]:
        """See `Arrays`."""
        return values.copy()

    def upload(self, arrays: Mapping[str, NDArray[Any]]) -> Here:
        """See `Arrays`."""
        return Here(arrays)

    def download(self, array: NDArray[Any]) -> Callable[[], NDArray[Any]]:
        """See `Arrays`."""
        return lambda: array

    def flip(self, array: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
        """See `Arrays`."""
        return np.flip(array, axes)

    def windows(self, values_CSW: NDArray[Any], spacing: int) -> NDArray[Any]:
        """See `Arrays`."""
        side = values_CSW.shape[1]
        # Writeable as its base is: torch would warn of arrays that are not.
        views_CSBS = sliding_window_view(values_CSW, side, axis=2, writeable=True)[:, :, ::spacing]
        return views_CSBS.transpose(2, 0, 1, 3)

    def highest(self, scores_KhW: NDArray[np.float32]) -> NDArray[np.uint8]:
        """See `Arrays`. Class by class, a tenth of the time of `argmax` over the first axis."""
        first_hW, *others = scores_KhW
        best_hW = first_hW.copy()
        classes_hW = np.zeros(best_hW.shape, np.uint8)
        for value, score_hW in enumerate(others, start=1):
            higher_hW = np.greater(score_hW, best_hW).view(np.uint8)
            np.maximum(classes_hW, higher_hW * np.uint8(value), out=classes_hW)
            np.maximum(best_hW, score_hW, out=best_hW)
        return classes_hW

    def percent_of_highest(
        self, mean_KhW: NDArray[np.float32], temperature: float
    ) -> NDArray[np.uint8]:
        """See `Arrays`."""
        scaled_KhW = mean_KhW / np.float32(temperature)
        shares_KhW = np.exp(scaled_KhW - scaled_KhW.max(axis=0))
        percent_hW: NDArray[np.uint8] = np.rint(100 / shares_KhW.sum(axis=0)).astype(np.uint8)
        return percent_hW
