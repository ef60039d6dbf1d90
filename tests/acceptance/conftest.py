"""Farms: workers on a Redis server of the test's own, or on the embedded broker."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from worker_host import Redis, WorkerHost


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis server, started."""
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server on this machine")
    folder = tmp_path / "redis"
    folder.mkdir()
    server = Redis(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def host(tmp_path: Path, redis: Redis) -> Iterator[WorkerHost]:
    """On Redis."""
    host = WorkerHost(tmp_path / "data", redis)
    yield host
    host.close()


@pytest.fixture(params=["redis", "file"])
def any_host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[WorkerHost]:
    """On Redis and on the embedded broker's file."""
    redis = request.getfixturevalue("redis") if request.param == "redis" else None
    host = WorkerHost(tmp_path / "data", redis)
    yield host
    host.close()
