"""The benchmarks run, at tiny sizes; what they find out is not asked here."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mfnet.training.trainer.precision import has_bf16

pytestmark = pytest.mark.acceptance
slow = pytest.mark.slow
"""Each contestant in a process of its own, which imports torch first: minutes altogether."""

COMMANDS = ("gdal_polygonize", "gdal_sieve")
FAST_BF16 = has_bf16(torch.device("cpu"))
FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.mark.parametrize(
    ("script", "options", "rows"),
    [
        ("window", ["--sizes", "small", "--repeat", "1"], 4 if FAST_BF16 else 2),
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
        pytest.param("waiting_jobs", ["--jobs", "10", "40", "--parts", "60"], 2, marks=slow),
        pytest.param(
            "service",
            ["--seconds", "1", "--upload-mb", "1"],
            9,
            marks=[slow, pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk")],
        ),
        pytest.param(
            "products",
            ["--size", "800", "--repeat", "1", "--model", "rule"],
            7 + sum(shutil.which(f"{tool}.py") is not None for tool in COMMANDS),
            marks=slow,
        ),
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


def test_the_gpu_check_says_what_found_no_time(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "gpu_check.py"), "--minutes", "0"]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "not done: Tests, A whole raster" in done.stderr
    assert (tmp_path / "gpu-check.md").read_text().count("left out: no time") == 6


@slow
def test_a_fault_is_tried_once_and_not_again_when_it_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "faults.py"), "--trials", "1", "--out", str(tmp_path)]
    command += ["--rows", "kill_engine", "--state", "file"]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "| kill -9 of the engine at any moment | file | 1 | 1 |" in done.stdout
    (record,) = map(json.loads, (tmp_path / "faults.jsonl").read_text().splitlines())
    assert record["well"]
