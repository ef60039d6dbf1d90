"""A backup of a service at work: one archive of all rows and all files that they speak of.

The order is what makes it whole. First a snapshot of the database, one transaction; then the files
that its rows speak of, which nobody writes to any more. A row that was removed meanwhile may have
lost files before they were copied: then a later snapshot takes the place of the first, and only
what is new in it is copied. What came after the snapshot is in the next backup.

The archive is a plain tar, written from front to end:

    files/uploads/…  files/jobs/…  files/tiles/…  files/registry/…  files/evaluation/…
    files/link_secret       so that links that need no key go on to work
    models/…                imported models
    tables/NAME.jsonl       the rows of a table
    manifest.json           the last: program, version of the tables, each file with its sha256

Not in it: uploads that have not come whole, what unfinished jobs have computed so far (they start
anew), and pictures, which are drawn again.
"""

import hashlib
import io
import json
import logging
import tarfile
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

from mfnet.service.db.session import Database, revision_of
from mfnet.service.errors import BackupUnfinished
from mfnet.service.files.storage import Storage
from mfnet.service.maintenance import table_rows
from mfnet.service.maintenance.named_files import Named, named

FORMAT = 1
_PASSES = 20
_log = logging.getLogger(__name__)


class Report(NamedTuple):
    """What a backup holds.

    Attributes:
        rows: By table.
        files: How many.
        bytes: Of the files.
        missing: Rows whose files were gone, though the rows are there.
    """

    rows: dict[str, int]
    files: int
    bytes: int
    missing: tuple[str, ...]


def back_up(database: Database, storage: Storage, models_dir: Path, target: BinaryIO) -> Report:
    """Write a backup of everything to `target`, front to end.

    Args:
        database: Its tables are the newest.
        storage: The data folder.
        models_dir: Models that were imported.
        target: Need not be seekable.

    Raises:
        BackupUnfinished: Rows were removed faster than they could be copied.
    """
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        return _Backup(database, storage, tar).make(models_dir)


class _Snapshot(NamedTuple):
    """Tables as they were at one moment, and what their rows speak of."""

    tables: dict[str, IO[bytes]]
    rows: dict[str, int]
    names: list[Named]
    revision: str | None


class _Backup:
    """One archive that is being written.

    Args:
        database: To be backed up.
        storage: Where the files are.
        tar: Takes them.
    """

    def __init__(self, database: Database, storage: Storage, tar: tarfile.TarFile) -> None:
        self._database = database
        self._storage = storage
        self._tar = tar
        self._copied: dict[str, list[dict[str, Any]]] = {}  # by row

    def make(self, models_dir: Path) -> Report:
        snapshot, missing = self._whole_snapshot()
        files = [file for each in snapshot.names for file in self._copied.get(each.what, ())]
        scenes = [each.path for each in self._storage.store.found(self._storage.scenes)]
        files += [self._copy_file(path, self._name(path)) for path in scenes]
        files += self._copy_folder(models_dir, "models")
        with suppress(FileNotFoundError):
            secret = self._storage.link_secret_file
            files.append(self._copy_file(secret, self._name(secret)))
        for name, rows in snapshot.tables.items():
            with rows:
                self._add(f"tables/{name}.jsonl", rows)
        manifest = {
            "format": FORMAT,
            "program": version("mfnet"),
            "revision": snapshot.revision,
            "made": time.time(),
            "rows": snapshot.rows,
            "missing": missing,
            "files": files,
        }
        self._add("manifest.json", io.BytesIO(json.dumps(manifest).encode()))
        size = sum(file["bytes"] for file in files)
        return Report(snapshot.rows, len(files), size, tuple(missing))

    def _whole_snapshot(self) -> tuple[_Snapshot, list[str]]:
        """One whose files have all been copied, and what was missing from the beginning."""
        missing: list[str] = []
        for _ in range(_PASSES):
            snapshot = self._snapshot()
            lost = [each.what for each in snapshot.names if not self._copy(each)]
            if set(lost) <= set(missing):
                return snapshot, lost
            for rows in snapshot.tables.values():
                rows.close()
            missing = lost
            _log.info("files of %d rows were gone when they were copied; looking again", len(lost))
        raise BackupUnfinished(
            f"in each of {_PASSES} passes rows were removed before their files were copied; run "
            "it again when fewer are removed"
        )

    def _snapshot(self) -> _Snapshot:
        with self._database.snapshot() as session:
            tables, rows = {}, {}
            for name in table_rows.names():
                tables[name], rows[name] = _spool(table_rows.dump(session, name))
            names = list(named(session, self._storage))
            return _Snapshot(tables, rows, names, revision_of(session.connection()))

    def _copy(self, what: Named) -> bool:
        """Copy the files of a row; False where they may not be whole."""
        if what.what in self._copied:
            return True
        try:
            files = [
                self._copy_file(path, self._name(path)) for path in what.files(self._storage.store)
            ]
        except FileNotFoundError:
            return False
        with self._database.reading() as session:
            if not what.stands(session):
                return False
        self._copied[what.what] = files
        return True

    def _copy_folder(self, folder: Path, name: str) -> list[dict[str, Any]]:
        paths = sorted(folder.rglob("*")) if folder.is_dir() else []
        return [
            self._copy_file(path, f"{name}/{path.relative_to(folder)}")
            for path in paths
            if path.is_file() and path.suffix != ".part"
        ]

    def _copy_file(self, path: Path, name: str) -> dict[str, Any]:
        was_here = path.exists()
        with self._storage.here(path).open("rb") as file:
            added = self._add(name, file)
        if not was_here:  # a store's files may be more than this disk takes
            path.unlink()
        return added

    def _add(self, name: str, file: IO[bytes]) -> dict[str, Any]:
        info = tarfile.TarInfo(name)
        info.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        info.mode, info.mtime = 0o644, int(time.time())
        hashed = _Hashed(file)
        self._tar.addfile(info, hashed)
        return {"name": name, "bytes": info.size, "sha256": hashed.digest.hexdigest()}

    def _name(self, path: Path) -> str:
        return f"files/{path.relative_to(self._storage.root)}"


class _Hashed:
    """A file that is read once, with the sha256 of what was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.digest.update(block)
        return block


def _spool(lines: Iterable[bytes]) -> tuple[IO[bytes], int]:
    """Lines in a file that is gone when it is closed; and how many there are."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed by whoever reads it
    count = 0
    for line in lines:
        spool.write(line)
        count += 1
    return spool, count
