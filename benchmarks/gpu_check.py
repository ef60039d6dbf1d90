"""Whatever has to be known of a GPU, in eight minutes, as one document.

    python benchmarks/gpu_check.py [--minutes 8] [--device cuda]

Tests on the GPU first: golden numbers, classes, bytes. Then windows of all encoders at several
batches, a whole raster from file to file, training steps, and two workers on one GPU. Each part is
a process of its own that gets what is left of the time; what has failed, or found no time, is said.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from report import RESULTS, machine

HERE = Path(__file__).parent
DOCUMENT = "gpu-check.md"


class Part(NamedTuple):
    """A part of the check.

    Attributes:
        title: Above what it says.
        command: Arguments of Python.
        most_s: Its share of the time.
    """

    title: str
    command: Sequence[str]
    most_s: int


def parts(device: str, out: Path) -> list[Part]:
    """All of them, what matters most first."""

    def benchmark(name: str, *options: str) -> list[str]:
        return [str(HERE / f"{name}.py"), *options, "--out", str(out)]

    on = ("--device", device)
    tests = ["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-m", "cuda", "tests/model"]
    sizes = ("--sizes", "small", "vit_b", "vit_l", "vit_h")
    return [
        Part("Tests", tests, 120),
        Part("A whole raster", benchmark("raster", *on, "--size", "6000"), 90),
        Part(
            "Windows",
            benchmark("window", *on, *sizes, "--batches", "1", "32", "--repeat", "5"),
            150,
        ),
        Part(
            "Large batches",
            benchmark("window", *on, "--sizes", "vit_b", "--batches", "64", "256", "--repeat", "3"),
            60,
        ),
        Part("Training", benchmark("training_step", *on, "--batch", "10"), 60),
        Part("Two workers", benchmark("workers", "--workers", "1", "2"), 90),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * args.minutes
    document = args.out / DOCUMENT
    document.write_text(f"# GPU check\n\n{machine()}\n")
    failed = []
    for part in parts(args.device, args.out):
        print(f"{part.title} …", flush=True)
        began = time.monotonic()
        said, fault = run(part, min(part.most_s, deadline - began))
        failed += [part.title] if fault else []
        took = f"{time.monotonic() - began:.0f} s"
        with document.open("a") as file:
            file.write(f"\n## {part.title}\n\n{fault or 'done'}, {took}\n\n{said}\n")
        print(f"  {fault or 'done'}, {took}", flush=True)
    print(f"saved {document}")
    sys.exit(f"not done: {', '.join(failed)}" if failed else 0)


def run(part: Part, seconds: float) -> tuple[str, str]:
    """What a part has printed, and why it has not come to its end; that is empty if it has."""
    if seconds <= 0:
        return "", "left out: no time"
    command = [sys.executable, *part.command]
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    try:
        done = subprocess.run(
            command, cwd=HERE.parent, stdout=pipe, stderr=both, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired as late:
        said = late.stdout or b""
        return said.decode(errors="replace"), f"stopped after {seconds:.0f} s"
    return done.stdout, "" if done.returncode == 0 else f"failed with status {done.returncode}"


if __name__ == "__main__":
    main()
