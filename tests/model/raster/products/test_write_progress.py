"""Who watches a folder hears of its growth, and only of that."""

import threading
from pathlib import Path

import pytest

from mfnet.model.raster.products.write_progress import watched


def test_growth_is_told_and_stillness_is_not(tmp_path: Path) -> None:
    path, heard, calls = tmp_path / "file", threading.Event(), []

    def growing() -> None:
        calls.append(path.stat().st_size)
        heard.set()

    path.write_bytes(b"1")
    with path.open("ab", buffering=0) as file, watched(tmp_path, growing, look_s=0.01):
        assert not heard.wait(0.2)
        for more in (1, 28):
            heard.clear()
            file.write(bytes(more))
            assert heard.wait(10)
    assert calls == [2, 30]


def test_a_failure_ends_the_watch(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(OSError, match="full"), watched(tmp_path, lambda: None, look_s=0.01):
        raise OSError("full")
    assert threading.active_count() == before
