"""Backups, taken while rows and files come and go, on both databases; and their restoration."""

import io
import tarfile
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from mfnet.service.db.repositories import batches
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.parts import PartRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Job, Model, ModelEvent, Part, Upload
from mfnet.service.domain.job import BATCH, SEGMENT, State
from mfnet.service.domain.model_version import ModelState
from mfnet.service.errors import BackupDamaged, BackupTooNew, NotEmpty, ServiceError
from mfnet.service.files.storage import Storage
from mfnet.service.maintenance import backup, restore
from mfnet.service.maintenance.named_files import named


class Deployment:
    """A data folder and a database, with what users do."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.database = database
        self.storage = Storage(folder / "data")
        self.models = folder / "models"

    def begin(self) -> None:
        with self.database.writing() as session:
            self.owner = KeyRepository(session).create("somebody", "user")[0].id

    def upload(self) -> str:
        upload_id = uuid.uuid4().hex
        self.storage.upload(upload_id).write_text(upload_id)
        self.storage.upload(f"{upload_id}.tfw").write_text("beside")
        with self.database.writing() as session:
            told = {"size": 32, "sha256": "", "report": {"raster": {"height": 3}}}
            UploadRepository(session).add(upload_id, self.owner, "ä.tif", **told)
        return upload_id

    def remove(self, upload_id: str) -> None:
        with self.database.writing() as session:
            UploadRepository(session).remove(upload_id)
        for path in self.storage.uploads.glob(f"{upload_id}*"):
            path.unlink()

    def job(self, *, done: bool = True) -> str:
        with self.database.writing() as session:
            jobs = JobRepository(session)
            job_id = jobs.submit(self.owner, "segment", {"model": "town"})[0].id
            job = jobs.claim(job_id, "w", 3600, 3)
        assert job is not None
        (self.storage.begin(job.id, job.epoch) / "classes.tif").write_text(job.id)
        if done:
            with self.database.writing() as session:
                assert JobRepository(session).publish(job)
        else:
            with self.database.writing() as session:
                PartRepository(session).cut(job, [range(9), range(9, 20)], "key")
        return job.id

    def model(self) -> None:
        sha256 = "0" * 64
        self.storage.models.path(sha256).parent.mkdir()
        self.storage.models.path(sha256).write_text("weights")
        told = {"sha256": sha256, "bytes": 7, "state": ModelState.ACTIVE, "config": {}}
        with self.database.writing() as session:
            session.add(Model(name="m", version=1, created=1.0, **told))
            session.flush()
            session.add(self.event("registered"))

    def event(self, what: str) -> ModelEvent:
        return ModelEvent(name="m", version=1, event=what, who="w", why="", at=1.0)

    def archive(self) -> bytes:
        target = io.BytesIO()
        backup.back_up(self.database, self.storage, self.models, target)
        return target.getvalue()

    def restore(self, archive: bytes) -> backup.Report:
        return restore.restore(self.database, self.storage, self.models, io.BytesIO(archive))

    def files(self) -> set[str]:
        root = self.storage.root
        return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


@pytest.fixture
def ours(tmp_path: Path, database: Database) -> Deployment:
    ours = Deployment(tmp_path / "ours", database)
    ours.begin()
    return ours


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Deployment]:
    """Another machine, with SQLite and no tables yet."""
    (tmp_path / "other").mkdir()
    database = Database(f"sqlite:///{tmp_path / 'other' / 'a.sqlite3'}")
    yield Deployment(tmp_path / "other", database)
    database.close()


def rows(database: Database, table: type) -> list[dict[str, object]]:
    columns = table.__table__.columns.keys()
    with database.reading() as session:
        found = session.scalars(select(table).order_by(*table.__table__.primary_key)).all()
        return [{name: getattr(row, name) for name in columns} for row in found]


def test_a_backup_is_restored_into_an_empty_deployment(ours: Deployment, other: Deployment) -> None:
    upload, done, unfinished = ours.upload(), ours.job(), ours.job(done=False)
    secret = ours.storage.link_secret()
    ours.model()
    ours.models.mkdir()
    (ours.models / "mine.safetensors").write_text("imported")
    report = other.restore(ours.archive())
    assert (report.rows["jobs"], report.files, report.missing) == (2, 6, ())
    for table in (Upload, Model, ModelEvent):
        assert rows(other.database, table) == rows(ours.database, table)
    assert rows(other.database, Part) == []
    jobs = {job["id"]: job for job in rows(other.database, Job)}
    assert jobs[done] == {job["id"]: job for job in rows(ours.database, Job)}[done]
    anew = jobs[unfinished]
    assert (anew["state"], anew["attempts"], anew["parts_key"]) == (State.ACCEPTED, 0, None)
    assert other.files() == {
        *(f"uploads/{upload}", f"uploads/{upload}.tfw", f"jobs/{done}/1/classes.tif"),
        *(f"registry/{'0' * 64}.safetensors", "link_secret"),
    }
    assert other.storage.link_secret() == secret
    assert other.storage.link_secret_file.stat().st_mode & 0o077 == 0
    assert (other.models / "mine.safetensors").read_text() == "imported"


def test_a_batch_runs_on_after_a_restoration(ours: Deployment, other: Deployment) -> None:
    """Nobody claims it: what waits would wait for ever."""
    with ours.database.writing() as session:
        jobs = JobRepository(session)
        batch, job = (jobs.submit(ours.owner, each, {})[0] for each in (BATCH, SEGMENT))
        batches.begin(session, batch, [job])
        ids = batch.id, job.id
    other.restore(ours.archive())
    states = {row["id"]: row["state"] for row in rows(other.database, Job)}
    assert [states[each] for each in ids] == [State.RUNNING, State.ACCEPTED]


def test_a_backup_of_sqlite_becomes_a_deployment_on_either_database(
    tmp_path: Path, empty_url: str, other: Deployment
) -> None:
    """And numbers rows on from where they were."""
    other.database.upgrade()
    other.begin()
    other.model()
    there = Deployment(tmp_path / "there", Database(empty_url))
    there.restore(other.archive())
    with there.database.writing() as session:
        session.add(there.event("promoted"))
    assert [row["id"] for row in rows(there.database, ModelEvent)] == [1, 2]
    there.database.close()


def test_a_backup_under_load_is_whole(
    ours: Deployment, other: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users send and remove, workers publish, all the time; each pass finds some rows gone."""
    kept = [ours.upload() for _ in range(5)]
    doomed = [ours.upload() for _ in range(30)]
    over = threading.Event()

    def use() -> None:
        while not over.is_set():
            if doomed:
                ours.remove(doomed.pop())
            ours.upload()
            ours.job()

    copy = backup._Backup._copy

    def slowly(self: backup._Backup, what: object) -> bool:
        over.wait(0.002)
        return copy(self, what)  # type: ignore[arg-type]

    monkeypatch.setattr(backup._Backup, "_copy", slowly)
    user = threading.Thread(target=use)
    user.start()
    try:
        archive = ours.archive()
    finally:
        over.set()
        user.join()
    report = other.restore(archive)
    assert report.missing == ()
    with other.database.reading() as session:
        assert set(kept) <= set(session.scalars(select(Upload.id)))
        for each in named(session, other.storage):
            for path in each.files(other.storage.store):
                assert path.read_text() in (each.what.split()[1], "beside")
        assert session.scalar(select(func.count()).select_from(Job)) == report.rows["jobs"]


def test_a_row_that_goes_while_its_folder_is_copied_is_not_in_the_backup(
    ours: Deployment, other: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder may have been copied without what was removed before."""
    gone, stays = ours.job(), ours.job()
    copy = backup._Backup._copy_file

    def removing(self: backup._Backup, path: Path, name: str) -> dict[str, object]:
        if gone in name:
            with ours.database.writing() as session:
                JobRepository(session).remove(gone)
        return copy(self, path, name)

    monkeypatch.setattr(backup._Backup, "_copy_file", removing)
    other.restore(ours.archive())
    assert [job["id"] for job in rows(other.database, Job)] == [stays]
    assert other.files() == {f"jobs/{stays}/1/classes.tif"}


def test_files_that_were_lost_before_are_told(ours: Deployment, other: Deployment) -> None:
    upload = ours.upload()
    ours.storage.upload(upload).unlink()
    assert other.restore(ours.archive()).missing == (f"upload {upload}",)


def cut_off(archive: bytes) -> bytes:
    return archive[: len(archive) // 2]


def without_its_end(archive: bytes) -> bytes:
    """Whole members, but not all: a program that was killed between two."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return archive[: tar.getmember("manifest.json").offset] + bytes(10_240)


def flipped(archive: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        place = next(m for m in tar if m.name.startswith("files/uploads")).offset_data
    return archive[:place] + b"X" + archive[place + 1 :]


def leading_out(archive: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("files/../../escaped"))
    return target.getvalue()


def linking_out(archive: bytes) -> bytes:
    target, link = io.BytesIO(), tarfile.TarInfo("files/uploads/x")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(fileobj=target, mode="w") as tar:
        tar.addfile(link)
    return target.getvalue()


def no_archive(archive: bytes) -> bytes:
    return b"PK\x03\x04 something else entirely" * 100


def of_tomorrow(archive: bytes) -> bytes:
    return archive.replace(b'"revision": "0', b'"revision": "9')


@pytest.mark.parametrize(
    "damage", [cut_off, without_its_end, flipped, leading_out, linking_out, no_archive, of_tomorrow]
)
def test_a_damaged_backup_changes_nothing(
    tmp_path: Path, other: Deployment, damage: Callable[[bytes], bytes]
) -> None:
    there = Deployment(tmp_path / "there", Database(f"sqlite:///{tmp_path / 'there.sqlite3'}"))
    there.database.upgrade()
    there.begin()
    there.upload()
    archive = there.archive()
    expected: type[ServiceError] = BackupTooNew if damage is of_tomorrow else BackupDamaged
    with pytest.raises(expected, match=r"expected|take another|newer"):
        other.restore(damage(archive))
    assert other.files() == set()
    assert not list(tmp_path.rglob("escaped"))
    other.restore(archive)
    there.database.close()


def test_nothing_is_restored_over_something(ours: Deployment, other: Deployment) -> None:
    archive = ours.archive()
    with pytest.raises(NotEmpty, match="1 keys"):
        ours.restore(archive)
    other.storage.upload("stray").write_text("x")
    with pytest.raises(NotEmpty, match="uploads holds files"):
        other.restore(archive)


def test_a_job_of_a_restored_deployment_can_be_claimed(ours: Deployment, other: Deployment) -> None:
    job_id = ours.job(done=False)
    with ours.database.writing() as session:
        session.execute(update(Job).values(attempts=3))
    other.restore(ours.archive())
    with other.database.writing() as session:
        job = JobRepository(session).claim(job_id, "w", 60, 3)
    assert job is not None
    assert job.epoch == 2
