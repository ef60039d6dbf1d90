"""What all tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from disk import Disk

ROOT = Path(__file__).resolve().parents[1]


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
