"""A real service and a real browser; they skip, with the reason, where there is none.

They end with the module: while Playwright runs, no other test of the process may start an event
loop.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import browser
import httpx
import pytest
import rasterio
import rasterio.windows

from mfnet.service.demo.server import serving


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The service's."""
    return tmp_path_factory.mktemp("service") / "data"


@pytest.fixture(scope="module")
def service(data_dir: Path) -> Iterator[httpx.Client]:
    """`mfnet serve` on loopback, with its worker; the client holds the admin's key."""
    if (reason := browser.missing()) is not None:
        pytest.skip(reason)
    with serving(data_dir) as client:
        yield client


@pytest.fixture(scope="module")
def chromium(service: httpx.Client) -> Iterator[browser.Browser]:
    """One browser for all visits."""
    with browser.chromium() as running:
        yield running


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ortho.tif and ndsm.tif: 768 pixels of 0.125 m a side."""
    folder = tmp_path_factory.mktemp("town")
    command = [sys.executable, "-m", "mfnet.model.cli.main", "town", str(folder)]
    subprocess.run([*command, "--size", "768", "--seed", "5"], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def corner(town: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of 256 pixels a side: the town's upper left."""
    folder = tmp_path_factory.mktemp("corner")
    for name in ("ortho.tif", "ndsm.tif"):
        with rasterio.open(town / name) as whole:
            window = rasterio.windows.Window(0, 0, 256, 256)
            profile = whole.profile | {"width": 256, "height": 256}
            with rasterio.open(folder / name, "w", **profile) as part:
                part.write(whole.read(window=window))
    return folder


@pytest.fixture
def visitor(service: httpx.Client, chromium: browser.Browser) -> Iterator[Callable[..., Any]]:
    """Makes visitors. In no visit does the console complain."""
    visitors: list[browser.Visitor] = []

    def arrive(**options: Any) -> browser.Visitor:
        visitors.append(browser.Visitor(chromium, str(service.base_url), **options))
        return visitors[-1]

    yield arrive
    for each in visitors:
        each.close()
    assert [complaint for each in visitors for complaint in each.complaints] == []


@pytest.fixture
def secret(service: httpx.Client) -> str:
    """A user's new key."""
    made = service.post("/keys", json={"name": "a surveyor"})
    return str(made.raise_for_status().json()["secret"])


@pytest.fixture
def page(visitor: Callable[..., Any], secret: str) -> Any:
    """The page of a visitor who has signed in."""
    guest = visitor()
    guest.sign_in(secret)
    return guest.page
