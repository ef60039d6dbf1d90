"""What deploy/, the Dockerfile and docker-compose.yml promise, where no Docker engine is needed.

The live part runs the very commands of docker-compose.yml by hand, as processes on loopback: Redis,
PostgreSQL, the API, a worker, and nginx in front.
"""

import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PASSWORDS = {"POSTGRES_PASSWORD": "pg-secret-1", "REDIS_PASSWORD": "redis-secret-2"}
PATIENCE_S = 60
BIN = Path(sys.executable).parent


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """Compose's substitution in one value: ${NAME:?message}, ${NAME:-default} and $$."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        found = environment.get(match["name"], "")
        if not found and match["kind"] == ":?":
            raise KeyError(f"{match['name']}: {match['rest']}")
        return found or match["rest"]

    pattern = r"(?P<escaped>\$\$)|\$\{(?P<name>\w+)(?P<kind>:\?|:-)(?P<rest>[^}]*)\}"
    return re.sub(pattern, value, text)


def interpolated(node: Any, environment: Mapping[str, str]) -> Any:
    """A parsed compose file with all its variables filled in."""
    if isinstance(node, dict):
        return {key: interpolated(value, environment) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolated(value, environment) for value in node]
    return interpolate(node, environment) if isinstance(node, str) else node


def parsed() -> dict[str, Any]:
    compose: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return compose


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    filled: dict[str, Any] = interpolated(parsed(), PASSWORDS)["services"]
    return filled


# ---- the files ------------------------------------------------------------------------------


def test_compose_holds_the_five_services_each_restarted_and_watched(
    services: dict[str, Any],
) -> None:
    assert set(services) == {"proxy", "api", "worker", "redis", "postgres"}
    for name, service in services.items():
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        assert service["deploy"]["resources"]["limits"], name


def test_only_the_proxy_is_reachable_from_outside(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert parsed()["networks"]["back"] == {"internal": True}
    assert all(s["networks"] == ["back"] for n, s in services.items() if n != "proxy")


@pytest.mark.parametrize("name", PASSWORDS)
def test_compose_refuses_to_start_without_a_password(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        interpolated(parsed(), {**PASSWORDS, name: ""})


def test_state_lies_on_volumes(services: dict[str, Any]) -> None:
    assert "data:/data" in services["api"]["volumes"]
    assert "data:/data" in services["worker"]["volumes"]
    assert services["redis"]["volumes"] == ["redis:/data"]
    assert services["postgres"]["volumes"] == ["postgres:/var/lib/postgresql/data"]
    assert set(parsed()["volumes"]) == {"data", "redis", "postgres"}


def test_redis_keeps_what_it_accepted(services: dict[str, Any]) -> None:
    command = services["redis"]["command"][-1]
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


@pytest.mark.parametrize("target", ["api", "worker"])
def test_image_runs_unprivileged_what_compose_runs(target: str, services: dict[str, Any]) -> None:
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    (stage,) = [s for s in stages if s.startswith(f"runtime AS {target}\n")]
    (runtime,) = [s for s in stages if re.match(r"\S+ AS runtime\n", s)]
    command = json.loads(re.findall(r"^CMD (\[.*\])", stage, re.MULTILINE)[-1])
    assert command == services[target]["command"]
    assert re.search(r"^USER mfnet$", runtime, re.MULTILINE)
    assert "USER root" not in stage
    assert services[target]["build"]["target"] == target


def test_image_gets_only_dependencies_with_known_hashes() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes -r requirements.lock" in dockerfile
    assert "--no-deps --no-build-isolation ." in dockerfile


def test_gpu_overlay_gives_the_worker_a_device() -> None:
    overlay = yaml.safe_load((ROOT / "deploy/compose.gpu.yml").read_text())
    assert set(overlay["services"]) == {"worker"}
    (device,) = overlay["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


@pytest.mark.parametrize("overlay", [None, "deploy/compose.gpu.yml"])
def test_docker_accepts_the_compose_file(overlay: str | None) -> None:
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("no docker compose plugin here; the file is checked by the other tests alone")
    files = ["-f", "docker-compose.yml", *(["-f", overlay] if overlay else [])]
    done = subprocess.run(
        [docker, "compose", *files, "config", "--quiet"],
        cwd=ROOT,
        env={**os.environ, **PASSWORDS},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


# ---- the commands, run by hand --------------------------------------------------------------


def program(name: str) -> str:
    """The path of a server program, or a skip that says which is missing."""
    places = [os.environ.get("PATH", ""), "/usr/sbin"]
    places += map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        pytest.skip(f"{name} is not installed here (deploy/install-test-servers.sh installs it)")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], what: str) -> None:
    """Polls until the condition holds; fails after a bounded time."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.1)
    pytest.fail(f"{what} did not happen within {PATIENCE_S} s")


@contextmanager
def running(command: Sequence[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is told to end, and made to, when the block is left."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def status(url: str, *, method: str = "GET", key: str = "", body: bytes | None = None) -> int:
    """The HTTP status of one request; 0 where nobody answers."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


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
        until(lambda: redis_says(port, PASSWORDS["REDIS_PASSWORD"]) == "PONG", "Redis starting")
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
            "PostgreSQL starting",
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
            "the API starting",
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
        until(lambda: status(f"{url}/health/live") == 200, "nginx starting")
        yield url


@pytest.fixture(scope="module")
def key(api: str, environment: dict[str, str]) -> str:
    """A user's key, made as docs/deploy.md says."""
    command = [str(BIN / "mfnet"), "keys", "create", "--role", "user"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.split()[-1]


@pytest.mark.acceptance
def test_redis_turns_away_whoever_has_no_password(redis_port: int) -> None:
    assert redis_says(redis_port, "") != "PONG"
    assert redis_says(redis_port, "wrong") != "PONG"


@pytest.mark.acceptance
def test_api_runs_on_redis_and_postgres(api: str) -> None:
    assert status(f"{api}/health/live") == 200
    assert status(f"{api}/health/ready") == 200


@pytest.mark.acceptance
def test_worker_runs_on_redis_and_postgres_and_ends_when_told(
    services: dict[str, Any], environment: dict[str, str], folder: Path
) -> None:
    command = [str(BIN / services["worker"]["command"][0]), *services["worker"]["command"][1:]]
    log = folder / "worker.log"
    with running(command, log, env=environment) as process:
        until(lambda: process.poll() is not None or " ready" in log.read_text(), "the worker")
        assert process.poll() is None, log.read_text()
        check = services["worker"]["healthcheck"]["test"]
        subprocess.run([str(BIN / check[1]), *check[2:]], env=environment, check=True)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0, log.read_text()


@pytest.mark.acceptance
def test_proxy_passes_requests_on(proxy: str, key: str) -> None:
    assert status(f"{proxy}/jobs") == 401
    assert status(f"{proxy}/jobs", key=key) == 200


@pytest.mark.acceptance
def test_proxy_refuses_large_bodies_but_uploads(proxy: str, key: str) -> None:
    body = bytes(2 * 2**20)
    url = f"{proxy}/processes/segment/execution"
    assert status(url, method="POST", key=key, body=body) == 413
    # Two million zeros are no GeoTIFF: the API has read and judged them, not the proxy.
    assert status(f"{proxy}/uploads/zeros.tif", method="PUT", key=key, body=body) not in (0, 413)


@pytest.mark.acceptance
def test_proxy_hangs_up_on_senders_that_stall(proxy: str) -> None:
    host, port = proxy.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\nX-Slow")
        # Nothing or a reset within PATIENCE_S, or this raises; uvicorn alone would wait for ever.
        with suppress(ConnectionResetError):
            assert connection.recv(4096) == b""


@pytest.mark.acceptance
def test_wheel_holds_what_an_image_needs_beside_code(tmp_path: Path) -> None:
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), "."]
    source = tmp_path / "source"
    shutil.copytree(
        ROOT, source, ignore=shutil.ignore_patterns(".*", "demo", "runs", "data", "tests")
    )
    subprocess.run([sys.executable, "-m", "pip", *build], cwd=source, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for pattern in (
        "model/weights/*.safetensors",
        "training/recipes/*.toml",
        "service/migrations/**/*.py",
    ):
        wanted = {path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern)}
        assert wanted <= names, pattern
    assert "service/settings.py" in names
