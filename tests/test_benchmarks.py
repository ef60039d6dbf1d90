"""The benchmarks run, at tiny sizes; what they find out is not asked here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.acceptance
slow = pytest.mark.slow
"""Each contestant in a process of its own, which imports torch first: minutes altogether."""

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.mark.parametrize(
    ("script", "options", "rows"),
    [
        ("window", ["--sizes", "small", "--repeat", "1"], 4),
        pytest.param(
            "training_step",
            ["--sizes", "small", "--batch", "1", "--repeat", "1"],
            5,
            marks=slow,
        ),
        pytest.param("start", ["--size", "small", "--repeat", "1"], 5, marks=slow),
        pytest.param("engine", ["--sizes", "300", "--repeat", "1"], 5, marks=slow),
        ("raster", ["--size", "520", "--calls", "2"], 20),
        pytest.param("gaps", ["--towns", "1", "--size", "320", "--shares", "0.1"], 13, marks=slow),
        pytest.param("reading", ["--size", "300", "--repeat", "1"], 6, marks=slow),
        pytest.param("peers", ["--size", "300", "--repeat", "1"], 3, marks=slow),
        pytest.param("workers", ["--workers", "2", "--towns", "4", "--parts", "2"], 1, marks=slow),
        pytest.param("memory", ["--rows", "300", "600", "--width", "300"], 2, marks=slow),
    ],
)
def test_benchmark_runs(script: str, options: list[str], rows: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{script}.py"), *options, "--out", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / f"{script}.json").read_text())
    assert record["benchmark"] == script
    assert record["machine"]
    assert len(record["rows"]) == rows
