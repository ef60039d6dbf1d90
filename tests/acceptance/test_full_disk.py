"""The disk below the service's data runs full: nobody is told a lie, and work goes on after."""

import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from disk import Disk
from rasterio.transform import from_origin
from worker_host import RUNNER, WorkerHost, until

from mfnet.model.config import EncoderConfig, ModelConfig
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.checkpoint import save
from mfnet.service.domain.job import State

pytestmark = pytest.mark.acceptance

SIDE = 1200
MIB = 1 << 20


def test_too_little_room_for_a_map_is_told_and_costs_nothing(disk: Disk, tmp_path: Path) -> None:
    """The real engine; then there is room, and the same worker makes the map."""
    host = WorkerHost(disk.path / "data", None, RUNNER)
    try:
        add_model(tmp_path / "models")
        for role, bands, dtype in (("ortho", 3, "uint8"), ("height", 1, "float32")):
            host.upload(role, raster(tmp_path / role, bands, dtype), SIDE, SIDE)
        worker = host.start_worker(models_dir=tmp_path / "models", part_pixels=0)
        disk.resize(disk.used() + 2 * MIB)  # a map of this size takes up to 3.4
        failed = host.finished(host.submit("tiny", ortho="ortho", height="height"))
        assert (failed.state, failed.attempts) == (State.FAILED, 3)
        assert failed.error is not None
        assert failed.error["code"] == "output.disk_full"
        until(lambda: not any((host.storage.root / "jobs").rglob("*.tif*")), 10)

        disk.resize(64 * MIB)
        folder = host.result(host.submit("tiny", ortho="ortho", height="height"))
        with rasterio.open(folder / "classes.tif") as classes:
            assert classes.shape == (SIDE, SIDE)
        assert worker.is_running()
    finally:
        host.close()


def test_a_disk_that_is_full_below_the_database_loses_no_job(disk: Disk) -> None:
    """A stub for an engine; not one byte can be written for some seconds in the middle of a job."""
    host = WorkerHost(disk.path / "data", None)
    try:
        worker = host.start_worker()
        job_id = host.submit()
        host.half_way(job_id)
        waiting = host.submit()
        disk.resize(disk.used() // 4096 * 4096)
        assert is_full(disk)
        until(lambda: time.time() - host.job(job_id).updated > 2, 20)  # several heartbeats missed
        disk.resize(64 * MIB)
        for each in (job_id, waiting):
            host.check_result(each)
        assert worker.is_running()
    finally:
        host.close()


def is_full(disk: Disk) -> bool:
    try:
        (disk.path / "probe").write_bytes(bytes(64 * 1024))
    except OSError:
        return True
    finally:
        (disk.path / "probe").unlink(missing_ok=True)
    return False


def add_model(folder: Path) -> None:
    torch.manual_seed(0)
    encoder = EncoderConfig(
        embed_dim=32, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=8, grid=16
    )
    folder.mkdir()
    config = ModelConfig(encoder=encoder, window_px=160, decode_channels=16)
    save(MFNet(config), folder / "tiny.safetensors")


def raster(path: Path, bands: int, dtype: str) -> bytes:
    values = np.random.default_rng(0).integers(1, 25, (bands, SIDE, SIDE)).astype(dtype)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        compress="deflate",
        count=bands,
        height=SIDE,
        width=SIDE,
        dtype=dtype,
        crs="EPSG:25832",
        transform=from_origin(5e5, 5.7e6, 0.5, 0.5),
    ) as file:
        file.write(values)
    return path.read_bytes()
