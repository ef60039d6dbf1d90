"""Versions that the plugin and the service tell each other."""

import configparser
from pathlib import Path

from qgis.core import Qgis

OLDEST_SERVICE = (0, 1)
"""Services before it lack what the plugin asks for."""


def plugin_version() -> str:
    """As metadata.txt has it."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(Path(__file__).with_name("metadata.txt"), encoding="utf-8")
    return metadata["general"]["version"]


def client_header() -> str:
    """What every request says of who sends it."""
    return f"mfnet-qgis/{plugin_version()} QGIS/{Qgis.QGIS_VERSION.split('-')[0]}"


def is_too_old(service: str) -> bool:
    """Whether a service of this version, such as `0.1.0`, lacks what the plugin asks for."""
    numbers = tuple(int(part) for part in service.split(".")[:2] if part.isdigit())
    return numbers < OLDEST_SERVICE
