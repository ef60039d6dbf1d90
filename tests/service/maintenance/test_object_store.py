"""Maintenance where a store that speaks S3 keeps the files."""

import io
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import copy_migrated

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database
from mfnet.service.errors import NotEmpty
from mfnet.service.files.storage import storage_of
from mfnet.service.maintenance import backup, restore
from mfnet.service.maintenance.diagnosis import Deployment, diagnose
from mfnet.service.maintenance.orphans import orphans
from mfnet.service.queue import JobNotifier, make_celery
from mfnet.service.settings import Settings


class Machine:
    """A machine of a deployment."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.storage = storage_of(settings)
        self.database = Database(settings.database)

    def put(self, name: str, content: bytes = b"content") -> None:
        path = self.storage.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.storage.share(path)
        path.unlink()

    def kept(self) -> set[str]:
        root = self.storage.root
        return {each.path.relative_to(root).as_posix() for each in self.storage.store.found(root)}

    def findings(self) -> dict[str, bool]:
        notifier = JobNotifier(make_celery(self.settings))
        deployment = Deployment(self.settings, self.database, self.storage, notifier)
        return {found.what: found.fine for found in diagnose(deployment, deep=True)}


def settings_for(s3: str, folder: Path, name: str) -> Settings:
    copy_migrated(folder / name / "mfnet.sqlite3")
    return Settings(
        data_dir=folder / name,
        storage=f"s3://bucket/{folder.name}-{name}",
        storage_endpoint=s3,
        storage_key_id="key",
        storage_secret="secret",
    )


@pytest.fixture
def machine(s3: str, tmp_path: Path) -> Iterator[Machine]:
    """With an upload and a job that was mapped."""
    machine = Machine(settings_for(s3, tmp_path, "ours"))
    with machine.database.writing() as session:
        owner = KeyRepository(session).create("somebody", "user")[0].id
        UploadRepository(session).add("u1", owner, "a.tif", size=7, sha256="", report={})
        job_id = JobRepository(session).submit(owner, "segment", {"model": "town"})[0].id
        job = JobRepository(session).claim(job_id, "w", 60, 3)
        assert job is not None
        assert JobRepository(session).publish(job)
    for name in ("uploads/u1", "uploads/u1.tfw", f"jobs/{job_id}/1/classes.tif"):
        machine.put(name)
    yield machine
    machine.database.close()


def test_what_belongs_to_nothing_is_found_in_the_store(machine: Machine) -> None:
    before = machine.kept()
    for name in ("uploads/gone", "jobs/gone/1/a", "jobs/gone/1/b", "registry/f.onnx"):
        machine.put(name)
    time.sleep(1)  # the store's clock has whole seconds
    found = orphans(machine.database, machine.storage, 0)
    assert sorted((each.path.parent.name, each.bytes) for each in found) == [
        *(("jobs", 14), ("registry", 7), ("uploads", 7)),
    ]
    assert orphans(machine.database, machine.storage, 3600) == []
    for each in found:
        each.remove(machine.storage)
    assert machine.kept() == before


def test_a_doctor_looks_into_the_store(machine: Machine, s3: str, tmp_path: Path) -> None:
    told = machine.findings()
    assert told["files: 2 of 2 that rows speak of are there"]
    assert told[f"store {machine.settings.storage}: takes and gives files"]
    machine.storage.store.remove(machine.storage.upload("u1"))
    lacking = "files: 1 of 2 that rows speak of are there; not those of upload u1"
    assert not machine.findings()[lacking]
    away = machine.settings.model_copy(update={"storage": "s3://no-such-bucket"})
    notifier = JobNotifier(make_celery(away))
    findings = diagnose(Deployment(away, machine.database, storage_of(away), notifier))
    wrong = next(found for found in findings if found.what.startswith("store "))
    assert not wrong.fine
    assert "NoSuchBucket" in wrong.what


@pytest.mark.parametrize("to_store", [True, False])
def test_a_backup_of_a_store_is_restored(
    machine: Machine, s3: str, tmp_path: Path, *, to_store: bool
) -> None:
    secret = machine.storage.link_secret()
    archive = io.BytesIO()
    backup.back_up(machine.database, machine.storage, tmp_path / "models", archive)
    assert not machine.storage.upload("u1").exists()  # no copy stays
    other = settings_for(s3, tmp_path, "other")
    (other.data_dir / "mfnet.sqlite3").unlink()
    if not to_store:
        other = other.model_copy(update={"storage": None})
    there = Machine(other)
    report = restore.restore(
        there.database, there.storage, tmp_path / "models", io.BytesIO(archive.getvalue())
    )
    assert (report.files, report.missing) == (4, ())
    kept = {name for name in there.kept() if "sqlite" not in name}
    assert kept == machine.kept()
    assert there.storage.link_secret() == secret
    with pytest.raises(NotEmpty):
        restore.restore(there.database, there.storage, tmp_path / "models", archive)
    there.database.close()
