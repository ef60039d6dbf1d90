"""What a process that looks at strangers' files may take."""

import signal

from mfnet.model.errors import BadOption


def limit(memory_mb: int | None, seconds: int | None) -> None:
    """Limit this process; the kernel ends it where it goes beyond.

    Args:
        memory_mb: Address space, MiB; None for as it is.
        seconds: Of computing, and of the clock; None for as it is.

    Raises:
        BadOption: This system has no such limits.
    """
    if memory_mb is None and seconds is None:
        return
    try:
        import resource
    except ModuleNotFoundError:
        raise BadOption(
            "this system cannot limit a process (Linux and macOS can): leave out "
            "--max-memory-mb and --max-seconds"
        ) from None
    if memory_mb is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    if seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        signal.alarm(seconds)
