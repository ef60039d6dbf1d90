"""Waiting for something that other processes or threads do."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 60
_Answer = TypeVar("_Answer")


def until(
    true: Callable[[], _Answer], seconds: float = PATIENCE_S, what: str = "what the test waits for"
) -> _Answer:
    """Asks again and again until the answer is true, and returns it; fails after some time."""
    deadline = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)
    return answer
