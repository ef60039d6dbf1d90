"""The files of registered models, by what is in them."""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from mfnet.service.errors import ModelAltered
from mfnet.service.files.store import Store
from mfnet.service.files.sync import sync

_BLOCK_BYTES = 1 << 20


class ModelFiles:
    """`<sha256>.safetensors` each, and beside it the export that came along, `<sha256>.onnx`.

    An export names the file that it was made of; whoever opens it checks that.

    Args:
        folder: Is made when the first file comes.
        store: Where it is kept.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder = folder
        self._store = store

    def path(self, sha256: str) -> Path:
        """Where the file of this content is."""
        return self._folder / f"{sha256}.safetensors"

    def here(self, sha256: str) -> Path:
        """The same; the file is on this machine, and its export, as far as they are kept."""
        path = self.path(sha256)
        if self._store.is_remote and not path.is_file():
            for each in (path.with_suffix(".onnx"), path):  # the one that may be missing is sought
                with suppress(FileNotFoundError):
                    self._store.fetch(each)
        return path

    def parts(self) -> Iterable[Path]:
        """Files that are being added, or that a killed process was adding."""
        return self._folder.glob("*.part")

    def add(self, source: Path, expected: str | None = None) -> str:
        """Keep a copy of a file, whole or not at all, on the disk before this returns.

        Args:
            source: Stays as it is.
            expected: The sha256 that it must have.

        Returns:
            The sha256 of its bytes, in hex.

        Raises:
            ModelAltered: It has another.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(".part", f"{source.stem}.", self._folder)
        os.close(handle)
        part = Path(name)
        try:
            sha256 = _copy(source, part)
            _require(source, sha256, expected or sha256)
            part.chmod(0o644)  # a worker may be another user
            part.replace(self.path(sha256))
        finally:
            part.unlink(missing_ok=True)
        self._share(sha256)
        self.keep_export(source, sha256)
        sync(self._folder)
        return sha256

    def keep(self, source: Path, sha256: str) -> None:
        """Keep a file of ours that nobody writes to any more, and that lies on the disk already.

        Without a copy where the file system can do that: a large one would take longer than a
        lease lasts.

        Args:
            source: Stays as it is.
            sha256: Of its bytes, as they were when it was measured.

        Raises:
            ModelAltered: It has another by now.
        """
        _require(source, digest(source), sha256)
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, self.path(sha256))
        except FileExistsError:
            self.check(sha256)
        except OSError:
            self.add(source, sha256)
        self._share(sha256)
        self.keep_export(source, sha256)
        sync(self._folder)

    def keep_export(self, source: Path, sha256: str) -> None:
        """Copies the export that lies beside a file that is kept; a model does without it."""
        export, target = source.with_suffix(".onnx"), self.path(sha256).with_suffix(".onnx")
        if not export.is_file() or self._is_kept(target):
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(".part", f"{source.stem}.", self._folder)
        os.close(handle)
        part = Path(name)
        try:
            _copy(export, part)
            part.chmod(0o644)
            part.replace(target)
            if self._store.is_remote:
                self._store.keep(target)
        finally:
            part.unlink(missing_ok=True)

    def check(self, sha256: str) -> None:
        """Raises `ModelAltered` where the file of this content has another one now, or is gone."""
        _require(self.path(sha256), self.kept_digest(sha256) or "of no file", sha256)

    def kept_digest(self, sha256: str) -> str | None:
        """The sha256 of the file that is kept under this one; None where there is none."""
        digest = hashlib.sha256()
        try:
            for block in self._store.read(self.path(sha256)):
                digest.update(block)
        except FileNotFoundError:
            return None
        return digest.hexdigest()

    def _is_kept(self, path: Path) -> bool:
        try:
            self._store.stat(path)
        except FileNotFoundError:
            return False
        return True

    def _share(self, sha256: str) -> None:
        if self._store.is_remote:
            self._store.keep(self.path(sha256))


def digest(path: Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as file, target.open("wb") as copy:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest()


def _require(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise ModelAltered(
            f"the file {path.name} has sha256 {found}, expected {expected}: it was altered after "
            "it was made and measured; restore it from a backup, or train anew",
            got=found,
            expected=expected,
        )
