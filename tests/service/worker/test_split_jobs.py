"""A job in parts on one worker and on two, with stubs for the engines."""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engine_stub
import psutil
import pytest
from engine_stub import ROWS, STEPS, result
from waiting import until

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.parts import PartRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Job, Part
from mfnet.service.domain.job import State
from mfnet.service.engine.client import EngineClient
from mfnet.service.engine.process import Engine
from mfnet.service.files.storage import Storage
from mfnet.service.queue import JobNotifier, make_celery
from mfnet.service.settings import Settings
from mfnet.service.worker.reconciler import Reconciler
from mfnet.service.worker.supervisor import Supervisor

STUB = Path(engine_stub.__file__)
WIDTH = 10
PARTS = 4


class Worker:
    """A supervisor and its engine, in a thread of the test's."""

    def __init__(self, workers: "Workers", name: str, kind: str) -> None:
        self.engine = Engine([sys.executable, str(STUB), *([kind] if kind else [])])
        self.shutdown = threading.Event()
        self.supervisor = Supervisor(
            workers.settings,
            workers.database,
            workers.storage,
            self.engine,
            name,
            self.shutdown,
            workers.notified.append,
        )
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self.supervisor.work)
        self.thread.start()

    def join(self) -> None:
        assert self.thread is not None
        self.thread.join(60)
        assert not self.thread.is_alive()


class Workers:
    """Workers on one database, and a raster that is cut for them."""

    def __init__(self, folder: Path, database: Database, owner: str) -> None:
        pixels = ROWS * WIDTH // PARTS
        self.settings = Settings(data_dir=folder, lease_s=3, heartbeat_s=0.1, part_pixels=pixels)
        self.database = database
        self.storage = Storage(folder)
        self.owner = owner
        self.notified: list[str] = []
        self.workers: list[Worker] = []
        for upload, rows in (("large", ROWS), ("small", 100)):
            (self.storage.uploads / upload).write_bytes(b"pixels")
            report = {"raster": {"height": rows, "width": WIDTH}}
            with database.writing() as session:
                UploadRepository(session).add(
                    upload, owner, f"{upload}.tif", size=6, sha256="", report=report
                )

    def start_worker(self, kind: str = "") -> Worker:
        self.workers.append(Worker(self, f"w{len(self.workers)}", kind))
        return self.workers[-1]

    def submit(self, model: str, ortho: str = "large", owner: str | None = None) -> str:
        inputs = {"ortho": ortho, "height": ortho, "model": model}
        with self.database.writing() as session:
            return JobRepository(session).submit(owner or self.owner, "segment", inputs)[0].id

    def job(self, job_id: str) -> Job:
        with self.database.reading() as session:
            job = JobRepository(session).get(job_id)
        assert job is not None
        return job

    def finished_parts(self, job_id: str) -> int:
        with self.database.reading() as session:
            parts = PartRepository(session).of(job_id)
        return sum(part.finished is not None for part in parts)

    def workers_at_parts(self, job_id: str) -> set[str]:
        """Those whose part has made some progress."""
        with self.database.reading() as session:
            parts = PartRepository(session).of(job_id)
        return {part.worker for part in parts if part.worker and part.progress}

    def computed(self) -> Counter[int]:
        """How often the computing of each part was begun, by its first row."""
        log = (self.storage.uploads / "large.computed").read_text().splitlines()
        return Counter(int(line.split()[0]) for line in log)

    def engines(self) -> set[int]:
        """Process ids of the engines that computed parts."""
        log = (self.storage.uploads / "large.computed").read_text().splitlines()
        return {int(line.split()[1]) for line in log}

    def check(self, job_id: str) -> None:
        """Successful, with the right bytes and no others."""
        job = self.job(job_id)
        assert (job.state, job.error, job.progress) == (State.SUCCESSFUL, None, 100)
        assert job.result_epoch is not None
        folder = self.storage.folder(job_id, job.result_epoch)
        assert (folder / "classes.tif").read_bytes() == result(b"pixels")
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]

    def lead_elsewhere(self, job_id: str, key: str) -> None:
        """Have the job led, and cut, by somebody whose engine is of another kind."""
        with self.database.writing() as session:
            job = JobRepository(session).claim(job_id, "elsewhere", 60, 3)
            assert job is not None
            cuts = [range(first, first + 512) for first in (0, 512)]
            assert PartRepository(session).cut(job, cuts, key)


@pytest.fixture
def workers(tmp_path: Path, database: Database, owner: str) -> Iterator[Workers]:
    workers = Workers(tmp_path / "data", database, owner)
    yield workers
    for worker in workers.workers:
        worker.shutdown.set()
        if worker.thread is not None:
            worker.join()
        worker.engine.stop()


def test_the_stubs_raster_has_a_byte_of_the_result_for_each_hundred_rows() -> None:
    assert len(result(b"")) * 100 == ROWS == 100 * 32 * (STEPS + 1)


def test_one_worker_computes_all_parts_and_joins_them(workers: Workers) -> None:
    job_id = workers.submit("quick")
    workers.start_worker().supervisor.work()
    workers.check(job_id)
    assert workers.computed() == dict.fromkeys(workers.computed(), 1)
    assert len(workers.computed()) == PARTS
    assert workers.notified == [job_id] * (PARTS - 1)  # for whoever may help
    assert workers.job(job_id).epoch == 1


def test_a_small_raster_has_no_parts(workers: Workers) -> None:
    job_id = workers.submit("quick", "small")
    workers.start_worker().supervisor.work()
    workers.check(job_id)
    assert workers.finished_parts(job_id) == 0
    assert workers.notified == []


def test_two_workers_share_a_job_and_no_part_is_computed_twice(workers: Workers) -> None:
    leader, helper = workers.start_worker(), workers.start_worker()
    job_id = workers.submit("brisk")
    leader.start()
    until(lambda: workers.workers_at_parts(job_id))
    helper.start()
    seen: list[int] = []
    until(lambda: seen.append(workers.job(job_id).progress) or workers.job(job_id).finished)
    for worker in (leader, helper):
        worker.join()
    workers.check(job_id)
    assert set(workers.computed().values()) == {1}
    assert len(workers.engines()) == 2
    assert seen == sorted(seen)
    assert len(set(seen)) > PARTS


def test_a_helper_goes_on_until_nothing_is_left(workers: Workers) -> None:
    leader, helper = workers.start_worker(), workers.start_worker()
    job_id = workers.submit("brisk")
    other = workers.submit("quick", "small")
    leader.start()
    until(lambda: workers.workers_at_parts(job_id) == {"w0"})
    helper.start()
    helper.join()
    leader.join()
    workers.check(job_id)
    workers.check(other)


def test_the_part_of_a_killed_engine_alone_is_computed_again(workers: Workers) -> None:
    leader, helper = workers.start_worker(), workers.start_worker()
    job_id = workers.submit("brisk")
    leader.start()
    until(lambda: workers.workers_at_parts(job_id) == {"w0"})
    helper.start()
    until(lambda: workers.workers_at_parts(job_id) == {"w0", "w1"})
    assert helper.engine.pid is not None
    psutil.Process(helper.engine.pid).kill()
    for worker in (leader, helper):
        worker.join()
    workers.check(job_id)
    assert sorted(workers.computed().values()) == [1] * (PARTS - 1) + [2]
    assert workers.job(job_id).attempts == 0


def test_a_fault_while_helping_is_no_answer_to_the_next_part(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeat, faults = PartRepository.renew, [RuntimeError()]

    def faulty(parts: PartRepository, part: Part, *told: Any) -> bool:
        if part.worker == "w1" and faults:
            raise faults.pop()
        return heartbeat(parts, part, *told)

    monkeypatch.setattr(PartRepository, "renew", faulty)
    leader, helper = workers.start_worker(), workers.start_worker()
    job_id = workers.submit("brisk")
    leader.start()
    until(lambda: workers.workers_at_parts(job_id) == {"w0"})
    helper.start()
    for worker in (leader, helper):
        worker.join()
    workers.check(job_id)
    assert (workers.job(job_id).attempts, faults) == (0, [])


def test_a_leader_that_leaves_loses_nothing_that_was_finished(workers: Workers) -> None:
    leader = workers.start_worker()
    job_id = workers.submit("brisk")
    leader.start()
    until(lambda: workers.finished_parts(job_id) == 2)
    leader.shutdown.set()
    leader.join()
    waiting = workers.job(job_id)
    assert (waiting.state, waiting.attempts) == (State.ACCEPTED, 0)
    assert waiting.progress >= 100 * 2 // PARTS - 10
    workers.start_worker().supervisor.work()
    workers.check(job_id)
    assert workers.job(job_id).started == waiting.started
    assert sum(workers.computed().values()) <= PARTS + 1


def test_finished_parts_that_vanished_are_computed_again(workers: Workers) -> None:
    leader = workers.start_worker()
    job_id = workers.submit("brisk")
    leader.start()
    until(lambda: workers.finished_parts(job_id) == 1)
    leader.shutdown.set()
    leader.join()
    (workers.storage.parts(job_id) / "brisk" / "0").unlink()
    other = workers.start_worker()
    other.supervisor.work()
    assert workers.job(job_id).error is not None
    other.supervisor.work()
    workers.check(job_id)


def test_another_owners_small_job_does_not_wait_for_a_raster(workers: Workers) -> None:
    with workers.database.writing() as session:
        other = KeyRepository(session).create("another", "user")[0].id
    worker = workers.start_worker()
    large = workers.submit("brisk")
    worker.start()
    until(lambda: workers.workers_at_parts(large))
    engine = worker.engine.pid
    small = workers.submit("quick", "small", other)
    until(lambda: workers.job(small).finished is not None)
    assert workers.job(large).state is State.ACCEPTED
    assert workers.finished_parts(large) == 1
    worker.join()
    assert workers.notified[-1] == large  # so that somebody takes it up again
    worker.supervisor.work()
    workers.check(large)
    workers.check(small)
    assert (workers.job(large).attempts, worker.engine.pid) == (0, engine)
    assert set(workers.computed().values()) == {1}


def test_work_that_one_cannot_do_is_waited_for_by_nobody(workers: Workers) -> None:
    with workers.database.writing() as session:
        other = KeyRepository(session).create("another", "user")[0].id
    workers.lead_elsewhere(workers.submit("quick", owner=other), "another kind")
    job_id = workers.submit("quick")
    workers.start_worker().supervisor.work()
    workers.check(job_id)
    assert workers.job(job_id).epoch == 1


def test_who_cannot_help_neither_rings_nor_answers(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    workers.lead_elsewhere(workers.submit("quick"), "another kind")
    worker, notifier = workers.start_worker(), JobNotifier(make_celery(workers.settings))
    arguments = workers.settings, workers.database, workers.storage, notifier, worker.supervisor
    reconciler = Reconciler(*arguments)
    reconciler.reconcile()
    assert notifier.waiting() == 2
    worker.supervisor.work()
    caplog.clear()
    reconciler.reconcile()
    reconciler.reconcile()
    assert notifier.waiting() == 2
    assert caplog.messages == []


def test_an_owners_own_small_job_does_wait(workers: Workers) -> None:
    worker = workers.start_worker()
    large = workers.submit("quick")
    small = workers.submit("quick", "small")
    worker.supervisor.work()
    workers.check(large)
    assert workers.job(small).state is State.ACCEPTED


def test_cancel_ends_the_leaders_engine_and_the_helpers_and_leaves_no_file(
    workers: Workers,
) -> None:
    leader, helper = workers.start_worker(), workers.start_worker()
    job_id = workers.submit("slow")
    leader.start()
    until(lambda: workers.workers_at_parts(job_id) == {"w0"})
    helper.start()
    until(lambda: workers.workers_at_parts(job_id) == {"w0", "w1"})
    with workers.database.writing() as session:
        assert JobRepository(session).cancel(job_id)
    for worker in (leader, helper):
        worker.join()
        assert worker.engine.pid is None
    assert workers.job(job_id).state is State.DISMISSED
    assert workers.storage.jobs() == []


@pytest.mark.parametrize(
    ("model", "code", "tried"),
    [("crash", "engine.died", 3), ("fault", "stub.fault", 3), ("refuse", "stub.refuse", 1)],
)
def test_a_part_that_always_fails_fails_the_job_with_its_reason(
    workers: Workers, model: str, code: str, tried: int
) -> None:
    job_id = workers.submit(model)
    workers.start_worker().supervisor.work()
    job = workers.job(job_id)
    assert job.state is State.FAILED
    assert job.error is not None
    assert job.error["code"] == code
    with workers.database.reading() as session:
        assert PartRepository(session).of(job_id)[0].attempts == tried
    assert workers.storage.jobs() == []


def test_a_leader_whose_part_failed_the_job_waits_for_nobody(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EngineClient, "pause", lambda _: pytest.fail("it waits"))
    job_id = workers.submit("refuse")
    worker = workers.start_worker()
    worker.supervisor.work()
    assert workers.job(job_id).state is State.FAILED
    assert worker.engine.pid is not None


def test_parts_whose_workers_vanished_fail_the_job(workers: Workers) -> None:
    leader = workers.start_worker()
    job_id = workers.submit("brisk")
    leader.start()
    until(lambda: workers.workers_at_parts(job_id))
    with workers.database.writing() as session:  # what three vanished helpers leave
        for _ in range(3):
            assert PartRepository(session).claim(job_id, "gone", -1, 3)
    leader.join()
    job = workers.job(job_id)
    assert job.state is State.FAILED
    assert job.error is not None
    assert job.error["code"] == "job.abandoned"
    assert workers.storage.jobs() == []


def test_a_worker_of_another_kind_does_not_help_but_may_lead(workers: Workers) -> None:
    leader, other = workers.start_worker(), workers.start_worker("another kind")
    job_id = workers.submit("brisk")
    leader.start()
    until(lambda: workers.finished_parts(job_id) == 1)
    other.supervisor.work()
    assert not workers.job(job_id).finished
    leader.shutdown.set()
    leader.join()
    other.supervisor.work()
    workers.check(job_id)
    assert workers.job(job_id).parts_key == "brisk another kind"
    assert workers.computed()[0] == 2


@pytest.mark.parametrize("code", ["model.base_missing", "raster.missing", "raster.changed"])
def test_a_worker_that_lacks_something_leaves_the_part_to_others(
    workers: Workers, code: str
) -> None:
    leader, other = workers.start_worker(), workers.start_worker(f"fails {code}")
    job_id = workers.submit("brisk")
    leader.start()
    until(lambda: workers.workers_at_parts(job_id))
    other.supervisor.work()
    assert workers.job(job_id).finished is None
    leader.join()
    workers.check(job_id)
    assert (workers.job(job_id).attempts, len(workers.engines())) == (0, 1)


def test_a_model_that_changes_in_the_middle_has_everything_computed_anew(workers: Workers) -> None:
    worker = workers.start_worker()
    job_id = workers.submit("brisk")
    worker.start()
    until(lambda: workers.finished_parts(job_id) == 1)
    (workers.storage.uploads / "large.kind").write_text("retrained")
    worker.join()
    waiting = workers.job(job_id)
    assert (waiting.state, waiting.attempts) == (State.ACCEPTED, 0)
    assert waiting.error is not None
    assert waiting.error["code"] == "part.other_kind"
    worker.supervisor.work()
    workers.check(job_id)
    assert workers.computed()[0] == 2
    assert workers.job(job_id).parts_key == "brisk retrained"
