"""Waiting for something that other processes or threads do."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 60
_Answer = TypeVar("_Answer")


def until(
    true: Callable[[], _Answer], seconds: float = PATIENCE_S, what: str = "what the test waits for"
) -> _Answer:
    """Asks until the answer is true, and returns it; fails after some time.

    The longer it has taken, the less often: what is waited for needs the processor, too.
    """
    began = time.monotonic()
    while not (answer := true()):
        waited = time.monotonic() - began
        assert waited < seconds, f"{what} did not happen within {seconds} s"
        time.sleep(min(max(0.02, waited / 20), 0.5))
    return answer
