"""What deploy/, the Dockerfile and docker-compose.yml promise, as far as reading them can tell."""

import importlib
import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployment.compose import ROOT, parsed
from deployment.compose import services as services_of_compose

from mfnet.service.operations.inspection.file_inspection import _UNPACKED_BYTES_S
from mfnet.service.settings import Settings

OVERLAYS = [f"deploy/compose.{name}.yml" for name in ("gpu", "tls", "acme", "outbound")]
ACME = {"ACME_DOMAIN": "maps.example", "ACME_EMAIL": "a@maps.example"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return services_of_compose()


def test_compose_holds_the_six_services_each_restarted_and_watched(
    services: dict[str, Any],
) -> None:
    assert set(services) == {"proxy", "api", "worker", "trainer", "redis", "postgres"}
    for name, service in services.items():
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        assert service["deploy"]["resources"]["limits"], name


def test_only_the_proxy_is_reachable_from_outside(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert services["proxy"]["ports"] == ["127.0.0.1:8080:8080"]
    networks = parsed()["networks"]
    assert {name for name, network in networks.items() if network == {"internal": True}} == {
        *("web", "state")
    }
    assert [name for name, s in services.items() if "outside" in s["networks"]] == ["proxy"]
    reached = {n for n, s in services.items() if set(s["networks"]) & {"outside", "web"}}
    assert reached == {"proxy", "api"}, "the proxy reaches the API and nothing else"


@pytest.mark.parametrize("path", ["docker-compose.yml", "deploy/compose.acme.yml"])
def test_no_container_may_do_what_it_need_not(path: str) -> None:
    for name, service in services_of_compose(path, **ACME).items():
        if "image" not in service:
            continue  # an overlay's additions
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert set(service["deploy"]["resources"]["limits"]) == {"memory", "pids"}, name
        assert service["logging"]["options"]["max-size"], name


def test_each_service_is_given_its_own_secrets_alone_and_as_files(
    services: dict[str, Any],
) -> None:
    given = {name: service.get("secrets", []) for name, service in services.items()}
    assert (given.pop("proxy"), given.pop("redis")) == ([], ["redis_password"])
    assert given.pop("postgres") == ["postgres_password"]
    for name, secrets in given.items():
        for secret in secrets:
            field = secret["target"].removeprefix("mfnet_")
            assert field in Settings.model_fields, name
        assert {secret["source"] for secret in secrets} == set(parsed()["secrets"])
    assert not re.search(r"\$\{\w*PASSWORD", (ROOT / "docker-compose.yml").read_text())


def test_the_script_makes_secrets_once_and_takes_over_those_of_an_older_env(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    script = shutil.copy(ROOT / "deploy/secrets.sh", tmp_path / "deploy")
    (tmp_path / ".env").write_text("HTTP_PORT=81\nREDIS_PASSWORD=old\nPOSTGRES_PASSWORD=\n")
    for _ in range(2):
        subprocess.run([script], check=True, stdout=subprocess.DEVNULL)
    secrets = tmp_path / "secrets"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {path.name for path in secrets.iterdir()} == set(parsed()["secrets"])
    for name, secret in parsed()["secrets"].items():
        assert secret["file"] == f"./secrets/{name}"
        assert stat.S_IMODE((secrets / name).stat().st_mode) == 0o444
    assert (secrets / "redis_password").read_text() == "old"
    assert re.fullmatch("[0-9a-f]{48}", (secrets / "postgres_password").read_text())
    assert (tmp_path / ".env").read_text() == "HTTP_PORT=81\n"


def test_the_script_pins_every_image_of_others(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "bin").mkdir()
    script = shutil.copy(ROOT / "deploy/pin-images.sh", tmp_path / "deploy")
    docker = tmp_path / "bin" / "docker"
    docker.write_text(
        '#!/bin/sh\nfor last; do :; done\n[ "$1" = pull ] || echo "${last%:*}@sha256:abc"\n'
    )
    docker.chmod(0o755)
    path = os.pathsep.join([str(docker.parent), os.environ["PATH"]])
    for _ in range(2):
        subprocess.run(
            [script], check=True, env={"PATH": path}, stdout=subprocess.DEVNULL, cwd=tmp_path
        )
    pinned = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines())
    text = (ROOT / "docker-compose.yml").read_text()
    text += (ROOT / "deploy/compose.acme.yml").read_text()
    defaults = dict(re.findall(r"\$\{(\w+_IMAGE):-([^}]+)\}", text))
    assert pinned == {name: f"{image}@sha256:abc" for name, image in defaults.items()}
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"ARG PYTHON_IMAGE={defaults['PYTHON_IMAGE']}\n" in dockerfile
    images = set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE))
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", dockerfile, re.MULTILINE))
    assert images - stages == {"${PYTHON_IMAGE}"}


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


@pytest.mark.parametrize("target", ["api", "worker", "trainer"])
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
    assert "--require-hashes -r requirements-service.lock" in dockerfile
    assert "--require-hashes -r requirements-train.lock" in dockerfile
    assert "--no-deps --no-build-isolation ." in dockerfile


def test_image_copies_only_what_docker_is_given() -> None:
    given = (ROOT / ".dockerignore").read_text().splitlines()
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    names = [name for line in copied for name in line.split()]
    assert "requirements-train.lock" in names
    for name in names:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in given, f"{name} is kept from Docker by .dockerignore"


def test_images_hold_what_a_wheel_needs_and_prove_it_while_they_are_built() -> None:
    """rasterio's wheel needs libexpat, which the base image lacks."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"apt-get install .*\blibexpat1\b", dockerfile)
    imports = re.findall(r'^RUN /opt/mfnet/bin/python -c "import (.+)"', dockerfile, re.MULTILINE)
    modules = {name.strip() for line in imports for name in line.split(",")}
    assert {"rasterio", "openvino", "torch"} <= modules
    for module in modules:
        importlib.import_module(module)


def test_gpu_overlay_gives_the_worker_a_device() -> None:
    overlay = yaml.safe_load((ROOT / "deploy/compose.gpu.yml").read_text())
    assert set(overlay["services"]) == {"worker", "trainer"}
    assert overlay["services"]["trainer"] == overlay["services"]["worker"]
    (device,) = overlay["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_outbound_overlay_adds_to_the_apis_networks_a_way_out(services: dict[str, Any]) -> None:
    overlay = yaml.safe_load((ROOT / "deploy/compose.outbound.yml").read_text())
    ((name, api),) = overlay["services"].items()
    (added,) = set(api["networks"]) - set(services[name]["networks"])
    assert name == "api"
    assert not (parsed()["networks"][added] or {}).get("internal")


@pytest.mark.parametrize("overlay", [None, *OVERLAYS])
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
        env={**os.environ, **ACME},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("location", "looks"),
    [("/processes/", 2), ("/uploads/", 3), ("= /imports", 3), ("= /processes/batch/execution", 20)],
)
def test_the_proxy_waits_for_as_long_as_the_api_may_look(location: str, looks: int) -> None:
    """A place is waited for as long as a look takes; a zip is unpacked before it is looked at."""
    routes = (ROOT / "deploy/nginx/routes.conf").read_text()
    block = re.search(rf"^location {re.escape(location)} {{(.*?)^}}", routes, re.DOTALL | re.M)
    assert block is not None
    (waits,) = re.findall(r"proxy_read_timeout (\d+)s;", block[1])
    settings = Settings()
    unpacking = settings.upload_limit_bytes / _UNPACKED_BYTES_S if looks == 3 else 0
    assert int(waits) > looks * settings.inspect_seconds + unpacking
