"""A disk of a chosen size, for tests of what happens when it is full."""

import shutil
import subprocess
from pathlib import Path


class Disk:
    """A file system in memory, whose size can be changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.mounted = self._mount("size=64m")

    def resize(self, size_bytes: int) -> None:
        assert self._mount(f"remount,size={size_bytes}")

    def used(self) -> int:
        return shutil.disk_usage(self.path).used

    def close(self) -> None:
        if self.mounted:
            # Lazily: a database that was opened there may still be closing.
            subprocess.run(["umount", "--lazy", self.path], check=True)

    def _mount(self, options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.path]
        try:
            return subprocess.run(command, capture_output=True).returncode == 0
        except OSError:
            return False
