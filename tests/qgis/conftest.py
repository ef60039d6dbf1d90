"""Tests with the system's QGIS; they skip, with the reason, where there is none."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import qgis_host

from mfnet.service.demo.server import serving


@pytest.fixture(autouse=True, scope="session")
def _qgis() -> None:
    if (reason := qgis_host.missing()) is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def service(_qgis: None) -> Iterator[httpx.Client]:
    """A real service on loopback, with its embedded queue and one worker."""
    with serving() as client:
        yield client


@pytest.fixture(scope="session")
def town(_qgis: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ortho.tif and ndsm.tif: 256 pixels of 0.125 m a side."""
    folder = tmp_path_factory.mktemp("town")
    command = [sys.executable, "-m", "mfnet.model.cli.main", "town", str(folder)]
    subprocess.run([*command, "--size", "256", "--seed", "5"], check=True, capture_output=True)
    return folder
