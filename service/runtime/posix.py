"""What the service asks of the system that it runs on."""

from importlib.util import find_spec


def is_posix() -> bool:
    """Whether processes can be limited and files locked as the service does both."""
    return all(find_spec(module) is not None for module in ("fcntl", "resource"))
