"""Real processes: one that is killed and goes on, and two that share a batch."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "support" / "training_run.py"

pytestmark = pytest.mark.acceptance


def command(out: Path, *changes: str, before: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": f"{SCRIPT.parents[2]}:{SCRIPT.parent}"}
    environment["OMP_NUM_THREADS"] = "1"
    return subprocess.Popen(
        [sys.executable, *before, str(SCRIPT), str(out), *changes],
        env=environment,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[bytes]) -> str:
    """What it said on standard error."""
    _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said.decode()[-2000:]
    return said.decode()


def found(out: Path, *keys: str) -> list[list[Any]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [[line[key] for key in keys] for line in lines if keys[-1] in line]


def wait_for_step(out: Path, step: int, process: subprocess.Popen[bytes]) -> None:
    log, deadline = out / "log.jsonl", time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if log.is_file() and f'"step": {step},' in log.read_text():
            return
        time.sleep(0.01)
    raise AssertionError(f"no step {step}: exit status {process.poll()}")


def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    changes = ("optimizer.steps=12", "check_every=3", "optimizer.batch_size=2")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(command(whole, *changes))
    process = command(killed, *changes)
    wait_for_step(killed, 4, process)
    process.kill()
    process.communicate()
    assert process.returncode == -9, "it was faster than the kill"
    assert len(found(killed, "loss")) < 12
    finish(command(killed, *changes))
    keys = ("step", "loss", "gradient_norm")
    assert found(killed, *keys) == found(whole, *keys)
    assert found(killed, "step", "confusion") == found(whole, "step", "confusion")


def test_two_processes_compute_what_one_does_with_two_parts(tmp_path: Path) -> None:
    changes = ("optimizer.batch_size=4", "optimizer.accumulation=2", "optimizer.steps=3")
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    finish(command(alone, *changes))
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    assert "Warning" not in finish(command(shared, *changes, before=torchrun))
    one, two = found(alone, "loss"), found(shared, "loss")
    assert len(two) == 3  # the first process alone writes
    assert [loss for (loss,) in two] == pytest.approx([loss for (loss,) in one], rel=1e-3)
    assert found(shared, "miou")
