"""What a process that looks at strangers' files may take."""

import resource
import signal


def limit(memory_mb: int | None, seconds: int | None) -> None:
    """Limit this process; the kernel ends it where it goes beyond.

    Args:
        memory_mb: Address space, MiB; None for as it is.
        seconds: Of computing, and of the clock; None for as it is.
    """
    if memory_mb is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    if seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        signal.alarm(seconds)
