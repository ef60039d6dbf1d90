"""docker-compose.yml with its variables filled in, without Docker."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
PASSWORDS = {"postgres_password": "pg secret/1", "redis_password": "redis secret@2"}
"""What the tests put into files in place of deploy/secrets.sh."""


def services(path: str = "docker-compose.yml", **environment: str) -> dict[str, Any]:
    """The services of a compose file by name, with what is not given at its default."""
    filled: dict[str, Any] = interpolated(parsed(path), environment)["services"]
    return filled


def put_secrets(service: Mapping[str, Any], folder: Path) -> None:
    """Fill a folder as Docker fills `/run/secrets` of a service's container."""
    for given in service.get("secrets", []):
        long = given if isinstance(given, dict) else {"source": given, "target": given}
        (folder / long["target"]).write_text(PASSWORDS[long["source"]])


def interpolated(node: Any, environment: Mapping[str, str]) -> Any:
    """A parsed compose file with all its variables filled in."""
    if isinstance(node, dict):
        return {key: interpolated(value, environment) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolated(value, environment) for value in node]
    return _interpolate(node, environment) if isinstance(node, str) else node


def parsed(path: str = "docker-compose.yml") -> dict[str, Any]:
    compose: dict[str, Any] = yaml.safe_load((ROOT / path).read_text())
    return compose


def _interpolate(text: str, environment: Mapping[str, str]) -> str:
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
