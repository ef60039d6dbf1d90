"""The very commands of docker-compose.yml, run by hand as processes on loopback.

Redis, PostgreSQL, the API, a worker, and nginx in front: what a machine without a Docker engine can
tell of a deployment.
"""

import os
import pwd
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from deployment.compose import PASSWORDS, ROOT, put_secrets
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


def secrets(services: dict[str, Any], name: str, folder: Path) -> Path:
    """What /run/secrets is in a container of this service."""
    path = folder / f"secrets-{name}"
    path.mkdir(exist_ok=True)
    put_secrets(services[name], path)
    return path


@pytest.fixture(scope="module")
def redis_port(services: dict[str, Any], folder: Path) -> Iterator[int]:
    program("redis-server")
    port, data = free_port(), folder / "redis"
    data.mkdir()
    shell, flag, script = services["redis"]["command"]
    ours = f"redis-server - --bind 127.0.0.1 --port {port} --dir {data} "
    script = script.replace("redis-server - ", ours)
    command = [shell, flag, script.replace("/run/secrets", str(secrets(services, "redis", folder)))]
    with running(command, folder / "redis.log"):
        password = PASSWORDS["redis_password"]
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
    environment = services["postgres"]["environment"]
    user, port, data = environment["POSTGRES_USER"], free_port(), folder / "postgres"
    data.mkdir()
    password = secrets(services, "postgres", folder) / "postgres_password"
    assert environment["POSTGRES_PASSWORD_FILE"] == "/run/secrets/postgres_password"
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
        secret = {**os.environ, "PGPASSWORD": PASSWORDS["postgres_password"]}
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
    given["MFNET_SECRETS_DIR"] = str(secrets(services, "api", folder))
    given["REDIS_URL"] = given["REDIS_URL"].replace("//redis:6379", f"//127.0.0.1:{redis_port}")
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
def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, beside its key."""
    tls = folder / "certificates"
    tls.mkdir()
    subject = ["-subj", "/CN=maps.example", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(tls / "privkey.pem"), "-out", str(tls / "fullchain.pem")]
    command = [program("openssl"), "req", "-x509", *key, *subject, *files, "-days", "1"]
    subprocess.run(command, check=True, capture_output=True)
    return tls / "fullchain.pem"


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """Ports of this machine in place of those of the proxy's container."""
    return {name: free_port() for name in ("8080", "8081", "8443")}


@pytest.fixture(scope="module")
def proxy(api: str, folder: Path, ports: dict[str, int], certificate: Path) -> Iterator[str]:
    """The address of the plain server, with the files of deploy/compose.tls.yml mounted."""
    nginx, etc = program("nginx"), folder / "nginx"
    replaced = {
        "nginx.conf": {
            "listen 8080;": f"listen 127.0.0.1:{ports['8080']};",
            "/tmp/": f"{folder}/",
            "client_header_timeout 10s;": "client_header_timeout 1s;",
        },
        "routes.conf": {"http://api:8000": api},
        "tls.conf": {
            "listen 8443 ssl;": f"listen 127.0.0.1:{ports['8443']} ssl;",
            "listen 8081;": f"listen 127.0.0.1:{ports['8081']};",
            "default /tls;": f"default {certificate.parent};",
            "root /challenges;": f"root {folder / 'challenges'};",
        },
    }
    (etc / "tls").mkdir(parents=True)
    for name, changes in replaced.items():
        config = (ROOT / "deploy/nginx" / name).read_text()
        for ours, here in changes.items():
            assert ours in config
            config = config.replace(ours, here)
        (etc / "tls" / name if name == "tls.conf" else etc / name).write_text(config)
    command = [nginx, "-c", str(etc / "nginx.conf"), "-e", "stderr"]
    account = "user root; " if os.geteuid() == 0 else ""
    with running([*command, "-g", f"{account}daemon off;"], folder / "nginx.log"):
        url = f"http://127.0.0.1:{ports['8080']}"
        until(lambda: status(f"{url}/health/live") == 200, what="nginx starting")
        yield url


@pytest.fixture(scope="module")
def public(
    proxy: str, ports: dict[str, int], certificate: Path
) -> Iterator[Callable[..., httpx.Response]]:
    """Asks the servers for everybody, as a client that knows the certificate."""
    context = ssl.create_default_context(cafile=str(certificate))
    with httpx.Client(verify=context, trust_env=False) as client:

        def ask(url: str, **options: Any) -> httpx.Response:
            for port, here in ports.items():
                url = url.replace(f":{port}", f":{here}")
            return client.get(url, **options)

        yield ask


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


def test_proxy_refuses_in_the_words_of_the_api(proxy: str, key: str) -> None:
    too_large = httpx.post(f"{proxy}/jobs", content=bytes(2 * 2**20), trust_env=False)
    long_header = httpx.get(f"{proxy}/jobs", headers={"X": "x" * 40_000}, trust_env=False)
    for reply, status_, code in (
        (too_large, 413, "request.too_large"),
        (long_header, 400, "http.400"),
    ):
        assert (reply.status_code, reply.json()["code"]) == (status_, code)
        assert reply.headers["content-type"] == "application/problem+json"
    from_the_api = httpx.get(f"{proxy}/jobs/nope", headers={"Authorization": f"Bearer {key}"})
    assert from_the_api.json()["code"] == "job.unknown"
    assert httpx.get(f"{proxy}/problem").json()["code"] == "route.unknown"


def test_proxy_hangs_up_on_senders_that_stall(proxy: str) -> None:
    host, port = proxy.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\nX-Slow")
        # Nothing or a reset within PATIENCE_S, or this raises; uvicorn alone would wait for ever.
        with suppress(ConnectionResetError):
            assert connection.recv(4096) == b""


def test_everybody_is_led_to_tls(public: Callable[..., httpx.Response], key: str) -> None:
    reply = public("https://127.0.0.1:8443/jobs", headers={"Authorization": f"Bearer {key}"})
    assert reply.status_code == 200
    assert reply.headers["strict-transport-security"] == "max-age=31536000"
    assert all(link["href"].startswith("https://") for link in reply.json()["links"])
    plain = public("http://127.0.0.1:8081/jobs?limit=3")
    assert (plain.status_code, plain.headers["location"]) == (308, "https://127.0.0.1/jobs?limit=3")
    mixed_up = public("http://127.0.0.1:8443/jobs")
    assert mixed_up.status_code == 308
    assert mixed_up.headers["location"].startswith("https://127.0.0.1:")


def test_old_tls_is_not_spoken(proxy: str, ports: dict[str, int], certificate: Path) -> None:
    context = ssl.create_default_context(cafile=str(certificate))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", ports["8443"]), timeout=PATIENCE_S) as connection,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(connection, server_hostname="127.0.0.1")


def test_a_renewed_certificate_is_in_use_at_once(
    public: Callable[..., httpx.Response], ports: dict[str, int], certificate: Path
) -> None:
    key, kept = certificate.with_name("privkey.pem"), certificate.read_bytes()
    subject = ["-subj", "/CN=renewed.example", "-days", "1"]
    command = [program("openssl"), "req", "-x509", "-key", str(key), *subject]
    try:
        subprocess.run([*command, "-out", str(certificate)], check=True, capture_output=True)
        shown = ssl.get_server_certificate(("127.0.0.1", ports["8443"]))
        assert shown == certificate.read_text()
    finally:
        certificate.write_bytes(kept)


def test_challenges_of_acme_are_answered_without_tls(
    public: Callable[..., httpx.Response], folder: Path
) -> None:
    challenges = folder / "challenges/.well-known/acme-challenge"
    challenges.mkdir(parents=True)
    (challenges / "token").write_text("answer")
    reply = public("http://127.0.0.1:8081/.well-known/acme-challenge/token")
    assert (reply.status_code, reply.text) == (200, "answer")
    assert reply.headers["content-type"] == "text/plain"


def test_who_asks_is_what_a_proxy_of_this_machine_says_and_never_what_the_client_says(
    proxy: str, public: Callable[..., httpx.Response], folder: Path
) -> None:
    forged = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "http"}
    links = public("https://127.0.0.1:8443/", headers=forged).json()["links"]
    assert all(link["href"].startswith("https://") for link in links)
    public("https://127.0.0.1:8443/health/live?by=tls", headers=forged)
    public("http://127.0.0.1:8080/health/live?by=proxy", headers=forged)
    log = (folder / "api.log").read_text()
    assert re.search(r'127\.0\.0\.1:0 - "GET /health/live\?by=tls', log)
    assert re.search(r'198\.51\.100\.7:0 - "GET /health/live\?by=proxy', log)
