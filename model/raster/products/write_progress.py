"""Whether a library that tells nothing of its progress is still at work: its files grow."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_S = 2.0


@contextmanager
def watched(folder: Path, growing: Callable[[], None], look_s: float = LOOK_S) -> Iterator[None]:
    """Calls `growing` from a thread whenever the files of a folder have changed in size.

    Args:
        folder: Where the library writes.
        growing: Takes no arguments; should be quick.
        look_s: Seconds between two looks.
    """
    left = threading.Event()

    def look() -> None:
        size = _bytes(folder)
        while not left.wait(look_s):
            if (now := _bytes(folder)) != size:
                growing()
                size = now

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()


def _bytes(folder: Path) -> int:
    total = 0
    for path in folder.iterdir():
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # temporary, and gone since
            continue
    return total
