"""A backup becomes a deployment again, an empty one, whatever database it has.

Everything is read and checked before anything is entered: files go into a folder of their own
first, then into their places, then the rows are committed. Where it ends in between, what is there
is no deployment yet; remove the data folder and begin again.

Jobs that had not come to their end start anew, with the attempts that a new job has.
"""

import hashlib
import json
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from sqlalchemy import Connection, delete, update

from mfnet.service.db.session import Database
from mfnet.service.db.tables import Job, Part
from mfnet.service.domain.job import BATCH, FINAL, State
from mfnet.service.errors import BackupDamaged, BackupTooNew, NotEmpty
from mfnet.service.files.storage import Storage
from mfnet.service.files.sync import sync
from mfnet.service.maintenance import table_rows
from mfnet.service.maintenance.backup import FORMAT, Report

_BLOCK_BYTES = 1 << 20
_TOPS = {"files", "models", "tables", "manifest.json"}


def restore(database: Database, storage: Storage, models_dir: Path, source: BinaryIO) -> Report:
    """Make an empty deployment what it was when the backup was made.

    Args:
        database: Without rows, maybe without tables.
        storage: Without files.
        models_dir: Where imported models go; a model that is there stays.
        source: The archive; need not be seekable.

    Raises:
        NotEmpty: There is something already.
        BackupDamaged: The archive is no whole backup. Nothing was changed.
        BackupTooNew: This program does not know its tables.
    """
    _require_no_files(storage)
    with database.migrating() as migration:
        _require_no_rows(migration.connection)
    with _unpacking(storage.root / "restoring") as folder:
        found = _unpack(source, folder)
        manifest = _manifest(folder)
        _check(manifest, found)
        with database.migrating() as migration:
            _require_no_rows(migration.connection)
            if not migration.knows(manifest["revision"]):
                raise BackupTooNew(
                    f"the backup was made by mfnet {manifest['program']}, with tables of version "
                    f"{manifest['revision']}, which this program does not know; restore it with "
                    "that program or a newer one, then update"
                )
            migration.remove_tables()
            migration.to(manifest["revision"])
            for name in manifest["rows"]:
                with (folder / "tables" / f"{name}.jsonl").open("rb") as rows:
                    table_rows.load(migration.connection, name, rows)
            migration.to("head")
            _begin_anew(migration.connection)
            _place(manifest, folder, storage, models_dir)
    size = sum(file["bytes"] for file in manifest["files"])
    missing = tuple(manifest["missing"])
    return Report(manifest["rows"], len(manifest["files"]), size, missing)


# ---- what must not be there --------------------------------------------------------------------


def _require_no_files(storage: Storage) -> None:
    for folder in (storage.uploads, storage.root / "jobs", storage.root / "registry"):
        kept = storage.is_remote and any(True for _ in storage.store.found(folder))
        if kept or (folder.is_dir() and any(folder.iterdir())):
            raise NotEmpty(
                f"{folder} holds files, expected an empty deployment; name another data folder "
                "(--data-dir), or move this one away"
            )


def _require_no_rows(connection: Connection) -> None:
    if there := table_rows.rows_there_are(connection):
        told = ", ".join(f"{count} {name}" for name, count in there.items())
        raise NotEmpty(
            f"the database holds {told}; expected an empty one: restore before the service is "
            "started for the first time, or name another database (DATABASE_URL)"
        )


# ---- the archive -------------------------------------------------------------------------------


@contextmanager
def _unpacking(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)  # of a restoration that was interrupted
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(source: BinaryIO, folder: Path) -> dict[str, dict[str, Any]]:
    """Write all files of the archive below a folder; what each is, by its name."""
    found: dict[str, dict[str, Any]] = {}
    try:
        with tarfile.open(fileobj=source, mode="r|") as tar:
            for member in tar:
                content = tar.extractfile(member)
                if content is None or not _is_ours(member.name):
                    raise BackupDamaged(
                        f"got {member.name!r} in the archive, expected what mfnet admin backup "
                        "writes; name such an archive"
                    )
                found[member.name] = _write(content, folder / member.name)
    except (tarfile.TarError, EOFError) as error:
        raise BackupDamaged(
            f"the archive cannot be read to its end ({error}); take another copy of it"
        ) from error
    return found


def _is_ours(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] in _TOPS and ".." not in parts and "\0" not in name


def _write(content: Any, path: Path) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        while block := content.read(_BLOCK_BYTES):
            digest.update(block)
            size += file.write(block)
    sync(path)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    except FileNotFoundError:
        raise BackupDamaged(
            "the archive has no manifest, which comes last: the backup was interrupted; take "
            "another one"
        ) from None
    if manifest["format"] != FORMAT:
        raise BackupTooNew(
            f"got a backup of format {manifest['format']}, expected {FORMAT}; restore it with "
            f"mfnet {manifest['program']}"
        )
    return manifest


def _check(manifest: dict[str, Any], found: dict[str, dict[str, Any]]) -> None:
    for file in manifest["files"]:
        if found.get(file["name"]) != {"bytes": file["bytes"], "sha256": file["sha256"]}:
            raise BackupDamaged(
                f"{file['name']} is not what was put into the archive; take another copy of it"
            )
    if lacking := [n for n in manifest["rows"] if f"tables/{n}.jsonl" not in found]:
        raise BackupDamaged(f"the archive lacks the table {lacking[0]}; take another copy of it")


# ---- its place ---------------------------------------------------------------------------------


def _place(manifest: dict[str, Any], folder: Path, storage: Storage, models_dir: Path) -> None:
    """Move the files that the rows speak of to where they belong."""
    places = {"files": storage.root, "models": models_dir}
    folders = set()
    for file in manifest["files"]:
        top, *rest = PurePosixPath(file["name"]).parts
        target = places[top].joinpath(*rest)
        if top == "models" and target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / file["name"], target)
        if target == storage.link_secret_file:
            target.chmod(0o600)
        folders.add(target.parent)
        if top == "files":
            storage.share(target)
    for each in folders:
        sync(each)


def _begin_anew(connection: Connection) -> None:
    """Let jobs that had not come to their end be computed from their beginning.

    A batch runs on: no worker claims it, it is told of by its jobs.
    """
    connection.execute(delete(Part))
    connection.execute(
        update(Job)
        .where(Job.state.not_in(FINAL), Job.process != BATCH)
        .values(
            state=State.ACCEPTED,
            attempts=0,
            worker=None,
            lease_until=None,
            parts_key=None,
            progress=0,
            started=None,
            message="waiting, since a backup was restored",
        )
    )
