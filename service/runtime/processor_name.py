"""What the processor of this machine is called."""

import platform
from pathlib import Path


def processor_name() -> str:
    """For people, such as `AMD EPYC 7B13`."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
