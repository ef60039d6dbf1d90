"""How every benchmark measures: contestants take turns, medians count."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch


def take_turns(
    contestants: Mapping[str, Callable[[], object]], repeat: int, device: str = "cpu"
) -> dict[str, float]:
    """Median seconds of each contestant's call, all in this process.

    Every round runs each contestant once, so that whatever else the machine does in the meantime
    falls on all of them. One round before the first counts nothing.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(repeat + 1):
        for name, call in contestants.items():
            elapsed = _timed(call, device)
            if turn:
                seconds[name].append(elapsed)
    return {name: statistics.median(values) for name, values in seconds.items()}


def take_turns_in_children(
    script: Path, contestants: Mapping[str, list[str]], repeat: int
) -> dict[str, dict[str, float]]:
    """Medians of what `script` reports on each contestant, every run in a process of its own.

    Peak memory never falls again within a process; only a fresh one can tell what a contestant
    needs.

    Args:
        script: Called with a contestant's arguments, it prints one JSON object of numbers as its
            last line.
        contestants: Arguments by name.
        repeat: Rounds.
    """
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    for turn in range(repeat):
        for name, arguments in contestants.items():
            print(f"round {turn + 1} of {repeat}: {name}", file=sys.stderr, flush=True)
            rounds[name].append(_child(script, arguments))
    return {
        name: {key: statistics.median(r[key] for r in results) for key in results[0]}
        for name, results in rounds.items()
    }


def peak_mb() -> float:
    """The most resident memory that this process has had, in 10⁶ bytes (Linux).

    Not `getrusage`: a child inherits there the peak of the process that started it.
    """
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def synchronize(device: str) -> None:
    """Waits for what a GPU still does."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _child(script: Path, arguments: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(script), *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _timed(call: Callable[[], object], device: str) -> float:
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    return time.perf_counter() - start
