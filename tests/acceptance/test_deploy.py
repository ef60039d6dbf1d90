"""What deploy/, the Dockerfile and docker-compose.yml promise, as far as reading them can tell."""

import importlib
import json
import os
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml
from deployment.compose import PASSWORDS, ROOT, interpolated, parsed
from deployment.compose import services as services_of_compose


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
    assert "--require-hashes -r requirements.lock" in dockerfile
    assert "--require-hashes -r requirements-train.lock" in dockerfile
    assert "--no-deps --no-build-isolation ." in dockerfile


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
