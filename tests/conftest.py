"""What all tests share."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from disk import Disk
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# How long an example takes depends on what else the machine does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests that share what their module makes once run in one process: it is made once indeed.

    `--dist loadgroup` would spread them, and each process make its own: four exported networks.
    """
    fixtures = getattr(item, "_fixtureinfo", None)
    if fixtures is None or item.get_closest_marker("xdist_group"):
        return
    definitions = [each for found in fixtures.name2fixturedefs.values() for each in found]
    if any(each.scope == "module" for each in definitions):
        item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def pytest_collection_finish() -> None:
    """Takes what imports made out of every later collection of garbage, a tenth of the time."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Lets the end of the process find them: libraries look for what was not given back."""
    gc.unfreeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Random weights are the same in each run, whatever ran before in the same process."""
    if torch := sys.modules.get("torch"):  # imported later, it begins with a seed of its own
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real inputs beside the checkout, which the project neither contains nor ships."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder} with real inputs beside this checkout")
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk that a test may fill."""
    disk = Disk(tmp_path / "disk")
    if not disk.mounted:
        pytest.skip("this user may not mount a file system of a chosen size")
    yield disk
    disk.close()
