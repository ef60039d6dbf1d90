"""Uploads that come in pieces, until they are whole: bytes so far, and what was said of them.

    incoming/<upload id>/bytes       what has come; its size is the offset to go on at
    incoming/<upload id>/about.json  whose it is, what it is called, how long it will be
    incoming/<upload id>/unchecked   where a piece begins whose checksum was not compared yet

What nobody goes on with expires, and is removed.
"""

import fcntl
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mfnet.service.files.sync import sync


class Incoming(NamedTuple):
    """What was said of an upload when it began.

    Attributes:
        owner: Id of a key.
        name: Its sender's for it.
        length: Bytes when it is whole.
        sha256: What its bytes hash to, in hex, where that was said.
    """

    owner: str
    name: str
    length: int
    sha256: str | None


class IncomingFiles:
    """The folder of uploads that come in pieces.

    Args:
        root: Created when needed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def begin(self, upload_id: str, about: Incoming) -> None:
        """An upload of no bytes yet."""
        folder = self._root / upload_id
        folder.mkdir(parents=True)
        self.path(upload_id).touch()
        # Last: without it nothing is there.
        (folder / "about.part").write_text(json.dumps(about._asdict()))
        (folder / "about.part").rename(folder / "about.json")

    def about(self, upload_id: str) -> Incoming | None:
        """What was said of it; None where there is none."""
        try:
            return Incoming(**json.loads((self._root / upload_id / "about.json").read_text()))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def announced_bytes(self, owner: str, but: str | None = None) -> int:
        """What an owner's uploads that come in pieces, `but` one, will take when they are whole."""
        known = (self.about(folder.name) for folder in self._root.glob("*") if folder.name != but)
        return sum(about.length for about in known if about is not None and about.owner == owner)

    def path(self, upload_id: str) -> Path:
        """What has come of it."""
        return self._root / upload_id / "bytes"

    def offset(self, upload_id: str) -> int:
        """Where to go on: bytes that have come, without those of a piece that is not checked."""
        try:
            return int(self._unchecked(upload_id).read_text())
        except FileNotFoundError:
            return self.path(upload_id).stat().st_size

    def touched(self, upload_id: str) -> float:
        """When it was gone on with last, in seconds since 1970."""
        return self.path(upload_id).stat().st_mtime

    @contextmanager
    def going_on(self, upload_id: str) -> Iterator[BinaryIO | None]:
        """Its bytes, to be added to by nobody else meanwhile; None where somebody else does, or has
        just made it whole."""
        try:
            file = self.path(upload_id).open("ab")
        except FileNotFoundError:
            yield None
            return
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            self._drop_unchecked(upload_id, file)  # of a process that was killed
            yield file

    @contextmanager
    def unchecked(self, upload_id: str, file: BinaryIO) -> Iterator[None]:
        """What is added to `file` meanwhile counts if the block ends well, else nothing of it.

        Args:
            upload_id: Of the upload that is gone on with.
            file: From `going_on`.
        """
        part = self._unchecked(upload_id).with_suffix(".part")
        part.write_text(str(file.tell()))
        part.rename(self._unchecked(upload_id))
        try:
            yield
        except BaseException:
            self._drop_unchecked(upload_id, file)
            raise
        self._unchecked(upload_id).unlink()

    def link(self, upload_id: str, target: Path) -> None:
        """Let the bytes, which are whole, be `target`, too, until they are removed here.

        Where they are already, an earlier attempt was interrupted.
        """
        path = self.path(upload_id)
        sync(path)
        try:
            target.hardlink_to(path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            shutil.copyfile(path, target)
            sync(target)

    def remove(self, upload_id: str) -> None:
        """Forget it."""
        shutil.rmtree(self._root / upload_id, ignore_errors=True)

    def remove_idle(self, idle_s: float) -> None:
        """Forget what nobody has gone on with for so many seconds."""
        for folder in self._root.glob("*"):
            try:
                idle = time.time() - self.touched(folder.name) >= idle_s
            except FileNotFoundError:
                idle = not (folder / "about.json").exists()
            if idle:
                shutil.rmtree(folder, ignore_errors=True)

    def _unchecked(self, upload_id: str) -> Path:
        return self._root / upload_id / "unchecked"

    def _drop_unchecked(self, upload_id: str, file: BinaryIO) -> None:
        try:
            offset = int(self._unchecked(upload_id).read_text())
        except FileNotFoundError:
            return
        file.truncate(offset)
        file.seek(offset)
        self._unchecked(upload_id).unlink()
