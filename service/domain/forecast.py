"""When a job at work will be done, from how far it came since this attempt began."""

import time
from collections.abc import Callable

_LEAST_SHARE = 0.02
_LEAST_S = 15.0
"""Of the work, or of time: before either, starting up counts for too much."""


class Forecast:
    """Of one attempt.

    Args:
        clock: Seconds, never falling.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: tuple[float, float] | None = None  # share of the work, and when

    def left_s(self, done: int, total: int) -> float | None:
        """Seconds that are left; None where nobody can tell yet, or the steps are all done.

        Args:
            done: Steps, those of earlier attempts included.
            total: All steps; 0 while they are not known.
        """
        if total <= 0 or done >= total:
            return None
        share, now = done / total, self._clock()
        if self._began is None:
            self._began = share, now
        first, began = self._began
        gone_s = now - began
        if share == first or (share - first < _LEAST_SHARE and gone_s < _LEAST_S):
            return None
        return (1 - share) * gone_s / (share - first)
