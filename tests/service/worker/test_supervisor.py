"""What a worker does with a job, with a stub for the engine; and the reconciler."""

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kombu.exceptions import OperationalError as BrokerAway
from sqlalchemy import update
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.orm import Session
from waiting import until

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database, clock
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import Failure, State
from mfnet.service.engine.process import Engine
from mfnet.service.files.storage import Storage
from mfnet.service.queue import JobNotifier, make_celery
from mfnet.service.settings import Settings
from mfnet.service.worker import main
from mfnet.service.worker.db_retry import Transactions
from mfnet.service.worker.first_jobs import FirstJobs
from mfnet.service.worker.reconciler import Reconciler
from mfnet.service.worker.supervisor import Supervisor

STUB = Path(__file__).parents[2] / "support" / "engine_stub.py"


@dataclass
class WorkerSetup:
    """A supervisor with everything that it touches."""

    settings: Settings
    database: Database
    storage: Storage
    engine: Engine
    shutdown: threading.Event
    supervisor: Supervisor
    owner: str

    def submit(self, model: str, owner: str | None = None) -> str:
        with self.database.writing() as session:
            inputs = {"ortho": "u1", "height": "u1", "model": model}
            return JobRepository(session).submit(owner or self.owner, "segment", inputs)[0].id

    def add_owner(self) -> str:
        with self.database.writing() as session:
            return KeyRepository(session).create("another", "user")[0].id

    def job(self, job_id: str) -> Job:
        with self.database.reading() as session:
            job = JobRepository(session).get(job_id)
        assert job is not None
        return job

    def reconciler(self, notifier: JobNotifier) -> Reconciler:
        return Reconciler(self.settings, self.database, self.storage, notifier, self.supervisor)

    def start(self, job_id: str) -> threading.Thread:
        """Work in a thread until the job's first progress is in the database."""
        thread = threading.Thread(target=self.supervisor.work)
        thread.start()
        until(lambda: self.job(job_id).progress > 0)
        return thread


@pytest.fixture
def setup(tmp_path: Path, database: Database, owner: str) -> Iterator[WorkerSetup]:
    settings = Settings(
        data_dir=tmp_path / "data",
        lease_s=5,
        heartbeat_s=0.1,
        engine_command=(sys.executable, str(STUB)),
        stall_s=1,
    )
    storage, shutdown = Storage(settings.data_dir), threading.Event()
    engine = Engine(settings.engine_command)
    (storage.uploads / "u1").write_bytes(b"pixels")
    with database.writing() as session:
        UploadRepository(session).add("u1", owner, "ortho.tif", size=6, sha256="", report={})
    supervisor = Supervisor(settings, database, storage, engine, "me", shutdown, lambda _: None)
    yield WorkerSetup(settings, database, storage, engine, shutdown, supervisor, owner)
    engine.stop()


def test_a_job_is_computed_published_and_its_engine_kept(setup: WorkerSetup) -> None:
    job_id = setup.submit("quick")
    setup.supervisor.work()
    job = setup.job(job_id)
    assert (job.state, job.result_epoch, job.worker) == (State.SUCCESSFUL, 1, None)
    assert (job.device, job.seconds_left) == ("stub", None)
    assert (setup.storage.folder(job_id, 1) / "classes.tif").stat().st_size == 21 * 32
    first = setup.engine.pid
    setup.submit("quick")
    setup.supervisor.work()
    assert setup.engine.pid == first


def test_a_second_message_about_the_same_job_has_no_effect(setup: WorkerSetup) -> None:
    job_id = setup.submit("quick")
    setup.supervisor.work()
    finished = setup.job(job_id).finished
    setup.supervisor.work()
    assert (setup.job(job_id).finished, setup.job(job_id).epoch) == (finished, 1)


def test_progress_and_lease_move_while_it_runs(setup: WorkerSetup) -> None:
    job_id = setup.submit("slow")
    thread = setup.start(job_id)
    early = setup.job(job_id)
    until(lambda: setup.job(job_id).progress > early.progress)
    later = setup.job(job_id)
    assert early.lease_until is not None
    assert later.lease_until is not None
    assert later.lease_until > early.lease_until
    assert later.message.startswith("window ")
    thread.join()
    assert setup.job(job_id).progress == 100


def test_the_callers_mistake_fails_at_once_and_keeps_the_engine(setup: WorkerSetup) -> None:
    job_id = setup.submit("refuse")
    setup.supervisor.work()
    job = setup.job(job_id)
    assert (job.state, job.attempts, job.message) == (State.FAILED, 1, "no")
    assert job.error == {
        "code": "stub.refuse",
        "message": "no",
        "params": {"n": 1},
        "input_fault": True,
    }
    assert setup.engine.pid is not None
    assert not (setup.storage.root / "jobs" / job_id).exists()


@pytest.mark.parametrize(
    ("model", "code"),
    [("crash", "engine.died"), ("fault", "stub.fault"), ("silent", "engine.died")],
)
def test_our_faults_are_tried_three_times(setup: WorkerSetup, model: str, code: str) -> None:
    job_id = setup.submit(model)
    for attempt in (1, 2, 3):
        setup.supervisor.work()
        assert setup.job(job_id).attempts == attempt
    job = setup.job(job_id)
    assert job.state is State.FAILED
    assert job.error is not None
    assert job.error["code"] == code
    assert setup.engine.pid is None
    other = setup.submit("quick")
    setup.supervisor.work()
    assert setup.job(other).state is State.SUCCESSFUL


def test_a_worker_that_fails_the_first_jobs_of_three_owners_takes_itself_out(
    setup: WorkerSetup,
) -> None:
    owners = [setup.owner, setup.add_owner(), setup.add_owner()]
    failing = [setup.submit("fault", owner) for owner in owners]
    setup.supervisor.work()
    for _ in owners:
        setup.supervisor.work()
    first_jobs = setup.supervisor.first_jobs
    assert first_jobs.poisoned.is_set()
    assert first_jobs.reasons == ["no"] * 3
    assert not setup.supervisor.idle
    # An attempt each, and no more: others may compute them.
    assert [setup.job(job_id).attempts for job_id in failing] == [1, 1, 1]
    assert {setup.job(job_id).state for job_id in failing} == {State.ACCEPTED}


@pytest.mark.parametrize("first", ["quick", "refuse"])
def test_a_worker_that_succeeded_or_met_mistakes_of_callers_stays(
    setup: WorkerSetup, first: str
) -> None:
    owners = [setup.owner, setup.add_owner(), setup.add_owner()]
    setup.submit(first)
    setup.supervisor.work()
    for owner in owners if first == "quick" else owners[1:]:
        setup.submit("fault", owner)
    for _ in range(4):
        setup.supervisor.work()
    assert not setup.supervisor.first_jobs.poisoned.is_set()


def test_an_upload_that_is_gone_fails_the_job_with_its_name(setup: WorkerSetup) -> None:
    job_id = setup.submit("quick")
    with setup.database.writing() as session:
        UploadRepository(session).remove("u1")
    setup.supervisor.work()
    job = setup.job(job_id)
    assert job.state is State.FAILED
    assert job.error is not None
    assert job.error["code"] == "upload.gone"
    assert "u1" in job.message


def test_cancel_ends_the_engine_and_leaves_no_file(setup: WorkerSetup) -> None:
    job_id = setup.submit("slow")
    thread = setup.start(job_id)
    with setup.database.writing() as session:
        JobRepository(session).cancel(job_id)
    thread.join(5)
    assert not thread.is_alive()
    assert setup.engine.pid is None
    assert setup.job(job_id).state is State.DISMISSED
    assert not (setup.storage.root / "jobs" / job_id).exists()


def test_a_job_that_is_removed_while_it_runs_leaves_no_file(setup: WorkerSetup) -> None:
    job_id = setup.submit("slow")
    thread = setup.start(job_id)
    with setup.database.writing() as session:
        JobRepository(session).cancel(job_id)
        assert JobRepository(session).remove(job_id)
    thread.join(5)
    assert not thread.is_alive()
    assert setup.engine.pid is None
    assert not (setup.storage.root / "jobs" / job_id).exists()


def test_a_job_that_another_took_over_is_left_to_it(setup: WorkerSetup) -> None:
    job_id = setup.submit("slow")
    thread = setup.start(job_id)
    with setup.database.writing() as session:
        session.execute(update(Job).where(Job.id == job_id).values(lease_until=clock() - 1))
        taken = JobRepository(session).claim(job_id, "another", 60, 3)
    assert taken is not None
    theirs = setup.storage.begin(job_id, taken.epoch)
    thread.join(5)
    assert not thread.is_alive()
    job = setup.job(job_id)
    assert (job.state, job.worker, job.epoch) == (State.RUNNING, "another", 2)
    assert theirs.exists()
    assert not setup.storage.folder(job_id, 1).exists()


def test_leaving_hands_the_job_back_and_takes_no_other(setup: WorkerSetup) -> None:
    job_id = setup.submit("slow")
    thread = setup.start(job_id)
    setup.shutdown.set()
    thread.join(5)
    assert not thread.is_alive()
    job = setup.job(job_id)
    assert (job.state, job.attempts, job.epoch) == (State.ACCEPTED, 0, 1)
    assert not setup.storage.folder(job_id, 1).exists()
    setup.supervisor.work()
    assert setup.job(job_id).epoch == 1


def test_a_fault_of_the_supervisor_itself_is_told_and_survived(
    setup: WorkerSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    job_id = setup.submit("quick")
    monkeypatch.setattr(setup.storage, "begin", full)
    setup.supervisor.work()
    job = setup.job(job_id)
    assert (job.state, job.attempts) == (State.ACCEPTED, 1)
    assert job.error is not None
    assert job.error["code"] == "internal"
    monkeypatch.undo()
    setup.supervisor.work()
    assert setup.job(job_id).state is State.SUCCESSFUL
    assert setup.job(job_id).error is None


def test_a_failure_that_cannot_be_recorded_is_a_fault_that_can(
    setup: WorkerSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = JobRepository.fail

    def fail(jobs: JobRepository, job: Job, failure: Failure, allowed: int) -> State | None:
        if failure.code != "internal":
            raise DataError("UPDATE jobs", {}, Exception("not storable"))
        return recorded(jobs, job, failure, allowed)

    monkeypatch.setattr(JobRepository, "fail", fail)
    job_id = setup.submit("refuse")
    setup.supervisor.work()
    job = setup.job(job_id)
    assert job.error is not None
    assert (job.state, job.error["code"]) == (State.ACCEPTED, "internal")


def test_a_database_that_is_away_in_the_middle_costs_nothing_but_time(
    setup: WorkerSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = setup.submit("slow")
    thread = setup.start(job_id)

    def away() -> None:
        raise OperationalError("UPDATE jobs", {}, Exception("server closed the connection"))

    monkeypatch.setattr(setup.database, "writing", away)
    written = setup.storage.folder(job_id, 1) / "classes.tif"
    until(lambda: written.stat().st_size == 21 * 32)
    thread.join(1)
    assert thread.is_alive()  # it waits to publish
    assert setup.job(job_id).state is State.RUNNING
    monkeypatch.undo()
    thread.join(10)
    job = setup.job(job_id)
    assert (job.state, job.result_epoch) == (State.SUCCESSFUL, 1)
    assert written.exists()


def test_a_publication_whose_answer_was_lost_keeps_its_files(
    setup: WorkerSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction is asked for again, and finds the job no longer running."""
    change = Transactions.change

    def lossy(transactions: Transactions, what: Callable[[Session], Any]) -> Any:
        answer = change(transactions, what)
        return change(transactions, what) if what.__name__ == "publish" else answer

    monkeypatch.setattr(Transactions, "change", lossy)
    job_id = setup.submit("quick")
    setup.supervisor.work()
    assert setup.job(job_id).state is State.SUCCESSFUL
    assert (setup.storage.folder(job_id, 1) / "classes.tif").exists()


def test_the_reconciler_rings_for_what_waits_but_fills_no_queue(setup: WorkerSetup) -> None:
    notifier = JobNotifier(make_celery(setup.settings))
    reconciler = setup.reconciler(notifier)
    reconciler.reconcile()
    assert notifier.waiting() == 0
    for _ in range(3):
        setup.submit("quick")
    for _ in range(5):
        with setup.supervisor._at_work:  # all workers are busy
            reconciler.reconcile()
        assert notifier.waiting() == 3


def test_the_reconciler_takes_a_job_that_no_worker_takes(setup: WorkerSetup) -> None:
    settings = setup.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    reconciler = setup.reconciler(JobNotifier(make_celery(settings)))
    job_id = setup.submit("quick")
    reconciler.reconcile()
    assert setup.job(job_id).state is State.ACCEPTED  # somebody else may be about to take it
    reconciler.reconcile()
    assert setup.job(job_id).state is State.SUCCESSFUL


def test_the_reconciler_fails_what_was_abandoned_and_removes_its_files(setup: WorkerSetup) -> None:
    job_id = setup.submit("quick")
    for epoch in (1, 2, 3):
        with setup.database.writing() as session:
            assert JobRepository(session).claim(job_id, "w", 60, 3)
            session.execute(update(Job).where(Job.id == job_id).values(lease_until=clock() - 1))
        setup.storage.begin(job_id, epoch)
    notifier = JobNotifier(make_celery(setup.settings))
    setup.reconciler(notifier).reconcile()
    assert setup.job(job_id).state is State.FAILED
    assert not (setup.storage.root / "jobs" / job_id).exists()


def test_the_reconciler_removes_what_killed_processes_left(setup: WorkerSetup) -> None:
    uploads = setup.storage.uploads
    for name in ("dead.part", "arriving.part", "old"):
        (uploads / name).write_bytes(b"x")
    for name in ("looked_at", "looked_at.unsettled"):  # the API was killed before its row came
        (uploads / name).write_bytes(b"x")
    for name in ("dead.part", "old", "looked_at.unsettled"):
        os.utime(uploads / name, (0, 0))
    done, cancelled, waiting = (setup.submit("quick") for _ in range(3))
    setup.supervisor.work()
    with setup.database.writing() as session:
        JobRepository(session).cancel(cancelled)
    for job_id in (done, cancelled, waiting, "of another database", "being removed"):
        setup.storage.begin(job_id, 7)
    setup.storage.mark_removed("being removed")
    setup.storage.link_results(done, 1, "linked just now")
    for job_id in ("linked, and no row came", waiting):  # the API was killed before one came
        shutil.rmtree(setup.storage.folder(job_id, 1).parent, ignore_errors=True)
        setup.storage.link_results(done, 1, job_id)
        os.utime(setup.storage.folder(job_id, 1).parent / "linked", (0, 0))
    with setup.supervisor._at_work:
        setup.reconciler(JobNotifier(make_celery(setup.settings))).reconcile()
    assert {path.name for path in uploads.iterdir()} == {"u1", "arriving.part", "old"}
    left = [done, waiting, "of another database", "linked just now"]
    assert sorted(setup.storage.jobs()) == sorted(left)
    assert [path.name for path in setup.storage.folder(waiting, 1).parent.iterdir()] == ["1"]
    assert [path.name for path in setup.storage.folder(done, 1).parent.iterdir()] == ["1"]


def test_jobs_are_kept_for_as_long_as_was_told(setup: WorkerSetup) -> None:
    old, young = setup.submit("quick"), setup.submit("quick")
    for _ in range(2):
        setup.supervisor.work()
    waiting = setup.submit("quick")
    with setup.database.writing() as session:
        session.execute(update(Job).where(Job.id == old).values(finished=clock() - 2 * 24 * 3600))
    setup.settings = setup.settings.model_copy(update={"keep_days": 1})
    with setup.supervisor._at_work:
        setup.reconciler(JobNotifier(make_celery(setup.settings))).reconcile()
    with setup.database.reading() as session:
        left = {job.id for job in JobRepository(session).page(limit=9)}
    assert left == {young, waiting}
    assert setup.storage.jobs() == [young]


def test_a_broker_that_is_away_fails_no_ring(setup: WorkerSetup) -> None:
    settings = setup.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    notifier = JobNotifier(make_celery(settings))
    before = time.monotonic()
    assert not notifier.notify("x")
    with pytest.raises(BrokerAway):
        notifier.waiting()
    assert time.monotonic() - before < 10


def test_a_worker_that_starts_while_the_database_is_away_waits_for_it(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    upgrade, times = database.upgrade, []

    def away() -> None:
        times.append(1)
        if len(times) < 3:
            raise OperationalError("SELECT", {}, Exception("shutting down"))
        upgrade()

    monkeypatch.setattr(database, "upgrade", away)
    main._upgrade(database, 0.01)
    assert len(times) == 3
    assert caplog.text.count("the database is away") == 2


def test_a_poisoned_worker_says_why_and_ends_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first_jobs, sent = FirstJobs(), []
    monkeypatch.setattr(os, "kill", lambda *told: sent.append(told))
    for owner in "abc":
        first_jobs.failed(owner, f"no device for {owner}")
    main._leave_when_poisoned(first_jobs, threading.Event(), 0.01)
    assert sent == [(os.getpid(), signal.SIGTERM)]
    assert "no device for a; no device for b; no device for c" in caplog.text
