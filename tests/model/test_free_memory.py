"""Free memory as the system and control groups of both versions tell it."""

from pathlib import Path

import pytest

from mfnet.model.errors import TooLittleMemory
from mfnet.model.free_memory import check_memory, free_memory

GIB = 1 << 30


def write(root: Path, files: dict[str, object]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{content}\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with 8 GiB free and no groups."""
    write(tmp_path, {"proc/meminfo": f"MemTotal: 1 kB\nMemAvailable:  {8 << 20} kB"})
    return tmp_path


def test_without_groups_it_is_the_machines(root: Path) -> None:
    assert free_memory(root) == 8 * GIB
    assert free_memory(root / "nothing") is None
    check_memory(9 * GIB, "anything", root / "nothing")


@pytest.mark.parametrize("outer", [6 * GIB, "max"])
def test_a_group_leaves_what_its_narrowest_parent_leaves(root: Path, outer: object) -> None:
    group = "sys/fs/cgroup"
    write(
        root,
        {
            "proc/self/cgroup": "0::/user/run",
            f"{group}/user/run/memory.max": 4 * GIB,
            f"{group}/user/run/memory.current": 2 * GIB,
            f"{group}/user/run/memory.stat": f"anon 5\ninactive_file {GIB}",
            f"{group}/user/memory.max": outer,
            f"{group}/user/memory.current": 5 * GIB,
            f"{group}/user/memory.stat": "inactive_file 0",
        },
    )
    assert free_memory(root) == (GIB if outer == 6 * GIB else 3 * GIB)


def test_groups_of_the_first_version(root: Path) -> None:
    group = "sys/fs/cgroup/memory"
    write(
        root,
        {
            "proc/self/cgroup": "9:cpu:/\n4:memory:/docker/abc",
            f"{group}/memory.limit_in_bytes": 2 * GIB,  # as the container sees it
            f"{group}/memory.usage_in_bytes": GIB,
            f"{group}/memory.stat": "total_inactive_file 0",
        },
    )
    assert free_memory(root) == GIB
    check_memory(GIB, "a raster of 5 columns", root)
    with pytest.raises(TooLittleMemory, match="a raster of 5 columns needs about 1,073,741,825"):
        check_memory(GIB + 1, "a raster of 5 columns", root)
