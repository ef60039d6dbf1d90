"""The Kubernetes manifests as `kubectl kustomize` would print them, as far as ours go."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from deployment.compose import ROOT

MANIFESTS = ROOT / "deploy/kubernetes"
Resource = dict[str, Any]


def overlay(name: str) -> list[Resource]:
    """All resources of an overlay."""
    return list(_built(MANIFESTS / name))


def pods(resources: list[Resource]) -> dict[str, Resource]:
    """What a pod of each deployment and job is, by the resource's name."""
    kinds = ("Deployment", "Job")
    return {
        each["metadata"]["name"]: each["spec"]["template"]
        for each in resources
        if each["kind"] in kinds
    }


def _built(folder: Path) -> Iterator[Resource]:
    plan = yaml.safe_load((folder / "kustomization.yaml").read_text())
    known = {"apiVersion", "kind", "namespace", "resources", "images", "patches"}
    assert set(plan) <= known, f"{set(plan) - known}: not understood here"
    for name in plan["resources"]:
        path = folder / name
        found = _built(path) if path.is_dir() else yaml.safe_load_all(path.read_text())
        for resource in found:
            each = copy.deepcopy(resource)
            if "namespace" in plan and each["kind"] != "Namespace":
                each["metadata"]["namespace"] = plan["namespace"]
            if _is_deleted(each, plan.get("patches", ())):
                continue
            _patch(each, plan.get("patches", ()))
            _name_images(each, {image["name"]: image for image in plan.get("images", ())})
            yield each


def _is_meant(resource: Resource, patch: Any) -> bool:
    target = patch["target"]
    named = re.fullmatch(target["name"], resource["metadata"]["name"])
    return resource["kind"] == target["kind"] and named is not None


def _is_deleted(resource: Resource, patches: Any) -> bool:
    return any(
        _is_meant(resource, patch) and "$patch: delete" in patch["patch"] for patch in patches
    )


def _patch(resource: Resource, patches: Any) -> None:
    for patch in patches:
        for change in yaml.safe_load(patch["patch"]) if _is_meant(resource, patch) else ():
            *way, last = (step.replace("~1", "/") for step in change["path"].split("/")[1:])
            node: Any = resource
            for step in way:
                node = node[int(step) if isinstance(node, list) else step]
            assert change["op"] in ("add", "replace"), change
            place = int(last) if isinstance(node, list) else last
            there = place < len(node) if isinstance(node, list) else place in node
            assert change["op"] == "add" or there, f"{change['path']} is not there"
            node[place] = change["value"]


def _name_images(resource: Resource, images: dict[str, Any]) -> None:
    for pod in pods([resource]).values():
        for container in pod["spec"]["containers"]:
            if (image := images.get(container["image"])) is not None:
                container["image"] = f"{image['newName']}:{image['newTag']}"
