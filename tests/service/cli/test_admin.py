"""`mfnet admin` as whoever runs a service meets it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from databases import copy_migrated
from sqlalchemy import update
from typer.testing import CliRunner, Result

from mfnet.service.cli.main import app
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database, clock
from mfnet.service.db.tables import Job
from mfnet.service.files.storage import Storage
from mfnet.service.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "MFNET_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MFNET_MODELS_DIR", str(tmp_path / "models"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a user's upload."""
    folder = tmp_path / "data"
    copy_migrated(folder / "mfnet.sqlite3")
    (Storage(folder).uploads / "u1").write_text("pixels")
    database = Database(Settings(data_dir=folder).database)
    with database.writing() as session:
        owner = KeyRepository(session).create("somebody", "user")[0].id
        UploadRepository(session).add("u1", owner, "a.tif", size=6, sha256="", report={})
    database.close()
    return folder


def admin(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["admin", *arguments, "--data-dir", str(folder)])


def test_a_backup_goes_through_a_pipe(data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mfnet.service.cli.main", "admin"]
    written = subprocess.run(
        [*command, "backup", "-", "--data-dir", str(data)], capture_output=True, check=True
    )
    assert "1 keys, 1 uploads; 1 files" in written.stderr.decode()
    other = tmp_path / "other"
    subprocess.run(
        [*command, "restore", "-", "--data-dir", str(other)],
        input=written.stdout,
        capture_output=True,
        check=True,
    )
    assert (other / "uploads/u1").read_text() == "pixels"


def test_a_file_has_its_name_once_it_is_whole_and_is_nobody_elses(
    data: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "a.tar"
    assert admin(data, "backup", str(archive)).exit_code == 0
    assert archive.stat().st_mode & 0o077 == 0
    (tmp_path / "b.tar.part").touch()
    refused = admin(data, "backup", str(tmp_path / "b.tar"))
    assert refused.exit_code == 2
    assert "another backup" in refused.output
    (tmp_path / "c.tar").write_bytes(archive.read_bytes()[:3000])
    broken = admin(tmp_path / "empty", "restore", str(tmp_path / "c.tar"))
    assert broken.exit_code == 2
    assert "backup.damaged" in broken.output
    again = admin(data, "restore", str(archive))
    assert (again.exit_code, "backup.not_empty" in again.output) == (2, True)


def test_gc_lists_what_belongs_to_nothing_and_removes_it_when_told(data: Path) -> None:
    storage = Storage(data)
    old = time.time() - 48 * 3600
    lost = [storage.upload("gone"), storage.upload("gone.tfw"), storage.upload("half.part")]
    (storage.root / "registry").mkdir()
    lost.append(storage.models.path("f" * 64))
    for path in (*lost, storage.upload("u1.tfw"), storage.upload("young")):
        path.write_text("x" * 9)
    folder = storage.begin("nojob", 1)
    (folder / "classes.tif").write_text("x")
    lost.append(folder.parent)
    mark = storage.upload("u1.unsettled")
    mark.touch()
    drawn = storage.pictures("u1")
    drawn.mkdir(parents=True)
    for path in (*lost, folder, folder / "classes.tif", storage.upload("u1.tfw"), drawn, mark):
        os.utime(path, (old, old))
    listed = admin(data, "gc")
    assert all(str(path) in listed.output for path in lost)
    assert "u1" not in listed.output
    assert "young" not in listed.output
    assert all(path.exists() for path in lost)
    assert "5 files and folders" in admin(data, "gc", "--remove").output
    assert not any(path.exists() for path in lost)
    assert storage.upload("u1").exists()
    assert storage.upload("young").exists()


def test_doctor_finds_nothing_wrong_with_a_new_service(data: Path) -> None:
    found = admin(data, "doctor", "--deep")
    assert found.exit_code == 0, found.output
    assert "WRONG" not in found.output
    assert "1 of 1 that rows speak of" in found.output


def test_doctor_names_what_is_wrong_and_what_to_do(data: Path) -> None:
    storage, database = Storage(data), Database(Settings(data_dir=data).database)
    storage.upload("u1").rename(storage.upload("elsewhere"))
    with database.writing() as session:
        owner = KeyRepository(session).all()[0].id
        JobRepository(session).submit(owner, "segment", {})
        session.execute(update(Job).values(created=clock() - 7200))
    database.close()
    found = admin(data, "doctor")
    assert found.exit_code == 1
    assert "WRONG  files: 0 of 1 that rows speak of are there; not those of upload u1" in (
        found.output
    )
    assert "WRONG  jobs of segment: 0 at work, 1 waiting, the oldest for 120 minutes" in (
        found.output
    )
    assert "start a worker (mfnet worker)" in found.output


def test_doctor_tells_of_a_database_and_a_broker_that_are_away(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    away = admin(data, "doctor")
    assert "WRONG  the broker does not answer" in away.output
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@127.0.0.1:1/d")
    away = admin(data, "doctor")
    assert "WRONG  the database does not answer" in away.output
    assert "correct DATABASE_URL" in away.output


def test_doctor_does_not_make_tables(tmp_path: Path) -> None:
    found = admin(tmp_path, "doctor")
    assert found.exit_code == 1
    assert "the database has no tables" in found.output
