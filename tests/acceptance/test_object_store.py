"""From upload to map where no two processes share a folder: an API and two workers, each on a disk
of its own, with Redis, PostgreSQL, and a store that speaks S3 and that none of us wrote."""

import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
import torch
import uvicorn
from engine_stub import ROWS, result
from faulty_relay import FaultyRelay
from forked import Worker, start_worker
from postgres_server import Postgres
from rasterio.transform import from_origin
from s3_server import make_bucket, moto_server
from waiting import PATIENCE_S, until
from worker_host import QUICK, RUNNER, STUB, Redis

from mfnet.model.config import EncoderConfig, ModelConfig
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.checkpoint import save
from mfnet.service.app import create_app
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.parts import PartRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import State
from mfnet.service.engine.job_requests import JobRequests
from mfnet.service.engine.protocol import Done
from mfnet.service.engine.runner import Segmenter, answer
from mfnet.service.files.storage import Storage, storage_of
from mfnet.service.operations.context import Services
from mfnet.service.settings import Settings

pytestmark = pytest.mark.acceptance

HEIGHT, WIDTH = 4608, 96
PARTS = 2
FAULTS = ["slow", None, None, "503", None, None, None, "cut answer", None, None, None]
"""Of the store, one request after the other."""


class Deployment:
    """Processes that share a database, a broker and a store, and nothing else."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = {**os.environ, **environment}
        names = {name.removeprefix("MFNET_").lower(): v for name, v in environment.items()}
        self.settings = Settings(data_dir=folder / "api", models_dir=folder / "models", **names)
        self.log = folder / "workers.log"
        self.workers: list[Worker] = []

    def start_worker(self, number: int | None = None, **settings: Any) -> None:
        name = f"worker-{len(self.workers) if number is None else number}"
        chosen = {**QUICK, "ENGINE_COMMAND": json.dumps(RUNNER), "LEASE_S": "30"}
        chosen |= {"MODELS_DIR": str(self._folder / name / "models")}
        chosen |= {key.upper(): str(value) for key, value in settings.items()}
        environment = self._environment | {f"MFNET_{key}": v for key, v in chosen.items()}
        self.workers.append(start_worker(self._folder / name, environment, self.log))

    @contextmanager
    def api(self) -> Iterator[tuple[httpx.Client, Services]]:
        app = create_app(self.settings)
        services: Services = app.state.services
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="on"))
        with socket.create_server(("127.0.0.1", 0)) as listening:
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            until(lambda: server.started)
            try:
                yield from self._with_client(services, listening.getsockname()[1])
            finally:
                server.should_exit = True
                thread.join(30)

    def _with_client(
        self, services: Services, port: int
    ) -> Iterator[tuple[httpx.Client, Services]]:
        with services.database.writing() as session:
            _, secret = KeyRepository(session).create("user", "user")
        how = {"headers": {"Authorization": f"Bearer {secret}"}, "timeout": PATIENCE_S}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", **how) as client:
            yield client, services

    def close(self) -> None:
        for worker in self.workers:
            if worker.is_running():
                for process in (*worker.children(recursive=True), worker):
                    process.kill()
            worker.wait(10)


@pytest.fixture
def deployment(tmp_path: Path, redis: Redis) -> Iterator[Deployment]:
    with tempfile.TemporaryDirectory() as of_postgres, moto_server() as address:
        Path(of_postgres).chmod(0o755)
        relay = FaultyRelay(int(address.rpartition(":")[2]))
        postgres = Postgres(Path(of_postgres))
        postgres.start()
        make_bucket(address, "bucket")
        deployment = Deployment(
            tmp_path,
            {
                "MFNET_DATABASE_URL": postgres.url,
                "MFNET_REDIS_URL": redis.url,
                "MFNET_STORAGE": "s3://bucket/mfnet",
                "MFNET_STORAGE_ENDPOINT": relay.address,
                "MFNET_STORAGE_KEY_ID": "key",
                "MFNET_STORAGE_SECRET": "secret",
            },
        )
        relay.meet(FAULTS)
        yield deployment
        deployment.close()
        relay.close()
        postgres.stop()


def write_model(path: Path) -> None:
    torch.manual_seed(0)
    encoder = EncoderConfig(
        embed_dim=32, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=8, grid=16
    )
    path.parent.mkdir(parents=True)
    save(MFNet(ModelConfig(encoder=encoder, window_px=160, decode_channels=16)), path)


def write_pair(folder: Path) -> None:
    random = np.random.default_rng(0)
    rasters = {
        "ortho": random.integers(1, 255, (3, HEIGHT, WIDTH), dtype=np.uint8),
        "height": 20 * random.random((1, HEIGHT, WIDTH), dtype=np.float32),
    }
    for role, values in rasters.items():
        form = {"count": len(values), "height": HEIGHT, "width": WIDTH, "dtype": values.dtype}
        form |= {"crs": "EPSG:25832", "transform": from_origin(5e5, 5.7e6, 0.5, 0.5)}
        path = folder / f"{role}.tif"
        with rasterio.open(path, "w", driver="GTiff", compress="deflate", **form) as raster:
            raster.write(values)


def in_one_folder(services: Services, job_id: str, folder: Path) -> dict[str, bytes]:
    """What the engine makes of the job where one folder keeps everything."""
    storage = Storage(folder)
    for each in services.storage.store.found(services.storage.root):
        path = storage.root / each.path.relative_to(services.storage.root)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(services.storage.store.read(each.path)))
    with services.database.reading() as session:
        job = JobRepository(session).get(job_id)
    assert job is not None
    job.epoch = 99
    request = JobRequests(services.settings, services.database, storage).map(job)
    done = answer(request, Segmenter(), lambda _: None)
    assert isinstance(done, Done), done
    return {path.name: path.read_bytes() for path in request.out.iterdir()}


@pytest.mark.timeout(300)
def test_the_same_map_as_in_one_folder(deployment: Deployment, tmp_path: Path) -> None:
    write_model(tmp_path / "models" / "tiny.safetensors")
    write_pair(tmp_path)
    with deployment.api() as (client, services):
        for _ in range(2):
            deployment.start_worker(part_pixels=HEIGHT * WIDTH // PARTS)
        for role in ("ortho", "height"):
            content = (tmp_path / f"{role}.tif").read_bytes()
            client.put(f"/uploads/{role}.tif", content=content).raise_for_status()
        inputs = {"ortho": "ortho.tif", "height": "height.tif", "model": "tiny", "stride": 128}
        body = {"inputs": inputs | {"confidence": True}}
        job = client.post("/processes/segment/execution", json=body).raise_for_status().json()
        address = f"/jobs/{job['jobID']}"
        shutil.rmtree(deployment.settings.data_dir / "uploads")
        until(lambda: client.get(address).json()["status"] not in ("accepted", "running"), 200)
        assert client.get(address).json()["status"] == "successful", deployment.log.read_text()
        with services.database.reading() as session:
            assert len(PartRepository(session).of(job["jobID"])) == PARTS
        assert not list(tmp_path.glob("worker-*/scratch/*/uploads/*"))  # blocks alone were fetched
        names = client.get(f"{address}/results").json()
        found = {name: client.get(f"{address}/results/{name}").content for name in names}
        assert found == in_one_folder(services, job["jobID"], tmp_path / "one")
        kept = [each.path for each in services.storage.store.found(services.storage.root / "jobs")]
        assert sorted(path.name for path in kept) == sorted(found)  # no part is left


@pytest.mark.timeout(300)
def test_a_leader_is_killed_and_what_it_had_in_the_store_is_gone_on_with(
    deployment: Deployment, tmp_path: Path
) -> None:
    database, storage = Database(deployment.settings.database), storage_of(deployment.settings)
    database.upgrade()
    storage.upload("u1").write_bytes(b"pixels")
    storage.share_upload("u1")
    with database.writing() as session:
        owner = KeyRepository(session).create("somebody", "user")[0].id
        report = {"raster": {"height": ROWS, "width": 10}}
        UploadRepository(session).add("u1", owner, "a.tif", size=6, sha256="", report=report)
        inputs = {"ortho": "u1", "height": "u1", "model": "slow"}
        job_id = JobRepository(session).submit(owner, "segment", inputs)[0].id

    def finished() -> set[int]:
        with database.reading() as session:
            parts = PartRepository(session).of(job_id)
        return {part.first_row for part in parts if part.finished is not None}

    scratch = tmp_path / "worker-0" / "scratch"
    stub = {"engine_command": json.dumps(STUB), "part_pixels": ROWS * 10 // 4, "lease_s": 4}
    deployment.start_worker(**stub)
    until(finished)
    for process in (deployment.workers[0], *deployment.workers[0].children(recursive=True)):
        process.kill()
    deployment.workers[0].wait(10)
    before, left = finished(), {each.name for each in scratch.iterdir()}
    deployment.start_worker(number=0, **stub)  # the same disk: what was left there goes
    until(lambda: len(finished()) == 4, 120)

    def job() -> Job:
        with database.reading() as session:
            found = JobRepository(session).get(job_id)
        assert found is not None
        return found

    until(lambda: job().finished)
    assert (job().state, job().epoch) == (State.SUCCESSFUL, 2)
    folder = storage.root / "jobs" / job_id
    until(lambda: [each.path.name for each in storage.store.found(folder)] == ["classes.tif"])
    assert b"".join(storage.store.read(storage.folder(job_id, 2) / "classes.tif")) == result(
        b"pixels"
    )
    computed = scratch.glob("*/uploads/u1.computed")
    again = {int(line.split()[0]) for path in computed for line in path.read_text().splitlines()}
    assert not again & before
    assert not left & {each.name for each in scratch.iterdir()}
    database.close()
