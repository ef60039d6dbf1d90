"""Whether a worker is good for anything: one that fails whatever it begins with is not.

A device that fell off its bus, a disk without room, a driver of another version: such a worker
fails in no time what others could compute, and so takes more jobs than all of them.
"""

import threading

NEEDED = 3
"""Owners whose jobs must have failed: one user's rasters may all be hard to compute."""


class FirstJobs:
    """What became of the first jobs of a worker.

    Attributes:
        poisoned: Set when it has failed its first jobs, of `NEEDED` owners, and none succeeded.
    """

    def __init__(self) -> None:
        self.poisoned = threading.Event()
        self._sound = False
        self._failed: dict[str, str] = {}

    @property
    def reasons(self) -> list[str]:
        """Why they failed, one an owner."""
        return list(self._failed.values())

    def succeeded(self) -> None:
        """A job, or a part of one, was computed: whatever fails from now on has other reasons."""
        self._sound = True

    def failed(self, owner: str, why: str) -> None:
        """A job of this owner's, or a part of one, failed by no fault of the caller's."""
        if self._sound:
            return
        self._failed.setdefault(owner, why)
        if len(self._failed) >= NEEDED:
            self.poisoned.set()
