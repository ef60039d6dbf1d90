"""A child that ends with its parent, however the parent ends."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent(kind: signal.Signals, parent: int | None = None) -> None:
    """Have the kernel send us a signal when the thread that started us is gone (Linux alone).

    Args:
        kind: The signal to get.
        parent: Process id of the parent, where it is known: if it is gone already, we exit.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(kind), 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        raise SystemExit(f"process {parent}, which started this one, is gone")
