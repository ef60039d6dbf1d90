"""How many cores this process may use, which is often fewer than the machine has."""

import os
from pathlib import Path

_CGROUP_2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_1 = Path("/sys/fs/cgroup/cpu")


def usable_cores() -> int:
    """Cores by affinity, by the control group's quota, and by `OMP_NUM_THREADS`; at least one."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    told = os.environ.get("OMP_NUM_THREADS", "")
    limits = [cores, _quota(), int(told) if told.isdigit() else None]
    return max(1, min(limit for limit in limits if limit is not None))


def _quota() -> int | None:
    """Whole cores that a container may use; None where nothing limits it."""
    try:
        if _CGROUP_2.is_file():
            quota, period = _CGROUP_2.read_text().split()
        else:
            quota = (_CGROUP_1 / "cpu.cfs_quota_us").read_text()
            period = (_CGROUP_1 / "cpu.cfs_period_us").read_text()
        return max(1, int(quota) // int(period)) if int(quota) > 0 else None
    except (OSError, ValueError):  # no Linux, or "max"
        return None
