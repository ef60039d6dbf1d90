"""The five commands of docs/how-to/call-the-service.md, and the README, against everything real."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "call-the-service.md"
START_S = 60
STORY_S = 500  # seconds on an idle machine; this one may be busy


def mfnet(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "mfnet.model.cli.main", *map(str, arguments)]


def story() -> str:
    """The commands, as printed."""
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.S)
    return commands


def test_the_story_has_five_commands():
    assert len(re.findall(r"\bcurl\b", story())) == 5


def test_the_readme_tells_the_same_story():
    assert story() in (ROOT / "README.md").read_text()


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server on this machine")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = ["--port", port, "--bind", "127.0.0.1", "--dir", tmp_path, "--save", ""]
    server = subprocess.Popen(["redis-server", *map(str, options)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + START_S
    while not _answers(port):
        assert server.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait(START_S)


@contextmanager
def service(environment: dict[str, str], log: Path) -> Iterator[str]:
    """API and worker, each a process; yields the address. All that they started must end."""
    serve = mfnet("serve", "--no-worker", "--port", 0, "--host", "127.0.0.1")
    with log.open("w") as file:
        api = psutil.Popen(serve, env=environment, stdout=subprocess.PIPE, stderr=file, text=True)
        worker = psutil.Popen(mfnet("worker"), env=environment, stdout=file, stderr=file)
    try:
        yield re.search(r"http://\S+", api.stdout.readline()).group()
        below = [child for process in (api, worker) for child in process.children(recursive=True)]
    finally:
        for process in (api, worker):
            process.send_signal(signal.SIGTERM)
        ends = [process.wait(START_S) for process in (api, worker)]
        api.stdout.close()
    assert ends == [0, 0]
    assert below, "an engine at least"
    assert psutil.wait_procs(below, 10)[1] == []


def test_five_commands_make_a_map(tmp_path: Path, redis_url: str):
    environment = {
        **os.environ,
        "REDIS_URL": redis_url,
        "MFNET_DATA_DIR": str(tmp_path / "data"),
        **dict.fromkeys(("DATABASE_URL", "MFNET_DATABASE_URL", "MFNET_REDIS_URL"), ""),
        "OMP_NUM_THREADS": "1",
    }
    subprocess.run(mfnet("town", tmp_path, "--size", 320, "--seed", 900_002), check=True)
    create = mfnet("keys", "create", "--role", "user")
    key = subprocess.run(create, env=environment, check=True, capture_output=True, text=True)
    log = tmp_path / "log"
    with service(environment, log) as url:
        told = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", story() + '\ncurl -sS -H "$AUTH" "$JOB"'],
            cwd=tmp_path,
            env={**environment, "URL": url, "KEY": key.stdout.strip()},
            timeout=STORY_S,
            capture_output=True,
            text=True,
        )
    assert told.returncode == 0, told.stderr + log.read_text()
    assert '"status":"successful"' in told.stdout.splitlines()[-1], log.read_text()
    _check_map(tmp_path / "classes.tif", tmp_path / "ortho.tif")


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _check_map(classes: Path, ortho: Path) -> None:
    with rasterio.open(classes) as mapped, rasterio.open(ortho) as photo:
        assert mapped.shape == photo.shape
        assert mapped.transform == photo.transform
        assert mapped.crs == photo.crs
        assert (mapped.dtypes, mapped.nodata) == (("uint8",), 255)
        assert mapped.read(1).max() < 6
    valid, faults, remarks = cog_validate(classes, strict=True)
    assert (valid, faults, remarks) == (True, [], [])
