"""How often each key asks, in this process: a bucket of tokens that refills by the minute."""

import threading
import time
from collections.abc import Callable


class RequestRates:
    """Requests a minute for each key.

    A key that was quiet for a minute may send a minute's requests at once.

    Args:
        a_minute: How many; 0 for any number.
        clock: Seconds, never falling.
    """

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_minute = a_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, and when they were counted

    def wait_s(self, key_id: str) -> float:
        """Counts a request of the key.

        Returns:
            0 where it may be served; else the seconds after which one may be, and it counts not.
        """
        if not self._a_minute:
            return 0
        with self._lock:
            tokens = self._tokens(key_id)
            served = tokens >= 1
            self._buckets[key_id] = tokens - served, self._clock()
        return 0 if served else (1 - tokens) * 60 / self._a_minute

    def used(self, key_id: str) -> int:
        """How much of a minute's requests is used up."""
        with self._lock:
            return max(0, round(self._a_minute - self._tokens(key_id)))

    def _tokens(self, key_id: str) -> float:
        now = self._clock()
        tokens, counted = self._buckets.get(key_id, (self._a_minute, now))
        return min(self._a_minute, tokens + (now - counted) * self._a_minute / 60)
