"""`mfnet demo`: the whole story on one terminal, and nothing of it left running."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.acceptance

STORY_S = 240


def demo(out: Path, *arguments: object) -> psutil.Popen:
    command = [sys.executable, "-m", "model.cli", "demo", "--out", str(out), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return psutil.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def descendants_until_end(process: psutil.Popen) -> set[psutil.Process]:
    """Every process that it started, seen while it ran."""
    seen: set[psutil.Process] = set()
    deadline = time.monotonic() + STORY_S
    while process.poll() is None:
        assert time.monotonic() < deadline
        seen.update(process.children(recursive=True))
        time.sleep(0.05)
    return seen


def assert_gone(processes: set[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, 10)
    assert alive == []


def test_the_story_of_a_town(tmp_path: Path):
    told = demo(tmp_path / "out", "--size", 512)
    started = descendants_until_end(told)
    text = told.stdout.read()
    assert told.returncode == 0, text
    assert len(started) >= 4, "town, API, worker and engine"
    assert_gone(started)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    rasters = {"ortho.tif", "ndsm.tif", "truth.tif"}
    results = {"classes.tif", "classes.tif.aux.xml", "classes.qml", "statistics.json"}
    assert names == rasters | results | {"panel.png"}
    for name in results | {"panel.png"}:
        assert name in text
    statistics = json.loads((tmp_path / "out" / "statistics.json").read_text())
    assert statistics["total"]["pixels"] == 512 * 512
    assert all(item["title"] in text for item in statistics["classes"])
    right = float(re.search(r"([\d.]+)% of the pixels are right", text).group(1))
    assert right > 80
    assert (tmp_path / "out" / "panel.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_running(tmp_path: Path, number: signal.Signals):
    told = demo(tmp_path / "out", "--size", 512)
    for line in told.stdout:
        if "listening on" in line:
            break
    started = set(told.children(recursive=True))
    assert len(started) >= 1
    told.send_signal(number)
    started |= descendants_until_end(told)
    assert told.returncode != 0
    assert_gone(started)


def test_the_callers_mistake_is_told_in_one_line(tmp_path: Path):
    told = demo(tmp_path / "out", "--size", 256, "--model", "nonesuch")
    started = descendants_until_end(told)
    *_, last = told.stdout.read().splitlines()
    assert told.returncode == 2
    assert last.startswith("mfnet: no model 'nonesuch'")
    assert_gone(started)
