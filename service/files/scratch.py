"""A folder that one process has for itself, and that goes when it has ended, however that was."""

import fcntl
import os
import shutil
import uuid
from pathlib import Path


class Scratch:
    """Made at once, in the place of those whose processes have ended.

    Attributes:
        folder: Empty.

    Args:
        root: Of all such folders of this machine.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        for left in root.iterdir():
            _remove_left(left)
        self.folder = root / uuid.uuid4().hex
        while True:
            self.folder.mkdir(exist_ok=True)
            self._lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if self.folder.exists():  # nobody took it for left over before it was ours
                return
            os.close(self._lock)

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def _remove_left(folder: Path) -> None:
    """Removes a folder that no process holds."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(lock)
