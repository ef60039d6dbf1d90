"""How much memory this process may still take: of the machine, and of the groups it is in."""

from collections.abc import Iterator
from pathlib import Path

from mfnet.model.errors import TooLittleMemory

_GROUPS_2 = ("memory.max", "memory.current", "inactive_file")
_GROUPS_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def check_memory(needed_bytes: int, what: str, root: Path = Path("/")) -> None:
    """Refuses before the work what memory has no room for.

    Args:
        needed_bytes: At least.
        what: That needs it, for people.
        root: Of `/proc` and `/sys`.

    Raises:
        TooLittleMemory: With the bytes needed and the bytes free.
    """
    free = free_memory(root)
    if free is not None and free < needed_bytes:
        raise TooLittleMemory(
            f"{what} needs about {needed_bytes:,} bytes of memory, and {free:,} are free: cut the "
            "raster into tiles of fewer columns (gdal_translate -srcwin), close other programs, or "
            "give this one more",
            needed_bytes=needed_bytes,
            free_bytes=free,
        )


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes, the least of what the machine and each control group leave; None where none says.

    Pages of files that are read no more count as free: the system drops them first.

    Args:
        root: Of `/proc` and `/sys`.
    """
    found = [*_of_machine(root), *_of_groups(root)]
    return min(found) if found else None


def _of_machine(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:  # no Linux
        return
    told = dict(line.split(":", 1) for line in lines)
    if "MemAvailable" in told:
        yield int(told["MemAvailable"].split()[0]) * 1024


def _of_groups(root: Path) -> Iterator[int]:
    """Of the group that the process is in, and of those around it."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            place, names = root / "sys/fs/cgroup", _GROUPS_2
        elif "memory" in controllers.split(","):
            place, names = root / "sys/fs/cgroup/memory", _GROUPS_1
        else:
            continue
        group = Path(path.lstrip("/"))
        for each in (group, *group.parents):  # a container sees its own as the topmost
            yield from _of_group(place / each, *names)


def _of_group(folder: Path, limit: str, usage: str, inactive: str) -> Iterator[int]:
    try:
        most, used = ((folder / name).read_text().strip() for name in (limit, usage))
        lines = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return
    stat = dict(line.split(" ", 1) for line in lines)
    if most.isdigit():  # else "max"
        yield max(0, int(most) - int(used) + int(stat.get(inactive, 0)))
