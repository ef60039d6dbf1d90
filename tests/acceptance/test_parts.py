"""One raster, many workers: killed in the middle or not, the same bytes, and no part for nothing.

Real worker processes on a real Redis. Engines are stubs where somebody is killed, so that it is
known what the result must be and counted which parts were begun; and the real one, on a small
network, where the number of workers and the cuts change.
"""

import hashlib
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import rasterio
import torch
from engine_stub import ROWS
from rasterio.transform import from_origin
from worker_host import RUNNER, WIDTH, Redis, WorkerHost, engine_of, until

from mfnet.model.config import EncoderConfig, ModelConfig
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.checkpoint import save
from mfnet.model.weights.export_onnx import export_onnx
from mfnet.model.weights.file_hash import sha256_of

pytestmark = pytest.mark.acceptance

PARTS = 6
CUT = {"part_pixels": ROWS * WIDTH // PARTS}


def begun(host: WorkerHost) -> Counter[int]:
    """How often each part was begun, by its first row."""
    log = (host.storage.uploads / "u1.computed").read_text().splitlines()
    return Counter(int(line.split()[0]) for line in log)


def assert_begun_once_but(host: WorkerHost, lost: set[int]) -> None:
    """What a killed worker left in the middle is begun again, and nothing else."""
    counts = begun(host)
    assert counts == {first: 1 + (first in lost) for first in counts}


def finished(host: WorkerHost, job_id: str) -> set[int]:
    return {part.first_row for part in host.parts(job_id) if part.finished is not None}


def at_work(host: WorkerHost, job_id: str) -> dict[str, int]:
    """First rows of the parts that are in the middle, by their workers' process ids."""
    return {
        part.worker.rpartition(":")[2]: part.first_row
        for part in host.parts(job_id)
        if part.worker is not None and part.progress > 0
    }


def kill(host: WorkerHost, job_id: str, worker: psutil.Process) -> set[int]:
    """Kill a worker in the middle of a part: the part's first row, unless its file stands.

    A worker may die when its engine has written the part and before it says so to the database.
    """
    part, engine = part_of(host, job_id, worker), engine_of(worker)
    worker.kill()
    worker.wait(10)
    engine.wait(10)  # it ends itself, once nobody listens
    return {part} - written(host, job_id)


def written(host: WorkerHost, job_id: str) -> set[int]:
    """First rows of the parts whose files stand."""
    paths = host.storage.parts(job_id).glob("*/*")
    return {int(path.name) for path in paths if path.name.isdigit()}


def part_of(host: WorkerHost, job_id: str, worker: psutil.Process) -> int:
    """First row of the part that the worker is in the middle of, or comes to."""
    mine = str(worker.pid)
    rows = until(lambda: [row for pid, row in at_work(host, job_id).items() if pid == mine])
    return rows[0]


def two_at_work(host: WorkerHost) -> str:
    """A job that two workers are at, a part being finished already."""
    for _ in range(2):
        host.start_worker(**CUT)
    job_id = host.submit()
    until(lambda: finished(host, job_id) and len(at_work(host, job_id)) == 2)
    return job_id


def test_a_raster_in_parts_on_either_broker(any_host: WorkerHost) -> None:
    any_host.start_worker(**CUT)
    job_id = any_host.submit("quick")
    assert any_host.check_result(job_id).attempts == 0  # those that got on do not count
    assert begun(any_host) == dict.fromkeys(begun(any_host), 1)
    assert len(begun(any_host)) == PARTS


@pytest.mark.parametrize("who", ["leader", "helper"])
def test_kill_an_engine(host: WorkerHost, who: str) -> None:
    job_id = two_at_work(host)
    leader = host.job(job_id).worker
    (victim,) = (w for w in host.workers if (leader == name(w)) == (who == "leader"))
    part, engine = part_of(host, job_id, victim), engine_of(victim)
    engine.kill()
    engine.wait(10)
    lost = {part} - written(host, job_id)
    assert host.check_result(job_id).epoch == 1
    assert_begun_once_but(host, lost)


def test_kill_the_helper(host: WorkerHost) -> None:
    job_id = two_at_work(host)
    leader = host.job(job_id).worker
    (helper,) = (worker for worker in host.workers if name(worker) != leader)
    lost = kill(host, job_id, helper)
    assert host.check_result(job_id).epoch == 1
    assert_begun_once_but(host, lost)


def test_kill_the_leader_and_the_helper_leads(host: WorkerHost) -> None:
    job_id = two_at_work(host)
    (leader,) = (worker for worker in host.workers if name(worker) == host.job(job_id).worker)
    lost = kill(host, job_id, leader)
    assert host.check_result(job_id).epoch == 2
    assert_begun_once_but(host, lost)


def test_a_single_leader_that_is_killed_left_its_finished_parts(host: WorkerHost) -> None:
    leader = host.start_worker(**CUT)
    job_id = host.submit()
    until(lambda: len(finished(host, job_id)) == 2)
    until(lambda: at_work(host, job_id))
    lost = kill(host, job_id, leader)
    kept = finished(host, job_id)
    host.start_worker(**CUT)
    assert host.check_result(job_id).epoch == 2
    assert kept
    assert_begun_once_but(host, lost)


def test_a_sleeping_helper_is_replaced_and_does_no_harm(host: WorkerHost) -> None:
    job_id = two_at_work(host)
    leader = host.job(job_id).worker
    (helper,) = (worker for worker in host.workers if name(worker) != leader)
    helper.suspend()
    host.check_result(job_id)
    helper.resume()
    other = host.submit("quick")
    host.check_result(other)
    host.check_result(job_id)


def test_another_user_waits_for_two_of_a_thousand_jobs_at_most(host: WorkerHost) -> None:
    many = [host.submit("quick", notify=False) for _ in range(1000)]
    host.start_worker(part_pixels=0)
    for job_id in many[:20]:
        host.notifier.notify(job_id)
    until(lambda: host.job(many[3]).finished)
    another = host.submit("quick", owner=host.add_owner("another"))
    host.check_result(another)
    theirs = host.job(another)
    assert theirs.started is not None
    starts = [job.started for job in map(host.job, many[:200]) if job.started is not None]
    assert len([s for s in starts if theirs.created < s < theirs.started]) <= 2
    assert host.job(many[-1]).started is None


def test_another_users_job_is_done_before_a_large_raster(host: WorkerHost) -> None:
    host.start_worker(**CUT)
    large = host.submit()
    until(lambda: at_work(host, large))
    host.upload("small", b"pixels", 100, WIDTH)
    small = host.submit("quick", owner=host.add_owner("another"), ortho="small", height="small")
    done = host.finished(small)
    assert len(finished(host, large)) < PARTS - 1
    assert host.job(large).finished is None
    host.check_result(large)
    host.check_result(small)
    assert done.attempts == 1
    assert set(begun(host).values()) == {1}


@pytest.fixture
def real(tmp_path: Path, redis: Redis) -> Iterator[WorkerHost]:
    """With the real engine, a small network, exported as a service's are, and a tall raster."""
    host = WorkerHost(tmp_path / "data", redis, RUNNER)
    torch.manual_seed(0)
    encoder = EncoderConfig(
        embed_dim=32, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=8, grid=16
    )
    (tmp_path / "models").mkdir()
    config = ModelConfig(encoder=encoder, window_px=160, decode_channels=16)
    file, net = tmp_path / "models" / "tiny.safetensors", MFNet(config).eval()
    save(net, file)
    sha256 = sha256_of(file)
    export_onnx(net, file.with_suffix(".onnx"), source_sha256=sha256, simplify=False)
    random = np.random.default_rng(0)
    rasters = {
        "ortho": random.integers(1, 255, (3, 8192, 90), dtype=np.uint8),
        "height": 20 * random.random((1, 8192, 90), dtype=np.float32),
    }
    for role, values in rasters.items():
        path = tmp_path / f"{role}.tif"
        write(path, values)
        host.upload(role, path.read_bytes(), 8192, 90)
    yield host
    host.close()


def write(path: Path, values: np.ndarray) -> None:
    grid = {"crs": "EPSG:25832", "transform": from_origin(5e5, 5.7e6, 0.5, 0.5)}
    bands, height, width = values.shape
    shape = {"count": bands, "height": height, "width": width, "dtype": values.dtype}
    with rasterio.open(path, "w", driver="GTiff", compress="deflate", **shape, **grid) as raster:
        raster.write(values)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def name(worker: psutil.Popen) -> str:
    return f"{socket.gethostname()}:{worker.pid}"


@pytest.mark.timeout(900)
def test_workers_cuts_and_kills_change_no_byte(real: WorkerHost, tmp_path: Path) -> None:
    """Whole; 1, 2 and 4 workers with three sizes of parts; a leader killed in the middle."""
    job = {"ortho": "ortho", "height": "height", "stride": 128, "confidence": True}
    found = {}
    for workers, parts in [(1, 1), (1, 4), (2, 3), (4, 2)]:
        pixels = 8192 * 90 // parts if parts > 1 else 0
        settings = {"part_pixels": pixels, "models_dir": tmp_path / "models"}
        hired = [real.start_worker(**settings) for _ in range(workers)]
        job_id = real.submit("tiny", **job)
        found[workers, parts] = digests(real.result(job_id, 300))
        assert len(real.parts(job_id)) == (parts if parts > 1 else 0)
        for worker in hired:
            worker.terminate()
        for worker in hired:
            worker.wait(30)
    assert found == dict.fromkeys(found, found[1, 1])
    assert real.log.read_text().count("helping from row") > 0

    leader = real.start_worker(**settings | {"part_pixels": 8192 * 90 // 4})
    job_id = real.submit("tiny", **job)
    until(lambda: finished(real, job_id))
    leader.kill()
    leader.wait(10)
    kept = {part.first_row: part.finished for part in real.parts(job_id) if part.finished}
    real.start_worker(**settings)
    assert digests(real.result(job_id, 300)) == found[1, 1]
    after = {part.first_row: part.finished for part in real.parts(job_id)}
    assert len(after) == 4
    assert {row: when for row, when in after.items() if row in kept} == kept
