"""Where the service's files are kept: in the data folder itself, or in a store that speaks S3.

A file is named by its path in the data folder, whichever of the two it is. In a store of objects
that path is where a copy lies on this machine, if there is one, and the part of it below the data
folder is the object's key: `aws s3 sync` of a data folder makes such a store of it.

Nothing is a file of the service's before a row of the database speaks of it. So no file is ever
changed once it is kept, and none needs to be renamed.
"""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from mfnet.service.files.sync import link_or_copy, publish_once, sync

BLOCK_BYTES = 1 << 20


class Kept(NamedTuple):
    """A file that is kept.

    Attributes:
        path: In the data folder.
        bytes: Of it.
        modified: When it was kept, in seconds since 1970.
    """

    path: Path
    bytes: int
    modified: float


class Store(Protocol):
    """Keeps files of a data folder. Whatever is asked of it may raise `StoreAway`.

    Attributes:
        is_remote: What lies in the data folder is this machine's alone until it is kept.
    """

    is_remote: bool

    def keep(self, *paths: Path) -> None:
        """Lets files, and all that is in folders, outlive this machine: each whole, or not at all.

        Raises:
            FileNotFoundError: One is not there.
        """

    def create(self, path: Path, content: bytes) -> bytes:
        """Keeps a small file, unless somebody was sooner; returns what is kept."""

    def fetch(self, path: Path) -> Path:
        """Sees to it that a file, or what is kept of a folder, lies in its place on this machine.

        Raises:
            FileNotFoundError: There is none.
        """

    def stat(self, path: Path) -> Kept:
        """A file that is kept.

        Raises:
            FileNotFoundError: There is none.
        """

    def found(self, folder: Path) -> Iterator[Kept]:
        """All files that are kept in a folder and its folders; none where it is not there."""

    def folders(self, folder: Path) -> list[Path]:
        """The folders in a folder."""

    def copy(self, source: Path, target: Path) -> None:
        """Keeps a file under another name, too.

        Raises:
            FileNotFoundError: There is none.
        """

    def remove(self, *paths: Path) -> None:
        """Forgets files, and folders with all that is in them; what is not there is no matter."""

    def read(self, path: Path, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes of a file from `start` to before `stop`, its end if not given.

        Raises:
            FileNotFoundError: There is none.
        """

    def link(self, path: Path, seconds: float) -> str | None:
        """An address at which anybody may read the file for so long; None where there is none."""


class FolderStore:
    """The data folder keeps its files itself.

    Args:
        root: The data folder.
    """

    is_remote = False

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, *paths: Path) -> None:
        """See `Store`: forces them to the disk, and their names."""
        for path in paths:
            for file in (*sorted(path.rglob("*")), path):
                sync(file)
            for folder in path.parents:
                if not folder.is_relative_to(self._root):
                    break
                sync(folder)

    def create(self, path: Path, content: bytes) -> bytes:
        """See `Store`."""
        if not path.exists():
            part = path.with_name(f".{path.name}.{id(content):x}.part")
            part.touch(mode=0o600)
            part.write_bytes(content)
            publish_once(part, path)
            part.unlink(missing_ok=True)
        return path.read_bytes()

    def fetch(self, path: Path) -> Path:
        """See `Store`: it is there."""
        if not path.exists():
            raise FileNotFoundError(path)
        return path

    def stat(self, path: Path) -> Kept:
        """See `Store`."""
        if not path.is_file():
            raise FileNotFoundError(path)
        status = path.stat()
        return Kept(path, status.st_size, status.st_mtime)

    def found(self, folder: Path) -> Iterator[Kept]:
        """See `Store`."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                status = path.stat()
                yield Kept(path, status.st_size, status.st_mtime)

    def folders(self, folder: Path) -> list[Path]:
        """See `Store`."""
        return sorted(path for path in folder.glob("*") if path.is_dir())

    def copy(self, source: Path, target: Path) -> None:
        """See `Store`: a second name, as long as the file system has such."""
        target.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(source, target)

    def remove(self, *paths: Path) -> None:
        """See `Store`."""
        remove_copies(paths)

    def read(self, path: Path, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """See `Store`."""
        with path.open("rb") as file:
            file.seek(start)
            left = path.stat().st_size - start if stop is None else stop - start
            while block := file.read(max(0, min(BLOCK_BYTES, left))):
                left -= len(block)
                yield block

    def link(self, path: Path, seconds: float) -> str | None:
        """See `Store`: none; whoever may read it asks the API."""
        return None


def remove_copies(paths: Iterable[Path]) -> None:
    """Removes files and folders of this machine."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
