"""`mfnet demo`: the whole story through the real service, told on a terminal.

Draws a town (or takes the user's pair), starts `mfnet serve` on a free port with a data folder of
its own, and does over HTTP what any client does. The server ends with the story, however it ends.
Where the service cannot run, `mfnet predict` makes the map.
"""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from mfnet.service.demo.server import DemoFailed, checked, serving

_POLL_S = 0.3
_BLOCK_BYTES = 1 << 20
_ROLES = ("ortho", "height", "dtm")


@dataclass(frozen=True)
class Rasters:
    """What is mapped.

    Attributes:
        ortho: The orthophoto.
        height: Heights above ground, or a surface if there is a `dtm`.
        dtm: Terrain to subtract.
        truth: The right classes, where the town is ours.
    """

    ortho: Path
    height: Path
    dtm: Path | None = None
    truth: Path | None = None


def draw_town(out: Path, size: int, seed: int) -> Rasters:
    """A synthetic town in `out`."""
    _mfnet("town", out, "--size", size, "--seed", seed)
    return Rasters(out / "ortho.tif", out / "ndsm.tif", truth=out / "truth.tif")


def map_by_service(prepare: Callable[[], Rasters], out: Path, model: str, console: Console) -> None:
    """Map rasters through a service of our own, and show the result.

    Args:
        prepare: Gives what is mapped; called while the service starts.
        out: Folder for the results; exists.
        model: A model's name.
        console: Where the story is told.

    Raises:
        DemoFailed: With what the service said.
    """
    console.print("Starting the service: API, SQLite, queue and one worker")
    with ThreadPoolExecutor(1) as beside:
        preparing = beside.submit(prepare)
        with serving() as client:
            console.print(f"  listening on {client.base_url}")
            names = _map(client, preparing.result(), out, model, console)
    console.print("The service has ended; nothing is left running")
    _conclude(preparing.result(), out, names, console)


def map_here(prepare: Callable[[], Rasters], out: Path, model: str, console: Console) -> None:
    """Map rasters without a service, and show the result.

    Args:
        prepare: Gives what is mapped.
        out: Folder for the results; exists.
        model: A model's name.
        console: Where the story is told.

    Raises:
        DemoFailed: With what the command said.
    """
    console.print("The service does not run on this system: mfnet predict makes the map")
    rasters = prepare()
    files = {
        "classes.tif": ["-o", out / "classes.tif"],
        "statistics.json": ["--statistics", out / "statistics.json"],
    }
    options = [option for given in files.values() for option in given]
    further = ["--dtm", rasters.dtm] if rasters.dtm else []
    _mfnet("predict", rasters.ortho, rasters.height, *further, *options, "--model", model)
    _conclude(rasters, out, list(files), console)


# ---- what a client does -------------------------------------------------------------------------


def _map(
    client: httpx.Client, rasters: Rasters, out: Path, model: str, console: Console
) -> list[str]:
    """From the rasters to the results' names."""
    sent = {
        role: _upload(client, path, console)
        for role in _ROLES
        if (path := getattr(rasters, role)) is not None
    }
    job = _submit(client, {**sent, "model": model}, console)
    _watch(client, job, console)
    return _download(client, job, out, console)


def _upload(client: httpx.Client, path: Path, console: Console) -> str:
    """Send a file, a block at a time; returns the upload's id."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with (
        Progress(*columns, TransferSpeedColumn(), console=console) as bar,
        bar.open(path, "rb", description=f"  PUT /uploads/{path.name}") as file,
    ):
        reply = client.put(f"/uploads/{path.name}", content=file, params={"sha256": sha256})
    upload_id: str = checked(reply)["id"]
    return upload_id


def _submit(client: httpx.Client, inputs: dict[str, str], console: Console) -> str:
    """Start the job; returns its path."""
    reply = client.post("/processes/segment/execution", json={"inputs": inputs})
    job = f"/jobs/{checked(reply)['jobID']}"
    console.print("  POST /processes/segment/execution", f"→ {job}", markup=False)
    return job


def _watch(client: httpx.Client, job: str, console: Console) -> None:
    """Show the job's progress until it is successful."""
    columns = (TextColumn("  {task.description}"), BarColumn(), TaskProgressColumn(), _Rate())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("accepted", total=100)
        while (status := checked(client.get(job)))["status"] in ("accepted", "running"):
            words = status["message"] or status["status"]
            bar.update(task, completed=status["progress"], description=words)
            time.sleep(_POLL_S)
        bar.update(task, completed=status["progress"], description=status["message"])
    if status["status"] != "successful":
        raise DemoFailed(f"the job {status['status']}: {status['message']}")


def _download(client: httpx.Client, job: str, out: Path, console: Console) -> list[str]:
    """Fetch every result into `out`; returns their names."""
    results = checked(client.get(f"{job}/results"))
    for name, link in results.items():
        console.print(f"  GET {job}/results/{name}", markup=False)
        with client.stream("GET", link["href"]) as reply, (out / name).open("wb") as file:
            reply.raise_for_status()
            for block in reply.iter_bytes(_BLOCK_BYTES):
                file.write(block)
    return list(results)


# ---- what it came to ----------------------------------------------------------------------------


def _conclude(rasters: Rasters, out: Path, names: list[str], console: Console) -> None:
    statistics = json.loads((out / "statistics.json").read_text())
    _show_areas(statistics, console)
    with ThreadPoolExecutor(1) as beside:
        drawing = beside.submit(_draw_panel, rasters, out)
        if rasters.truth is not None:
            said = json.loads(_mfnet("accuracy", out / "classes.tif", rasters.truth, "--json"))
            console.print(
                f"Against the town's truth: {said['oa']:.1%} of the pixels are right (OA), "
                f"mIoU {said['miou']:.3f} over the foreground classes"
            )
        drawing.result()
    console.print("Files:")
    for path in (*(out / name for name in names), out / "panel.png"):
        console.print(f"  {path}", markup=False)


def _show_areas(statistics: dict[str, Any], console: Console) -> None:
    table = Table("class", "m²", "share")
    for column in table.columns[1:]:
        column.justify = "right"
    for item in statistics["classes"]:
        area = item["area_m2"]
        shown = "unknown" if area is None else f"{area:,.1f}"
        table.add_row(Text(item["title"]), shown, f"{item['share']:.1%}")
    console.print(table)


def _draw_panel(rasters: Rasters, out: Path) -> None:
    further = ["--dtm", rasters.dtm] if rasters.dtm else []
    further += ["--truth", rasters.truth] if rasters.truth else []
    further += ["--statistics", out / "statistics.json"]
    pair = (rasters.ortho, rasters.height, out / "classes.tif")
    _mfnet("panel", *pair, "-o", out / "panel.png", *further)


class _Rate(ProgressColumn):
    """Percent a second: what the service tells is a percentage."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:.1f} %/s")


def _mfnet(*arguments: object) -> str:
    """Run another command of ours; returns what it printed.

    A process of its own, because the service imports neither rasters nor training.
    """
    command = [sys.executable, "-P", "-m", "mfnet.model.cli.main", *map(str, arguments)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if ran.returncode:
        raise DemoFailed(f"mfnet {arguments[0]} failed", ran.returncode)
    return ran.stdout
