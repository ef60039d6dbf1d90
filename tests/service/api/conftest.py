"""The real application under a real uvicorn on loopback; only the inspection is a stand-in."""

import contextlib
import dataclasses
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.routing import BaseRoute
from waiting import PATIENCE_S

from mfnet.service.app import create_app
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.operations.context import Services
from mfnet.service.operations.model_registry import Registry
from mfnet.service.settings import Settings


class Inspections:
    """Stands for `Inspector`: remembers what it was asked, finds no fault unless given one."""

    def __init__(self, models: Path) -> None:
        self.models = models
        for name in ("town", "mine"):
            (models / f"{name}.safetensors").write_bytes(name.encode())
        self.fault: Exception | None = None
        self.pairs: list[tuple[Any, ...]] = []
        self.drawn: list[Path] = []
        self.drawn_of: list[list[str]] = []
        self.drift: dict[str, Any] | None = None
        self.remarks: list[dict[str, Any]] = []
        self.options: dict[str, Any] = {}
        self.sums: dict[str, str] = {}
        self.report: dict[str, Any] = {}
        self.of_file: dict[str, Any] = {}
        self.tiles: list[dict[str, Any]] = []

    def file(
        self,
        path: Path,
        names: dict[str, str],
        sidecar: str | None = None,
        *,
        quick: bool = False,
    ) -> dict[str, Any]:
        assert path.stat().st_size > 0
        assert path.is_dir() == (len(names) > 1)
        assert path.is_dir() or not quick
        assert list(names)[-1] == path.name
        if self.fault is not None:
            raise self.fault
        self.beside = sorted(file.name for file in path.parent.glob(f"{path.name}.*"))
        if sidecar is not None:
            return {"kind": sidecar}
        name = names[path.name]
        suits = ["height raster" if "height" in name else "orthophoto"]
        return {"suits": suits} | self.of_file

    def unpacked(
        self, archive: Path, folder: Path, names: Any, max_bytes: int
    ) -> list[dict[str, Any]]:
        assert archive.read_bytes().startswith(b"PK")
        self.room = max_bytes
        if self.fault is not None:
            raise self.fault
        for tile in self.tiles:
            (folder / tile["file"]).write_bytes(tile["bytes"] * b"x")
        return self.tiles

    def pair(self, *what: Any) -> dict[str, Any]:
        *asked, self.sums = what
        self.pairs.append(tuple(asked))
        if self.fault is not None:
            raise self.fault
        reading = {"options": self.options}
        told = {"drift": self.drift, "remarks": self.remarks, "reading": reading}
        return told | self.report

    def correction(self, the_map: Path, labels: Path, out: Path, *_: Any) -> dict[str, Any]:
        assert (the_map / "classes.tif").is_file()
        assert labels.is_file()
        if self.fault is not None:
            raise self.fault
        out.write_bytes(b"secret")
        return {"scheme": {"name": "isprs", "classes": []}, "changed": 1}

    def pictures(
        self, rasters: dict[str, Path], the_map: Path | None, _: Any, out: Path, names: Any
    ) -> dict[str, Any]:
        assert {path.name for path in rasters.values()} == set(names)
        self.drawn.append(out)
        self.drawn_of.append(sorted(rasters))
        files = {"ortho.jpg": b"\xff\xd8"}
        if the_map is not None:
            assert (the_map / "classes.tif").is_file()
            known, unknown = struct.pack("<BBh", 1, 90, 25), struct.pack("<BBh", 255, 255, -32768)
            files |= {"classes.png": b"\x89PNG", "values.bin": 5 * known + unknown}
        for name, content in files.items():
            (out / name).write_bytes(content)
        return {"rows": 2, "columns": 3, "step": 4, "top_m": 9.5, "files": list(files)}

    def town(self, out: Path, side_px: int, seed: int) -> None:
        for name in ("ortho.tif", "ndsm.tif"):
            (out / name).write_bytes(f"{name} {side_px} {seed}".encode())

    def keep_warm(self) -> None: ...

    def close(self) -> None: ...

    def installed(self) -> dict[str, Path]:
        return {path.stem: path for path in self.models.glob("*.safetensors")}

    def config(self, path: Path) -> dict[str, Any]:
        return {"name": path.stem, "classes": {"name": "isprs", "classes": []}}


class Notified:
    """Stands for `JobNotifier`: remembers the jobs that it was told of."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.processes: list[str] = []

    def notify(self, job_id: str, process: str = "segment") -> bool:
        self.jobs.append(job_id)
        self.processes.append(process)
        return True

    def waiting(self) -> int:
        return len(self.jobs)


@dataclasses.dataclass
class Api:
    """A running API and three holders of keys."""

    app: Any
    url: str
    services: Services
    inspections: Inspections
    notified: Notified
    user: httpx.Client
    other: httpx.Client
    admin: httpx.Client
    nobody: httpx.Client

    def upload(self, name: str = "a.tif", by: httpx.Client | None = None) -> dict[str, Any]:
        """A small upload, the user's unless said otherwise."""
        return (
            (by or self.user).put(f"/uploads/{name}", content=b"pixels").raise_for_status().json()
        )

    def submit(self, by: httpx.Client | None = None, **inputs: Any) -> dict[str, Any]:
        """A job on two fresh uploads."""
        rasters = {role: self.upload(f"{role}.tif", by)["id"] for role in ("ortho", "height")}
        body = {"inputs": rasters | inputs, "reuse": False}
        reply = (by or self.user).post("/processes/segment/execution", json=body)
        return reply.raise_for_status().json()

    def finish(self, job_id: str, files: dict[str, bytes]) -> None:
        """Do what a worker does: claim, write, publish."""
        with self.services.database.writing() as session:
            job = JobRepository(session).claim(job_id, "test", 60, 3)
            assert job is not None
            folder = self.services.storage.begin(job_id, job.epoch)
            for name, content in files.items():
                (folder / name).write_bytes(content)
            assert JobRepository(session).publish(job)


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """Everything below the test's own folder; on SQLite and on PostgreSQL."""
    return Settings(data_dir=tmp_path / "data", database_url=database_url, redis_url=None)


_routes: list[BaseRoute] = []
"""Of the first application. They know nothing of it; FastAPI takes a tenth of a second for them."""


def app_on(settings: Settings) -> FastAPI:
    """The application, with routes that it shares with those of other tests."""
    app = create_app(settings)
    if _routes:
        app.router.routes[:] = _routes
    else:
        _routes.extend(app.router.routes)
    return app


@pytest.fixture
def api(settings: Settings, tmp_path: Path) -> Iterator[Api]:
    """A running API."""
    app = app_on(settings)
    inspections, notified = Inspections(tmp_path), Notified()
    services = app.state.services
    registry = Registry(services.database, services.storage.models, inspections)
    services = dataclasses.replace(
        services, inspector=inspections, notifier=notified, registry=registry
    )
    app.state.services = services
    with _serving(app) as url:
        secrets = {name: _key(services, name) for name in ("user", "other", "admin")}
        clients = {name: _client(url, secret) for name, secret in secrets.items()}
        nobody = _client(url)
        yield Api(app, url, services, inspections, notified, **clients, nobody=nobody)
        for client in (*clients.values(), nobody):
            client.close()


@contextlib.contextmanager
def _serving(app: Any) -> Iterator[str]:
    """uvicorn in a thread, on a free port; yields the API's address."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="on"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def _key(services: Services, name: str) -> str:
    with services.database.writing() as session:
        _, secret = KeyRepository(session).create(name, "admin" if name == "admin" else "user")
    return secret


def _client(url: str, secret: str | None = None) -> httpx.Client:
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    # Loading certificates, which nobody needs here, takes a tenth of most tests.
    how = {"trust_env": False, "verify": False, "timeout": PATIENCE_S}
    return httpx.Client(base_url=url, headers=headers, **how)
