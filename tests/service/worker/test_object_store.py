"""Workers on folders of their own, with a store that speaks S3; with stubs for the engines."""

import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import engine_stub
import pytest
from databases import copy_migrated
from engine_stub import ROWS, result
from faulty_relay import FaultyRelay
from waiting import until

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.models import ModelRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import State
from mfnet.service.engine.process import Engine
from mfnet.service.errors import StoreAway
from mfnet.service.files.s3_store import S3Store
from mfnet.service.files.scratch import Scratch
from mfnet.service.files.storage import Storage, storage_of
from mfnet.service.settings import Settings
from mfnet.service.worker.supervisor import Supervisor

WIDTH, PARTS = 10, 4


class Workers:
    """A store with one raster, and workers that share nothing but it and a database."""

    def __init__(self, folder: Path, address: str) -> None:
        copy_migrated(folder / "test.sqlite3")
        self.settings = Settings(
            data_dir=folder / "api",
            database_url=f"sqlite:///{folder / 'test.sqlite3'}",
            storage=f"s3://bucket/{folder.name}",
            storage_endpoint=address,
            storage_key_id="key",
            storage_secret="secret",
            lease_s=3,
            heartbeat_s=0.1,
            part_pixels=ROWS * WIDTH // PARTS,
        )
        self._folder = folder
        self.storage = storage_of(self.settings)
        self.database = Database(self.settings.database)
        self.shutdown = threading.Event()
        self.engines: list[Engine] = []
        self.threads: list[threading.Thread] = []
        with self.database.writing() as session:
            self.owner = KeyRepository(session).create("somebody", "user")[0].id
        for name, rows in (("large", ROWS), ("small", 100)):
            self.storage.upload(name).write_bytes(b"pixels")
            self.storage.share_upload(name)
            report = {"raster": {"height": rows, "width": WIDTH}}
            with self.database.writing() as session:
                told = {"size": 6, "sha256": "", "report": report}
                UploadRepository(session).add(name, self.owner, f"{name}.tif", **told)

    def start(self, name: str, work: str = "segment") -> Storage:
        storage = storage_of(self.settings, self._folder / name)
        engine = Engine([sys.executable, engine_stub.__file__])
        settings = self.settings.model_copy(update={"work": work})
        told: list[str] = []
        supervisor = Supervisor(
            *(settings, self.database, storage, engine, name, self.shutdown, told.append)
        )
        self.engines.append(engine)

        def work() -> None:
            for _ in range(2):  # as two messages have it do
                supervisor.work()

        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()
        return storage

    def submit(self, ortho: str, model: str = "quick") -> str:
        inputs = {"ortho": ortho, "height": ortho, "model": model}
        with self.database.writing() as session:
            return JobRepository(session).submit(self.owner, "segment", inputs)[0].id

    def job(self, job_id: str) -> Job:
        with self.database.reading() as session:
            job = JobRepository(session).get(job_id)
        assert job is not None
        return job

    def check(self, job_id: str) -> None:
        """Successful, with the right bytes in the store and no others."""
        for thread in self.threads:
            thread.join(60)
        job = self.job(job_id)
        assert (job.state, job.error) == (State.SUCCESSFUL, None)
        assert job.result_epoch is not None
        folder = self.storage.folder(job_id, job.result_epoch)
        kept = [each.path for each in self.storage.store.found(folder.parent)]
        assert kept == [folder / "classes.tif"]
        assert b"".join(self.storage.store.read(kept[0])) == result(b"pixels")

    def close(self) -> None:
        self.shutdown.set()
        for thread in self.threads:
            thread.join(60)
        for engine in self.engines:
            engine.stop()
        self.database.close()


@pytest.fixture
def workers(relay: FaultyRelay, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(tmp_path, relay.address)
    yield workers
    workers.close()


def test_two_workers_without_a_common_folder_share_a_raster(workers: Workers) -> None:
    job_id = workers.submit("large", "slow")
    leader = workers.start("leader")
    until(lambda: workers.job(job_id).parts_key)
    helper = workers.start("helper")
    workers.check(job_id)
    computed = [storage.uploads / "large.computed" for storage in (leader, helper)]
    counts = [len(path.read_text().splitlines()) for path in computed]
    assert sum(counts) == PARTS
    assert min(counts) > 0


def test_faults_of_the_store_change_no_byte(workers: Workers, relay: FaultyRelay) -> None:
    relay.meet(["503", None, "lost answer", None, None, "cut answer", None, None])
    job_id = workers.submit("large")
    workers.start("one")
    workers.check(job_id)
    assert workers.job(job_id).epoch == 1
    assert len(relay.met) > 5


def test_a_worker_waits_for_a_store_that_is_away(
    workers: Workers, relay: FaultyRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfnet.service.files.s3_store._RETRY_S", 0.1)
    relay.meet(["503"])
    job_id = workers.submit("small")
    workers.start("one")
    until(lambda: "waiting for the store" in workers.job(job_id).message)
    relay.meet([])
    workers.check(job_id)
    assert workers.job(job_id).epoch == 1


def test_what_cannot_be_removed_now_fails_no_job(
    workers: Workers, relay: FaultyRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = workers.submit("small")
    remove = S3Store.remove

    def away(*_: object) -> None:
        raise StoreAway("away")

    monkeypatch.setattr(S3Store, "remove", away)
    workers.start("one")
    until(lambda: workers.job(job_id).state == State.SUCCESSFUL)
    workers.threads[0].join(60)
    monkeypatch.setattr(S3Store, "remove", remove)
    workers.storage.keep_only(job_id, 1)
    workers.check(job_id)


def test_a_job_that_is_cancelled_while_files_are_on_their_way_ends(
    workers: Workers, relay: FaultyRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfnet.service.files.s3_store._RETRY_S", 0.1)
    relay.meet(["503"])
    job_id = workers.submit("small")
    workers.start("one")
    until(lambda: "waiting for the store" in workers.job(job_id).message)
    with workers.database.writing() as session:
        JobRepository(session).cancel(job_id)
    relay.meet([])
    workers.threads[0].join(60)
    assert not workers.threads[0].is_alive()
    assert list(workers.storage.store.found(workers.storage.root / "jobs")) == []


def test_a_retraining_goes_on_where_another_machine_was(workers: Workers, tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_bytes(b"weights")
    parent = workers.storage.models.add(tmp_path / "mine.safetensors")
    told = {"model": "mine@1", "model_sha256": parent, "tiles": [], "folder": "/tiles"}
    told |= {"recipe": "slow", "promote": True}
    with workers.database.writing() as session:
        ModelRepository(session).add("mine", parent, 7, {}, who="us", why="")
        job_id = JobRepository(session).submit(workers.owner, "retrain", told)[0].id
    storage = workers.storage
    written = storage.run(job_id, 1) / "candidate.safetensors"
    workers.start("one", "retrain")
    until(lambda: sum(each.bytes for each in storage.store.found(written.parent)) > 100)
    workers.shutdown.set()
    workers.threads[0].join(60)
    workers.shutdown.clear()
    other = workers.start("other", "retrain")
    until(lambda: (other.run(job_id, 1) / written.name).exists())
    workers.threads[1].join(60)
    assert workers.job(job_id).state == State.SUCCESSFUL
    with workers.database.reading() as session:
        model = ModelRepository(session).get("mine")
    assert model is not None
    assert model.version == 2
    storage.models.check(model.sha256)
    report = storage.folder(job_id, 2) / "report.html"
    assert b"".join(storage.store.read(report)) == b"fine"


def test_a_worker_keeps_no_copy_of_the_job_before(workers: Workers) -> None:
    workers.submit("small")
    last = workers.submit("large")
    storage = workers.start("one")
    workers.check(last)
    assert not storage.upload("small").exists()


def test_a_folder_of_its_own_goes_with_its_process(tmp_path: Path) -> None:
    one, other = Scratch(tmp_path), Scratch(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    one.close()
    shutil.rmtree(other.folder)
    (tmp_path / "left").mkdir()  # of a worker that was killed
    third = Scratch(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [third.folder.name]
    third.close()
