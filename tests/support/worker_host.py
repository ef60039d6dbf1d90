"""Real worker processes on a data folder, and a Redis of their own; most with stubs for engines."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import engine_stub
import psutil
import redis as redis_client
from databases import copy_migrated
from forked import Worker, start_worker
from waiting import PATIENCE_S, until

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.parts import PartRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Job, Part
from mfnet.service.domain.job import State
from mfnet.service.files.storage import Storage
from mfnet.service.queue import JobNotifier, make_celery
from mfnet.service.settings import Settings

STUB = [sys.executable, engine_stub.__file__]
RUNNER = [sys.executable, "-m", "mfnet.service.engine.runner"]
ORTHO = b"pixels"
WIDTH = 10  # of the raster that the service takes ORTHO for, and that it cuts where told to
QUICK = {"LEASE_S": "4", "HEARTBEAT_S": "0.3", "RECONCILE_S": "0.5", "GRACE_S": "20"}


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


class WorkerHost:
    """A data folder, worker processes on it, and what the API would do.

    Args:
        folder: Of the data.
        redis: The broker; a file in the folder without it.
        engine: The program that computes.
        database_url: Of a database; SQLite in the folder without it.
    """

    def __init__(
        self,
        folder: Path,
        redis: Redis | None,
        engine: list[str] | None = None,
        database_url: str | None = None,
    ) -> None:
        self.settings = Settings(
            data_dir=folder, redis_url=redis.url if redis else None, database_url=database_url
        )
        self.storage = Storage(folder)
        if database_url is None:
            copy_migrated(folder / "mfnet.sqlite3")
        self.database = Database(self.settings.database)
        self.database.upgrade()
        self.notifier = JobNotifier(make_celery(self.settings))
        self.workers: list[Worker] = []
        self.log = folder / "workers.log"
        self._engine = engine or STUB
        self.owner = self.add_owner("somebody")
        self.upload("u1", ORTHO, engine_stub.ROWS, WIDTH)

    def add_owner(self, name: str) -> str:
        with self.database.writing() as session:
            return KeyRepository(session).create(name, "user")[0].id

    def upload(self, upload_id: str, content: bytes, height: int, width: int) -> None:
        (self.storage.uploads / upload_id).write_bytes(content)
        report = {"raster": {"height": height, "width": width}}
        with self.database.writing() as session:
            UploadRepository(session).add(
                upload_id, self.owner, "a.tif", size=len(content), sha256="", report=report
            )

    def start_worker(self, **settings: Any) -> Worker:
        """Start one more worker, with settings of its own."""
        chosen = {**QUICK, "ENGINE_COMMAND": json.dumps(self._engine)}
        chosen |= {name.upper(): str(value) for name, value in settings.items()}
        environment = {**os.environ, **{f"MFNET_{name}": v for name, v in chosen.items()}}
        if self.settings.redis_url:
            environment["REDIS_URL"] = self.settings.redis_url
        if self.settings.database_url:
            environment["DATABASE_URL"] = self.settings.database_url
        worker = start_worker(self.settings.data_dir, environment, self.log)
        self.workers.append(worker)
        return worker

    def submit(
        self, model: str = "slow", *, owner: str | None = None, notify: bool = True, **inputs: Any
    ) -> str:
        with self.database.writing() as session:
            told = {"ortho": "u1", "height": "u1", "model": model, **inputs}
            job_id = JobRepository(session).submit(owner or self.owner, "segment", told)[0].id
        if notify:
            self.notifier.notify(job_id)
        return job_id

    def job(self, job_id: str) -> Job:
        with self.database.reading() as session:
            job = JobRepository(session).get(job_id)
        assert job is not None
        return job

    def parts(self, job_id: str) -> Sequence[Part]:
        with self.database.reading() as session:
            return PartRepository(session).of(job_id)

    def half_way(self, job_id: str) -> None:
        """Wait until the job has written some of its result and not all of it."""
        until(lambda: 0 < self.job(job_id).progress < 80)

    def finished(self, job_id: str, seconds: float = PATIENCE_S) -> Job:
        until(lambda: self.job(job_id).finished is not None, seconds)
        return self.job(job_id)

    def result(self, job_id: str, seconds: float = PATIENCE_S) -> Path:
        """The folder of a successful job's files, when no other attempt's are left."""
        job = self.finished(job_id, seconds)
        assert (job.state, job.error) == (State.SUCCESSFUL, None)
        assert job.result_epoch is not None
        folder = self.storage.folder(job_id, job.result_epoch)
        until(lambda: [p.name for p in folder.parent.iterdir()] == [folder.name], 10)
        return folder

    def check_result(self, job_id: str) -> Job:
        """The stub has finished the job, and its bytes are right."""
        data = (self.result(job_id) / "classes.tif").read_bytes()
        assert data == engine_stub.result(ORTHO)
        return self.job(job_id)

    def close(self) -> None:
        for worker in self.workers:
            for process in (worker, *descendants(worker)):
                if process.is_running():
                    process.send_signal(signal.SIGCONT)
                    process.kill()
            worker.wait(10)
        self.database.close()


def descendants(worker: psutil.Process) -> list[psutil.Process]:
    try:
        return list(worker.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def engine_of(worker: psutil.Process) -> psutil.Process:
    (engine,) = descendants(worker)
    return engine
