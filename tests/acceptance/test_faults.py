"""Kill, stop and empty everything in the middle of a job: it ends once, with the same bytes.

Real worker processes and a real Redis, on leases of four seconds; only the engine is a stub, whose
result is known beforehand, so "the same bytes" needs no undisturbed run to compare with.
"""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis as redis_client

from service.database import Database
from service.jobs import State
from service.queue import Doorbell, make_celery
from service.repository.jobs import JobRepository
from service.repository.keys import KeyRepository
from service.repository.uploads import UploadRepository
from service.settings import Settings
from service.storage import Storage
from service.tables import Job

pytestmark = pytest.mark.acceptance

STUB = Path(__file__).parents[1] / "support" / "engine_stub.py"
ORTHO = b"pixels"
STEPS = 20  # of the stub, 0.1 s each for the model `slow`
PATIENCE_S = 60
QUICK = {"LEASE_S": "4", "HEARTBEAT_S": "0.3", "RECONCILE_S": "0.5", "GRACE_S": "20"}


def until(true: Callable[[], Any], seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not true within {seconds} s"
        time.sleep(0.05)


class Redis:
    """A Redis server of one test's own, which can be killed and started again on its data."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self._folder}
        options |= {"appendonly": "yes", "save": "", "maxmemory-policy": "noeviction"}
        arguments = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
        self._server = subprocess.Popen(
            ["redis-server", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._answers, 20)

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def flush(self) -> None:
        with redis_client.Redis(port=self.port) as client:
            client.flushall()

    def _answers(self) -> bool:
        try:
            with redis_client.Redis(port=self.port) as client:
                return bool(client.ping())
        except redis_client.ConnectionError:
            return False


class Farm:
    """A data folder, worker processes on it, and what the API would do."""

    def __init__(self, folder: Path, redis: Redis | None) -> None:
        self.settings = Settings(data_dir=folder, redis_url=redis.url if redis else None)
        self.storage = Storage(folder)
        self.database = Database(self.settings.database)
        self.database.upgrade()
        self.doorbell = Doorbell(make_celery(self.settings))
        self.workers: list[psutil.Popen] = []
        self._log = (folder / "workers.log").open("ab")
        (self.storage.uploads / "u1").write_bytes(ORTHO)
        with self.database.writing() as session:
            self.owner = KeyRepository(session).create("somebody", "user")[0].id
            UploadRepository(session).add(
                "u1", self.owner, "ortho.tif", size=6, sha256="", report={}
            )

    def hire(self) -> psutil.Popen:
        """Start one more worker."""
        chosen = {**QUICK, "ENGINE_COMMAND": json.dumps([sys.executable, str(STUB)])}
        environment = {**os.environ, **{f"MFNET_{name}": v for name, v in chosen.items()}}
        if self.settings.redis_url:
            environment["REDIS_URL"] = self.settings.redis_url
        command = [sys.executable, "-m", "service.cli", "worker"]
        worker = psutil.Popen(
            [*command, "--data-dir", str(self.settings.data_dir)],
            env=environment,
            stdout=self._log,
            stderr=self._log,
        )
        self.workers.append(worker)
        return worker

    def submit(self, model: str = "slow", *, ring: bool = True) -> str:
        with self.database.writing() as session:
            inputs = {"ortho": "u1", "height": "u1", "model": model}
            job_id = JobRepository(session).submit(self.owner, "segment", inputs)[0].id
        if ring:
            self.doorbell.ring(job_id)
        return job_id

    def job(self, job_id: str) -> Job:
        with self.database.reading() as session:
            job = JobRepository(session).get(job_id)
        assert job is not None
        return job

    def half_way(self, job_id: str) -> None:
        """Wait until the job has written some of its result and not all of it."""
        until(lambda: 0 < self.job(job_id).progress < 80)

    def finished(self, job_id: str) -> Job:
        until(lambda: self.job(job_id).finished is not None)
        return self.job(job_id)

    def check_result(self, job_id: str) -> Job:
        """The job is successful, its bytes are right, and no other attempt's are left."""
        job = self.finished(job_id)
        assert (job.state, job.error) == (State.SUCCESSFUL, None)
        assert job.result_epoch is not None
        folder = self.storage.folder(job_id, job.result_epoch)
        until(lambda: [p.name for p in folder.parent.iterdir()] == [folder.name], 10)
        assert (folder / "classes.tif").read_bytes() == expected()
        return job

    def close(self) -> None:
        for worker in self.workers:
            for process in (worker, *descendants(worker)):
                if process.is_running():
                    process.send_signal(signal.SIGCONT)
                    process.kill()
            worker.wait(10)
        self._log.close()
        self.database.close()


def descendants(worker: psutil.Popen) -> list[psutil.Process]:
    try:
        return list(worker.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def engine_of(worker: psutil.Popen) -> psutil.Process:
    (engine,) = descendants(worker)
    return engine


def expected() -> bytes:
    chain = [hashlib.sha256(ORTHO).digest()]
    for _ in range(STEPS):
        chain.append(hashlib.sha256(chain[-1]).digest())
    return b"".join(chain)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server on this machine")
    folder = tmp_path / "redis"
    folder.mkdir()
    server = Redis(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def farm(tmp_path: Path, redis: Redis) -> Iterator[Farm]:
    """On Redis."""
    farm = Farm(tmp_path / "data", redis)
    yield farm
    farm.close()


@pytest.fixture(params=["redis", "file"])
def any_farm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Farm]:
    """On Redis and on the embedded broker's file."""
    redis = request.getfixturevalue("redis") if request.param == "redis" else None
    farm = Farm(tmp_path / "data", redis)
    yield farm
    farm.close()


def test_an_undisturbed_job(any_farm: Farm) -> None:
    any_farm.hire()
    job = any_farm.check_result(any_farm.submit())
    assert (job.epoch, job.attempts) == (1, 1)


def test_kill_the_engine(any_farm: Farm) -> None:
    worker = any_farm.hire()
    job_id = any_farm.submit()
    any_farm.half_way(job_id)
    engine_of(worker).kill()
    job = any_farm.check_result(job_id)
    assert (job.epoch, job.attempts) == (2, 2)
    assert worker.is_running()


def test_kill_the_worker(any_farm: Farm) -> None:
    worker = any_farm.hire()
    job_id = any_farm.submit()
    any_farm.half_way(job_id)
    engine = engine_of(worker)
    worker.kill()
    worker.wait(10)
    engine.wait(10)  # the engine goes with its worker
    any_farm.hire()
    assert any_farm.check_result(job_id).epoch == 2


def test_kill_redis_and_start_it_again(farm: Farm, redis: Redis) -> None:
    farm.hire()
    running, waiting = farm.submit(), farm.submit()
    farm.half_way(running)
    redis.kill()
    meanwhile = farm.submit()
    assert farm.check_result(running).epoch == 1
    redis.start()
    for job_id in (waiting, meanwhile):
        assert farm.check_result(job_id).epoch == 1


def test_redis_is_away_from_the_start(farm: Farm, redis: Redis) -> None:
    redis.kill()
    farm.hire()
    for job_id in [farm.submit("quick") for _ in range(2)]:
        assert farm.check_result(job_id).epoch == 1


def test_redis_forgets_everything(farm: Farm, redis: Redis) -> None:
    farm.hire()
    running = farm.submit()
    farm.half_way(running)
    waiting = [farm.submit("quick") for _ in range(10)]
    redis.flush()
    for job_id in (running, *waiting):
        assert farm.check_result(job_id).epoch == 1


def test_a_message_ten_times_on_two_workers(farm: Farm) -> None:
    farm.hire()
    farm.hire()
    job_id = farm.submit(ring=False)
    for _ in range(10):
        farm.doorbell.ring(job_id)
    job = farm.check_result(job_id)
    until(lambda: farm.doorbell.waiting() == 0)
    assert (farm.job(job_id).epoch, farm.job(job_id).finished) == (1, job.finished)


def test_stop_a_worker_beyond_its_lease(farm: Farm) -> None:
    sleeper = farm.hire()
    job_id = farm.submit()
    farm.half_way(job_id)
    sleeper.suspend()
    farm.hire()
    job = farm.check_result(job_id)
    assert (job.epoch, job.result_epoch) == (2, 2)
    sleeper.resume()
    # It finds out, removes what it wrote and is of use again.
    farm.check_result(job_id)
    assert farm.job(job_id).finished == job.finished
    for other in [farm.submit("quick") for _ in range(4)]:
        farm.check_result(other)


def test_cancel_frees_the_engine(farm: Farm) -> None:
    worker = farm.hire()
    job_id = farm.submit()
    farm.half_way(job_id)
    engine = engine_of(worker)
    with farm.database.writing() as session:
        JobRepository(session).cancel(job_id)
    until(lambda: not engine.is_running(), 5)
    assert farm.job(job_id).state is State.DISMISSED
    until(lambda: not farm.storage.folder(job_id, 1).parent.exists(), 5)
    assert farm.check_result(farm.submit("quick")).epoch == 1


def test_a_job_that_always_crashes_fails_and_others_go_on(farm: Farm) -> None:
    farm.hire()
    bad, good = farm.submit("crash"), farm.submit("quick")
    failed = farm.finished(bad)
    assert (failed.state, failed.attempts) == (State.FAILED, 3)
    assert failed.error is not None
    assert failed.error["code"] == "engine.died"
    assert "signal 9" in failed.message
    farm.check_result(good)


def test_a_job_whose_workers_always_die_fails_too(farm: Farm) -> None:
    job_id = farm.submit()
    for epoch in (1, 2, 3):
        worker = farm.hire()
        until(lambda epoch=epoch: farm.job(job_id).epoch == epoch)
        worker.kill()
        worker.wait(10)
    farm.hire()
    failed = farm.finished(job_id)
    assert failed.state is State.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "job.abandoned"


@pytest.mark.parametrize("broker", ["here", "gone"])
def test_sigterm_hands_the_job_back(farm: Farm, redis: Redis, broker: str) -> None:
    worker = farm.hire()
    job_id = farm.submit()
    farm.half_way(job_id)
    engine = engine_of(worker)
    if broker == "gone":
        redis.kill()
    worker.terminate()
    worker.wait(20)
    assert not engine.is_running()
    waiting = farm.job(job_id)
    assert (waiting.state, waiting.attempts, waiting.epoch) == (State.ACCEPTED, 0, 1)
    if broker == "gone":
        redis.start()
    farm.hire()
    assert farm.check_result(job_id).attempts == 1
