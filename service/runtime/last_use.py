"""Which keys' last use is to be written down: each at most once a minute by a process."""

import threading
import time
from collections.abc import Callable

_EVERY_S = 60.0


class LastUse:
    """Remembers when each key's use was written down last.

    Args:
        clock: Seconds, never falling.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: dict[str, float] = {}

    def is_due(self, key_id: str) -> bool:
        """Whether it is to be written down now; whoever is told so does it."""
        now = self._clock()
        with self._lock:
            if now - self._noted.get(key_id, -_EVERY_S) < _EVERY_S:
                return False
            self._noted[key_id] = now
            return True
