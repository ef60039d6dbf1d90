"""The Kubernetes manifests against Kubernetes' schemas, and against the program itself."""

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from deployment.compose import ROOT
from deployment.compose import services as services_of_compose
from deployment.kubernetes import Resource, overlay, pods

from mfnet.service.app import create_app
from mfnet.service.cli.main import app as command_line
from mfnet.service.settings import Settings

OVERLAYS = ("cpu", "gpu", "s3")
KUBERNETES = "1.31"  # the oldest that is still cared for somewhere
NOT_OURS = {"DATABASE_URL", "REDIS_URL", "FORWARDED_ALLOW_IPS", "MFNET_SECRETS_DIR"}


@pytest.fixture(scope="module", params=OVERLAYS)
def resources(request: pytest.FixtureRequest) -> list[Resource]:
    return overlay(request.param)


def of_kind(resources: list[Resource], kind: str) -> dict[str, Resource]:
    return {each["metadata"]["name"]: each for each in resources if each["kind"] == kind}


def containers(resources: list[Resource]) -> dict[str, Resource]:
    return {name: pod["spec"]["containers"][0] for name, pod in pods(resources).items()}


def test_kubernetes_accepts_every_resource(resources: list[Resource]) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    checked = 0
    for resource in resources:
        if not resource["apiVersion"].startswith("keda.sh/"):
            kubernetes_validate.validate(resource, KUBERNETES, strict=True)
            checked += 1
    assert checked >= 13


def test_every_command_is_one_of_the_program(resources: list[Resource]) -> None:
    for name, container in containers(resources).items():
        program, *arguments = container["command"]
        assert program == "mfnet", name
        command: Any = typer.main.get_command(command_line)
        while isinstance(command, click.Group):
            first, *arguments = arguments
            command = command.commands[first]
        command.make_context(name, list(arguments))  # refuses options that it does not have


def test_pods_run_what_compose_runs(resources: list[Resource]) -> None:
    services = services_of_compose()
    for name, container in containers(resources).items():
        if name != "mfnet-migrate":
            assert container["command"] == services[name.removeprefix("mfnet-")]["command"]
    images = {service["image"] for service in services.values() if "build" in service}
    used = {c["image"].rpartition("/")[2].partition(":")[0] for c in containers(resources).values()}
    assert used <= images


def test_every_environment_name_is_a_setting(resources: list[Resource]) -> None:
    (settings,) = of_kind(resources, "ConfigMap").values()
    for name in settings["data"]:
        field = name.removeprefix("MFNET_").lower()
        assert name in NOT_OURS or field in Settings.model_fields, name
    for name, container in containers(resources).items():
        assert container["envFrom"] == [{"configMapRef": {"name": "mfnet"}}], name
        assert "env" not in container, name
    assert settings["data"]["MFNET_DATA_DIR"] == "/data"


def test_secrets_are_referred_to_and_never_written_down(resources: list[Resource]) -> None:
    assert not of_kind(resources, "Secret")
    (settings,) = of_kind(resources, "ConfigMap").values()
    for name, pod in pods(resources).items():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert volumes["secrets"]["secret"] == {"secretName": "mfnet"}, name
        mounts = {m["name"]: m for m in pod["spec"]["containers"][0]["volumeMounts"]}
        assert mounts["secrets"]["mountPath"] == settings["data"]["MFNET_SECRETS_DIR"]
        assert mounts["secrets"]["readOnly"] is True
        assert set(mounts) == set(volumes)
    told = (ROOT / "deploy/kubernetes/base/settings.yaml").read_text()
    keys = set(re.findall(r"--from-literal=(\w+)=", told))
    assert {key.removeprefix("mfnet_") for key in keys} <= set(Settings.model_fields)
    (login,) = of_kind(resources, "TriggerAuthentication").values()
    assert {ref["key"] for ref in login["spec"]["secretTargetRef"]} <= keys


def test_every_pod_is_fenced(resources: list[Resource]) -> None:
    user = int(re.findall(r"useradd --uid (\d+)", (ROOT / "Dockerfile").read_text())[0])
    for name, pod in pods(resources).items():
        fence = pod["spec"]["securityContext"]
        assert (fence["runAsNonRoot"], fence["runAsUser"]) == (True, user), name
        assert fence["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in pod["spec"]["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"]["cpu"]


def test_probes_ask_what_the_api_answers_on_its_port(
    resources: list[Resource], tmp_path: Path
) -> None:
    api = containers(resources)["mfnet-api"]
    port = int(api["command"][api["command"].index("--port") + 1])
    assert api["ports"] == [{"name": "http", "containerPort": port}]
    paths = create_app(Settings(data_dir=tmp_path)).openapi()["paths"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert api[probe]["httpGet"]["port"] == "http"
        assert api[probe]["httpGet"]["path"] in paths
    (service,) = of_kind(resources, "Service").values()
    assert [p["targetPort"] for p in service["spec"]["ports"]] == ["http"]
    (ingress,) = of_kind(resources, "Ingress").values()
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"]["name"] == service["metadata"]["name"]
    reached = of_kind(resources, "NetworkPolicy")["mfnet-api"]["spec"]["ingress"]
    assert [p["port"] for rule in reached for p in rule["ports"]] == [port]


def test_selectors_find_pods_and_claims_volumes(resources: list[Resource]) -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(resources).items()}

    def chosen(selector: dict[str, Any]) -> set[str]:
        wanted = selector["matchLabels"].items()
        return {name for name, own in labels.items() if wanted <= own.items()}

    for kind in ("Deployment", "PodDisruptionBudget"):
        for name, resource in of_kind(resources, kind).items():
            assert chosen(resource["spec"]["selector"]) == {name}
    policies = of_kind(resources, "NetworkPolicy")
    assert chosen(policies["mfnet-nothing"]["spec"]["podSelector"]) == set(labels)
    assert chosen(policies["mfnet-state"]["spec"]["podSelector"]) == set(labels)
    claims = of_kind(resources, "PersistentVolumeClaim")
    for pod in pods(resources).values():
        (volume,) = (each for each in pod["spec"]["volumes"] if each["name"] == "data")
        if not claims:  # a store keeps the files
            assert volume["emptyDir"] == {}
            continue
        claim = volume["persistentVolumeClaim"]["claimName"]
        assert claims[claim]["spec"]["accessModes"] == ["ReadWriteMany"]
    (scaled,) = of_kind(resources, "ScaledObject").values()
    assert scaled["spec"]["scaleTargetRef"]["name"] in of_kind(resources, "Deployment")


def test_a_worker_has_the_time_to_hand_its_job_back(resources: list[Resource]) -> None:
    for name in ("mfnet-worker", "mfnet-trainer"):
        grace = pods(resources)[name]["spec"]["terminationGracePeriodSeconds"]
        assert grace > Settings().grace_s


def test_state_is_where_the_settings_say(resources: list[Resource]) -> None:
    (settings,) = of_kind(resources, "ConfigMap").values()
    (scaled,) = of_kind(resources, "ScaledObject").values()
    (trigger,) = scaled["spec"]["triggers"]
    told = trigger["metadata"]
    address = f"postgresql://{told['userName']}@{told['host']}:{told['port']}/{told['dbName']}"
    assert settings["data"]["DATABASE_URL"] == address
    state = of_kind(resources, "NetworkPolicy")["mfnet-state"]["spec"]["egress"]
    ports = {port["port"] for rule in state for port in rule["ports"]}
    redis = int(settings["data"]["REDIS_URL"].rpartition(":")[2].partition("/")[0])
    assert ports == {int(told["port"]), redis, 53}
    assert json.loads(told["targetQueryValue"]) == 1


def test_only_a_worker_with_torch_is_given_a_gpu() -> None:
    gpus = {
        name: container["resources"]["limits"].get("nvidia.com/gpu")
        for name, container in containers(overlay("gpu")).items()
    }
    assert {name for name, count in gpus.items() if count == 1} == {"mfnet-worker", "mfnet-trainer"}
    worker = containers(overlay("gpu"))["mfnet-worker"]
    assert worker["image"].rpartition("/")[2].startswith("mfnet-trainer:")
    assert not any(
        "nvidia.com/gpu" in c["resources"]["limits"] for c in containers(overlay("cpu")).values()
    )
