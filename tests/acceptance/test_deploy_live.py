"""The very commands of docker-compose.yml, run by hand as processes on loopback.

Redis, PostgreSQL, the API, a worker, and nginx in front: what a machine without a Docker engine can
tell of a deployment.
"""

import os
import pwd
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from deployment.compose import PASSWORDS, ROOT
from deployment.compose import services as services_of_compose
from deployment.processes import PATIENCE_S, free_port, program, running, status
from waiting import until

# Its servers are started once for all of its tests.
pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("deploy_live")]

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return services_of_compose()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that servers under another user may enter, which pytest's own forbid to root's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def redis_port(services: dict[str, Any], folder: Path) -> Iterator[int]:
    program("redis-server")
    port, data = free_port(), folder / "redis"
    data.mkdir()
    shell, flag, line = services["redis"]["command"]
    command = [shell, flag, f"{line} --bind 127.0.0.1 --port {port} --dir {data}"]
    environment = {**os.environ, **services["redis"]["environment"]}
    with running(command, folder / "redis.log", env=environment):
        password = PASSWORDS["REDIS_PASSWORD"]
        until(lambda: redis_says(port, password) == "PONG", what="Redis starting")
        yield port


def redis_says(port: int, password: str) -> str:
    """What compose's own health check prints, asked of this port."""
    done = subprocess.run(
        [program("redis-cli"), "-p", str(port), "ping"],
        env={**os.environ, "REDISCLI_AUTH": password},
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def postgres_port(services: dict[str, Any], folder: Path) -> Iterator[int]:
    initdb, server, createdb = map(program, ("initdb", "postgres", "createdb"))
    environment = {**os.environ, **services["postgres"]["environment"]}
    user, port, data = environment["POSTGRES_USER"], free_port(), folder / "postgres"
    data.mkdir()
    password = folder / "password"
    password.write_text(environment["POSTGRES_PASSWORD"])
    account: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        entry = pwd.getpwnam("postgres")
        account = {"user": entry.pw_uid, "group": entry.pw_gid}
        for path in (data, password):
            os.chown(path, entry.pw_uid, entry.pw_gid)
    create = [initdb, "-D", data, "-U", user, "-A", "scram-sha-256", "--pwfile", password]
    subprocess.run(create, check=True, stdout=subprocess.DEVNULL, cwd=data, **account)
    serve = [server, "-D", data, "-p", str(port), "-k", data, "-h", "127.0.0.1", "-F"]
    with running([str(part) for part in serve], folder / "postgres.log", cwd=data, **account):
        address = ["-h", "127.0.0.1", "-p", str(port), "-U", user]
        secret = {**os.environ, "PGPASSWORD": environment["POSTGRES_PASSWORD"]}
        until(
            lambda: (
                not subprocess.run(
                    [createdb, *address, environment["POSTGRES_DB"]],
                    env=secret,
                    capture_output=True,
                ).returncode
            ),
            what="PostgreSQL starting",
        )
        yield port


@pytest.fixture(scope="module")
def environment(
    services: dict[str, Any], redis_port: int, postgres_port: int, folder: Path
) -> dict[str, str]:
    """The API's and the worker's environment, with the service names turned into addresses."""
    assert services["api"]["environment"] == services["worker"]["environment"]
    given = {key: value for key, value in os.environ.items() if not key.startswith("MFNET_")}
    given |= services["api"]["environment"]
    given["MFNET_DATA_DIR"] = str(folder / "data")
    given["REDIS_URL"] = given["REDIS_URL"].replace("@redis:6379", f"@127.0.0.1:{redis_port}")
    given["DATABASE_URL"] = given["DATABASE_URL"].replace(
        "@postgres:5432", f"@127.0.0.1:{postgres_port}"
    )
    given["PATH"] = os.pathsep.join([str(BIN), given["PATH"]])
    return given


@pytest.fixture(scope="module")
def api(services: dict[str, Any], environment: dict[str, str], folder: Path) -> Iterator[str]:
    port = str(free_port())
    command = [port if part == "8000" else part for part in services["api"]["command"]]
    command = ["127.0.0.1" if part == "0.0.0.0" else part for part in command]
    command[0] = str(BIN / command[0])
    with running(command, folder / "api.log", env=environment) as process:
        url = f"http://127.0.0.1:{port}"
        until(
            lambda: process.poll() is not None or status(f"{url}/health/live") == 200,
            what="the API starting",
        )
        assert process.poll() is None, (folder / "api.log").read_text()
        yield url


@pytest.fixture(scope="module")
def proxy(api: str, folder: Path) -> Iterator[str]:
    nginx, port = program("nginx"), free_port()
    config = (ROOT / "deploy/nginx.conf").read_text()
    for ours, here in {
        "listen 8080;": f"listen 127.0.0.1:{port};",
        "http://api:8000": api,
        "/tmp/": f"{folder}/",
        "client_header_timeout 10s;": "client_header_timeout 1s;",
    }.items():
        assert ours in config
        config = config.replace(ours, here)
    account = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(f"{account}{config}")
    command = [nginx, "-c", str(folder / "nginx.conf"), "-g", "daemon off;", "-e", "stderr"]
    with running(command, folder / "nginx.log"):
        url = f"http://127.0.0.1:{port}"
        until(lambda: status(f"{url}/health/live") == 200, what="nginx starting")
        yield url


@pytest.fixture(scope="module")
def key(api: str, environment: dict[str, str]) -> str:
    """A user's key, made as docs/how-to/deploy.md says."""
    command = [str(BIN / "mfnet"), "keys", "create", "--role", "user"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.split()[-1]


def test_redis_turns_away_whoever_has_no_password(redis_port: int) -> None:
    assert redis_says(redis_port, "") != "PONG"
    assert redis_says(redis_port, "wrong") != "PONG"


def test_api_runs_on_redis_and_postgres(api: str) -> None:
    assert status(f"{api}/health/live") == 200
    assert status(f"{api}/health/ready") == 200


def test_worker_runs_on_redis_and_postgres_and_ends_when_told(
    services: dict[str, Any], environment: dict[str, str], folder: Path
) -> None:
    command = [str(BIN / services["worker"]["command"][0]), *services["worker"]["command"][1:]]
    log = folder / "worker.log"
    with running(command, log, env=environment) as process:
        until(lambda: process.poll() is not None or " ready" in log.read_text(), what="the worker")
        assert process.poll() is None, log.read_text()
        check = services["worker"]["healthcheck"]["test"]
        subprocess.run([str(BIN / check[1]), *check[2:]], env=environment, check=True)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0, log.read_text()


def test_proxy_passes_requests_on(proxy: str, key: str) -> None:
    assert status(f"{proxy}/jobs") == 401
    assert status(f"{proxy}/jobs", key=key) == 200


def test_proxy_refuses_large_bodies_but_uploads(proxy: str, key: str) -> None:
    body = bytes(2 * 2**20)
    url = f"{proxy}/processes/segment/execution"
    assert status(url, method="POST", key=key, body=body) == 413
    # Two million zeros are no GeoTIFF: the API has read and judged them, not the proxy.
    assert status(f"{proxy}/uploads/zeros.tif", method="PUT", key=key, body=body) not in (0, 413)


def test_proxy_hangs_up_on_senders_that_stall(proxy: str) -> None:
    host, port = proxy.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\nX-Slow")
        # Nothing or a reset within PATIENCE_S, or this raises; uvicorn alone would wait for ever.
        with suppress(ConnectionResetError):
            assert connection.recv(4096) == b""
