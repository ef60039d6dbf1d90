"""What a second worker gains on one raster: one thread and one core each, the same bytes.

    python benchmarks/workers.py [--workers 1 2] [--towns 16] [--parts 8] [--model town-small]

The raster is one synthetic town of 1024 pixels, again and again from top to bottom. Workers are
real processes on a data folder of their own (SQLite, the embedded broker), with their models loaded
before the time is taken; the seconds are those between the job's start and its end in the database.
"""

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rasterio
from report import RESULTS, report

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Job
from mfnet.service.files.storage import Storage
from mfnet.service.queue import JobNotifier, make_celery
from mfnet.service.settings import Settings

SIDE = 1024


class Service:
    """A data folder with two pairs: a tall one, and a small one to wake workers with."""

    def __init__(self, folder: Path, towns: int) -> None:
        self.settings = Settings(data_dir=folder, database_url=None, redis_url=None)
        self.storage = Storage(folder)
        self.database = Database(self.settings.database)
        self.database.upgrade()
        self._notifier = JobNotifier(make_celery(self.settings))
        with self.database.writing() as session:
            self._owner = KeyRepository(session).create("benchmark", "user")[0].id
        town = folder / "town"
        command = [
            sys.executable,
            "-m",
            "mfnet.model.cli.main",
            "town",
            str(town),
            "--size",
            str(SIDE),
        ]
        subprocess.run(command, check=True)
        for name, count in (("tall", towns), ("small", 1)):
            self._upload(name, town, count)

    def submit(self, name: str, model: str) -> str:
        """A job on a pair."""
        inputs = {"ortho": f"{name}-ortho", "height": f"{name}-ndsm", "model": model}
        with self.database.writing() as session:
            job_id = JobRepository(session).submit(self._owner, "segment", inputs)[0].id
        self._notifier.notify(job_id)
        return job_id

    def finished(self, job_id: str) -> Job:
        """The job, once it has come to its end."""
        until(lambda: self._job(job_id).finished is not None)
        job = self._job(job_id)
        assert job.error is None, job.error
        return job

    def _job(self, job_id: str) -> Job:
        with self.database.reading() as session:
            job = JobRepository(session).get(job_id)
        assert job is not None
        return job

    def _upload(self, name: str, town: Path, towns: int) -> None:
        for role in ("ortho", "ndsm"):
            upload = f"{name}-{role}"
            height, width = repeat(town / f"{role}.tif", towns, self.storage.upload(upload))
            report = {"raster": {"height": height, "width": width}}
            with self.database.writing() as session:
                UploadRepository(session).add(
                    upload, self._owner, f"{role}.tif", size=0, sha256="", report=report
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--towns", type=int, default=16, help="height of the raster, 1024 pixels")
    parser.add_argument("--parts", type=int, default=8, help="of 2,048 rows at least")
    parser.add_argument("--model", default="town-small")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder), args.towns)
        part_pixels = -(-args.towns * SIDE * SIDE // args.parts)
        runs: dict[int, list[dict[str, Any]]] = {count: [] for count in args.workers}
        for _ in range(args.repeat):
            for count, results in runs.items():
                results.append(measure(service, count, part_pixels, args.model))
    digests = {result["sha256"] for results in runs.values() for result in results}
    assert len(digests) == 1, f"the results differ: {digests}"
    seconds = {n: statistics.median(run["s"] for run in results) for n, results in runs.items()}
    first = seconds[args.workers[0]]
    rows = [{"workers": n, "s": s, "times faster": first / s} for n, s in seconds.items()]
    names = ("towns", "parts", "model", "repeat")
    report("workers", rows, conditions={name: getattr(args, name) for name in names}, out=args.out)


def measure(service: Service, count: int, part_pixels: int, model: str) -> dict[str, Any]:
    """One job on so many workers: its seconds, and the map's digest."""
    cores = sorted(os.sched_getaffinity(0))
    workers = [hire(service, cores[n % len(cores)], part_pixels) for n in range(count)]
    try:
        until(lambda: all_awake(service, workers, model))
        job = service.finished(service.submit("tall", model))
        assert job.started is not None
        assert job.finished is not None
        assert job.result_epoch is not None
        classes = service.storage.folder(job.id, job.result_epoch) / "classes.tif"
        digest = hashlib.sha256(classes.read_bytes()).hexdigest()
        return {"s": job.finished - job.started, "sha256": digest}
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(60)


def hire(service: Service, core: int, part_pixels: int) -> psutil.Popen:
    """A worker on one core, and so its engine, with one thread."""
    worker = psutil.Popen(
        [
            sys.executable,
            "-m",
            "mfnet.service.cli.main",
            "worker",
            "--data-dir",
            service.settings.data_dir,
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", "MFNET_PART_PIXELS": str(part_pixels)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    worker.cpu_affinity([core])
    return worker


def all_awake(service: Service, workers: list[psutil.Popen], model: str) -> bool:
    """Whether each worker's engine has loaded the model, after one more small job a worker."""
    for job_id in [service.submit("small", model) for _ in workers]:
        service.finished(job_id)
    return all(worker.children() for worker in workers)


def until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.1)


def repeat(source: Path, times: int, target: Path) -> tuple[int, int]:
    """A raster again and again from top to bottom; the height and width of what was written."""
    with rasterio.open(source) as raster:
        profile = raster.profile | {"height": raster.height * times}
        with rasterio.open(target, "w", **profile) as tall:
            tall.write(np.tile(raster.read(), (1, times, 1)))
    return profile["height"], profile["width"]


if __name__ == "__main__":
    main()
