"""What every benchmark prints and saves: the machine, one table, one JSON file."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "runs" / "benchmarks"

Row = Mapping[str, str | float | int]


def report(name: str, rows: Sequence[Row], *, conditions: Mapping[str, Any], out: Path) -> None:
    """Prints the rows as a Markdown table under the machine's name, and saves them as JSON.

    Args:
        name: Of the benchmark; the file's name too.
        rows: Column by column; all with the keys of the first.
        conditions: What was run: sizes, repeats, device.
        out: Folder of the JSON file.
    """
    record = {
        "benchmark": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "commit": _commit(),
        "conditions": dict(conditions),
        "rows": [dict(row) for row in rows],
    }
    print(f"{name}: {record['machine']}, commit {record['commit']}, {record['date'][:10]}")
    print(f"{json.dumps(record['conditions'])}\n")
    print(table(rows))
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(f"\nsaved {path}")


def table(rows: Sequence[Row]) -> str:
    """A Markdown table; numbers get three significant digits."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row[column]) for column in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    """Processor, cores that this process may use, and the GPU if torch sees one."""
    names = [_processor(), f"{len(os.sched_getaffinity(0))} cores"]
    import torch

    if torch.cuda.is_available():
        names.append(torch.cuda.get_device_name())
    return ", ".join([*names, f"torch {torch.__version__}"])


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    return described.stdout.strip() or "unknown"


def _cell(value: str | float | int) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
