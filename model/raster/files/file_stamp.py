"""Tells whether a file is still the one that was opened."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mfnet.model.errors import InputChanged


@dataclass(frozen=True)
class Stamp:
    """A file as its folder describes it; no byte of it is read.

    Attributes:
        path: Of the file.
        size_bytes: Of the file.
        modified_ns: When it was written to, nanoseconds since 1970.
        inode: Another one where the file was replaced.
    """

    path: Path
    size_bytes: int
    modified_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """The file's stamp now; zeros where there is none."""
        try:
            status = path.stat()
        except OSError:
            return cls(path, 0, 0, 0)
        return cls(path, status.st_size, status.st_mtime_ns, status.st_ino)

    def check(self) -> None:
        """Raises `InputChanged` where the file is no longer what it was."""
        now = Stamp.of(self.path)
        if now != self:
            raise InputChanged(
                f"{self.path.name}: changed while it was being read ({self.size_bytes:,} bytes at "
                f"first, {now.size_bytes:,} now); expected it to stay as it is: wait until its "
                "writer is done, then run again",
                file=self.path.name,
                bytes_before=self.size_bytes,
                bytes_now=now.size_bytes,
            )
