"""`mfnet demo`: the whole story on one terminal, and nothing of it left running."""

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

STORY_S = 500  # seconds on an idle machine; this one may be busy


@pytest.fixture
def mark() -> str:
    """Stands in the environment of the demo and of all that it starts."""
    return f"MFNET_TEST_{uuid.uuid4().hex}"


@contextmanager
def demo(mark: str, out: Path, *arguments: object) -> Iterator[subprocess.Popen]:
    command = [
        sys.executable,
        "-m",
        "mfnet.model.cli.main",
        "demo",
        "--out",
        str(out),
        *map(str, arguments),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", mark: "1"}
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    # A shell that runs the tests in the background has them ignore Ctrl-C, which is inherited.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, env=environment, preexec_fn=heed, **both) as process:
        try:
            yield process
        finally:
            process.kill()


def running(mark: str) -> list[psutil.Process]:
    """Every process with the mark, whoever its parent is by now."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if mark in process.environ():
                found.append(process)
    return found


def assert_nothing_left(mark: str) -> None:
    assert psutil.wait_procs(running(mark), 10)[1] == []


def test_the_story_of_a_town(tmp_path: Path, mark: str):
    with demo(mark, tmp_path / "out", "--size", 512) as told:
        text, _ = told.communicate(timeout=STORY_S)
    assert told.returncode == 0, text
    assert_nothing_left(mark)
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
def test_interrupted_it_leaves_nothing_running(tmp_path: Path, mark: str, number: signal.Signals):
    with demo(mark, tmp_path / "out", "--size", 1024) as told:
        assert any("listening on" in line for line in told.stdout)
        started = len(running(mark))
        told.send_signal(number)
        told.communicate(timeout=STORY_S)
    assert started >= 2, "the demo, the API"
    assert told.returncode != 0
    assert_nothing_left(mark)


def test_the_callers_mistake_is_told_in_one_line(tmp_path: Path, mark: str):
    with demo(mark, tmp_path / "out", "--size", 256, "--model", "nonesuch") as told:
        text, _ = told.communicate(timeout=STORY_S)
    assert told.returncode == 2
    assert text.splitlines()[-1].startswith("mfnet: no model 'nonesuch'")
    assert_nothing_left(mark)
