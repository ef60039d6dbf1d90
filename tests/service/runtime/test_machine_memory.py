"""The memory of this machine, or of the container."""

from pathlib import Path

import psutil

from mfnet.service.runtime.machine_memory import machine_memory


def test_a_control_group_has_less_than_its_machine(tmp_path: Path) -> None:
    whole = psutil.virtual_memory().total
    assert machine_memory(tmp_path) == whole
    (tmp_path / "memory.max").write_text("max\n")
    assert machine_memory(tmp_path) == whole
    (tmp_path / "memory.max").write_text("1048576\n")
    assert machine_memory(tmp_path) == 1 << 20
