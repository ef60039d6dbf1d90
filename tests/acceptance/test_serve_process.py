"""`mfnet serve` as a process: what it prints, what it restarts, what it leaves behind."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from waiting import until

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.models import ModelRepository
from mfnet.service.db.session import Database
from mfnet.service.files.storage import Storage
from mfnet.service.settings import Settings

pytestmark = pytest.mark.acceptance

STUB = Path(__file__).parents[1] / "support" / "engine_stub.py"
PATIENCE_S = 60


class Service:
    """One `mfnet serve` on a free port."""

    def __init__(self, folder: Path) -> None:
        environment = {
            k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")
        }
        environment["MFNET_ENGINE_COMMAND"] = json.dumps([sys.executable, str(STUB)])
        self.log = folder / "serve.log"
        with self.log.open("a") as log:
            self.process = psutil.Popen(
                [
                    *(sys.executable, "-m", "mfnet.service.cli.main", "serve"),
                    *("--port", "0", "--data-dir", str(folder / "data")),
                ],
                env=environment,
                stdout=-1,
                stderr=log,
                text=True,
            )
        first = self.process.stdout.readline()
        found = re.search(r"http://\S+", first)
        assert found, first + self.log.read_text()
        self.url = found[0]

    def workers(self) -> list[psutil.Process]:
        """Its workers; what forks the children that inspect files is none."""
        found = []
        for child in self.process.children():
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                if any("worker" in word for word in child.cmdline()):
                    found.append(child)
        return found

    def worker(self) -> psutil.Process | None:
        """The worker, once it is ready."""
        children = self.workers()
        return children[0] if children and "ready." in self.log.read_text() else None

    def live(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/live", trust_env=False).is_success
        except httpx.TransportError:
            return False


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    if service.process.is_running():
        for process in (service.process, *service.process.children(recursive=True)):
            process.kill()
    service.process.wait(10)
    service.process.stdout.close()


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_it_leaves_nothing_running(service: Service, kind: signal.Signals) -> None:
    until(service.live)
    worker = until(service.worker)
    service.process.send_signal(kind)
    assert service.process.wait(PATIENCE_S) == 0
    assert not worker.is_running()
    assert not service.live()


def test_the_first_key_is_shown_once(service: Service, tmp_path: Path) -> None:
    secret = service.process.stdout.readline().split()[-1]
    until(service.live)
    answer = httpx.get(
        f"{service.url}/jobs", headers={"Authorization": f"Bearer {secret}"}, trust_env=False
    )
    assert answer.status_code == 200
    service.process.terminate()
    assert service.process.stdout.read() == ""
    service.process.wait(PATIENCE_S)
    again = Service(tmp_path)
    until(again.live)
    again.process.terminate()
    assert "key" not in again.process.stdout.read()
    again.process.wait(PATIENCE_S)
    again.process.stdout.close()


def test_a_second_one_on_the_same_port_touches_nothing(service: Service, tmp_path: Path) -> None:
    broker = tmp_path / "data" / "broker.sqlite3"
    until(broker.exists)
    before = broker.stat().st_ino
    port = service.url.rpartition(":")[2]
    command = [sys.executable, "-m", "mfnet.service.cli.main", "serve", "--port", port]
    second = subprocess.run(
        [*command, "--data-dir", str(tmp_path / "data")], capture_output=True, timeout=PATIENCE_S
    )
    assert second.returncode != 0
    assert b"already in use" in second.stderr
    assert broker.stat().st_ino == before


def test_a_worker_that_dies_is_started_again(service: Service) -> None:
    worker = until(service.worker)
    worker.kill()
    until(lambda: [each for each in service.workers() if each.pid != worker.pid])
    assert until(service.live)


def test_a_killed_service_takes_its_worker_with_it(service: Service) -> None:
    worker = until(service.worker)
    service.process.kill()
    worker.wait(PATIENCE_S)
    assert not worker.is_running()


def test_a_retraining_that_waits_starts_a_worker_of_its_own(
    service: Service, tmp_path: Path
) -> None:
    worker = until(service.worker)
    database = Database(Settings(data_dir=tmp_path / "data").database)
    parent = tmp_path / "parent.safetensors"
    parent.write_bytes(b"weights")
    sha256 = Storage(tmp_path / "data").models.add(parent)
    with database.writing() as session:
        ModelRepository(session).add("mine", sha256, 7, {}, who="me", why="a test")
        owner = KeyRepository(session).all()[0].id
        told = {"model": "mine@1", "model_sha256": sha256, "recipe": "quick", "promote": False}
        job, _ = JobRepository(session).submit(owner, "retrain", told | {"folder": "/tiles"})

    def done() -> bool:
        with database.reading() as session:
            found = JobRepository(session).get(job.id)
        return found is not None and found.finished is not None

    until(done)
    with database.reading() as session:
        assert [model.version for model in ModelRepository(session).all("mine")] == [2, 1]
    database.close()
    children = service.workers()
    assert worker in children
    assert len(children) == 2
    trainer = next(child for child in children if child != worker)
    assert trainer.nice() > worker.nice()
    service.process.terminate()
    assert service.process.wait(PATIENCE_S) == 0
    assert not trainer.is_running()
