"""How much memory this machine has, or the container that we are in."""

import os
from pathlib import Path

_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")  # of control groups 2 and 1


def machine_memory(groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes; what others have of it is not taken off.

    Args:
        groups: Where control groups are; a container sees its own as the topmost.
    """
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for name in _LIMITS:
        try:
            found.append(int((groups / name).read_text()))
        except (OSError, ValueError):  # no such group, or `max`
            continue
    return min(found)
