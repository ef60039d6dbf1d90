"""How progress and reports look: on a terminal for people, as JSON lines for programs."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from mfnet.model.raster.pairs.report import PairReport, PolygonsReport, RasterReport, SoloReport

Advance = Callable[[int, int], None]
"""Called with what is done and what there is to do."""

_LINE_EVERY_S = 1.0
_LOG_EVERY_S = 30.0


def emit(value: dict[str, Any]) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


@contextmanager
def progress(stage: str, unit: str, *, as_json: bool) -> Iterator[Advance]:
    """Show progress: a bar on a terminal, a line a second with `as_json`, else one now and then.

    Args:
        stage: What is being done.
        unit: What is counted; `bytes` are shown in MB.
        as_json: Lines like `{"event": "progress", "stage": …, "done": …, "total": …, "rate": …,
            "seconds_left": …}`, rate in units a second.
    """
    if as_json:
        yield _Lines(stage, unit)
    elif not sys.stderr.isatty():
        yield _LogLines(stage, unit)
    else:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            _Rate(unit),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(stage, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def tell_remarks(report: PairReport) -> None:
    """Say on stderr what was decided or is odd about a pair."""
    for remark in report.all_remarks:
        typer.echo(f"Note: {remark.message}", err=True)


def show_pair(report: PairReport) -> None:
    """Print a pair's report."""
    console = _console()
    parts = [part for part in (report.ortho, report.height, report.dtm) if part is not None]
    console.print(_raster_table(parts))
    table = Table(show_header=False, box=None)
    gsd = "unknown" if report.gsd_m is None else f"{report.gsd_m:.3g} m"
    table.add_row("ground sampling distance", gsd)
    if report.overlap_percent is not None:
        table.add_row("overlap", f"{report.overlap_percent:.0f} % of the orthophoto")
    found = ", ".join(f"{name} {value:g}" for name, value in report.height_percentiles.items())
    table.add_row("metres above ground", found or "none in the sample")
    table.add_row("memory beside the model", _megabytes(report.estimate.memory_bytes))
    table.add_row("disk at most", _megabytes(report.estimate.disk_bytes))
    if report.estimate.windows is not None:
        table.add_row("windows", f"{report.estimate.windows:,}")
    if report.estimate.seconds is not None:
        table.add_row("time of a map here", f"about {_duration(report.estimate.seconds)}")
    if report.area is not None:
        table.add_row("area of interest", f"{report.area.covered_percent:.3g} % of the orthophoto")
    if report.zones is not None:
        table.add_row("zones", f"{report.zones.zones:,}")
    decoded = "yes" if report.scanned else "no (--quick)"
    table.add_row("every block decoded", decoded)
    console.print(table)
    for remark in report.all_remarks:
        console.print(f"Note: {remark.message}", markup=False)
    console.print("Nothing to refuse.")


def show_raster(report: SoloReport) -> None:
    """Print one raster's report."""
    console = _console()
    console.print(_raster_table([report.raster]))
    suits = ", ".join(report.suits) or "nothing without an option"
    console.print(f"Could be used as: {suits}.", markup=False)
    for remark in report.remarks:
        console.print(f"Note: {remark.message}", markup=False)
    for role, refusal in report.refused.items():
        console.print(f"Refused as {role}: {refusal.message}", markup=False)


def show_layers(report: PolygonsReport) -> None:
    """Print a vector file's report."""
    table = Table("layer", "features", "columns", "CRS")
    for layer in report.layers:
        cells = (layer.name, f"{layer.features:,}", ", ".join(layer.columns), layer.crs or "none")
        table.add_row(*(Text(cell) for cell in cells))
    console = _console()
    console.print(table)
    for remark in report.remarks:
        console.print(f"Note: {remark.message}", markup=False)
    console.print(f"Could be used as: {', '.join(report.suits)}.", markup=False)


def show_areas(statistics: dict[str, Any]) -> None:
    """Print what each class covers."""
    estimates = statistics.get("estimates", {})
    estimated = "tiles" in estimates
    table = Table("class", "pixels", "m²", "share", *(["true m², 95 %"] if estimated else []))
    for column in table.columns[1:]:
        column.justify = "right"
    for item in statistics["classes"]:
        true = [_interval(item["estimate"])] if estimated else []
        cells = (f"{item['pixels']:,}", _area(item["area_m2"]), f"{item['share']:.1%}", *true)
        table.add_row(item["title"], *cells)
    nodata = statistics["nodata"]
    table.add_row("no data", f"{nodata['pixels']:,}", _area(nodata["area_m2"]), "")
    console = _console()
    console.print(table)
    if estimates:
        console.print(_about_estimates(estimates), markup=False)
    if (sieve := statistics.get("sieve")) is not None:
        console.print(
            f"{sieve['islands']:,} islands under {sieve['under_pixels']:,} pixels have the class "
            f"of their largest neighbour: {sieve['pixels']:,} pixels."
        )


def show_quality(reasons: dict[str, Any]) -> None:
    """Print what a map rests on."""
    table = Table("rests on", "pixels", "m²", "share")
    for column in table.columns[1:]:
        column.justify = "right"
    for each in reasons.values():
        cells = (f"{each['pixels']:,}", _area(each["area_m2"]), f"{each['share']:.1%}")
        table.add_row(each["title"], *cells)
    _console().print(table)


def show_runs(runs: list[dict[str, Any]]) -> None:
    """Print what became of each pair of a folder."""
    table = Table("orthophoto", "heights", "seconds", "map")
    for run in runs:
        names = [Path(run[role]).name if role in run else "" for role in ("ortho", "height")]
        outcome = run["error"]["code"] if "error" in run else run["map"]
        table.add_row(Text(names[0]), Text(names[1]), f"{run['seconds']:.1f}", Text(outcome))
    console = _console()
    console.print(table)
    refused = sum("error" in run for run in runs)
    console.print(f"{len(runs) - refused} of {len(runs)} pairs mapped.")


def show_changes(changes: dict[str, Any], titles: dict[str, str]) -> None:
    """Print what differs between two maps."""
    console = _console()
    console.print(f"{changes['share']:.1%} of {changes['pixels']:,} pixels have another class.")
    if not changes["classes"]:
        return
    table = Table("from", "to", "pixels", "m²", "share")
    for column in table.columns[2:]:
        column.justify = "right"
    for item in changes["classes"]:
        table.add_row(
            Text(titles[item["from"]]),
            Text(titles[item["to"]]),
            f"{item['pixels']:,}",
            _area(item["area_m2"]),
            f"{item['share']:.2%}",
        )
    console.print(table)


def show_models(models: list[dict[str, Any]]) -> None:
    """Print models as `mfnet models list --json` gives them."""
    table = Table("name", "classes", "window", "trained at", "MB")
    for model in models:
        if "error" in model:
            table.add_row(model["name"], "damaged", "", "", f"{model['bytes'] / 1e6:.1f}")
            continue
        gsd = model["gsd_m"]
        table.add_row(
            model["name"],
            str(len(model["classes"])),
            f"{model['window_px']} px",
            "unknown" if gsd is None else f"{gsd:g} m",
            f"{model['bytes'] / 1e6:.1f}",
        )
    _console().print(table)


class _Lines:
    def __init__(self, stage: str, unit: str) -> None:
        self.stage = stage
        self.unit = unit
        self.started = time.monotonic()
        self.last = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.last < _LINE_EVERY_S and done < total:
            return
        self.last = now
        rate = done / max(now - self.started, 1e-9)
        emit(
            {
                "event": "progress",
                "stage": self.stage,
                "unit": self.unit,
                "done": done,
                "total": total,
                "rate": round(rate, 3),
                "seconds_left": round((total - done) / rate, 1) if rate else None,
            }
        )


class _LogLines:
    """Plain lines on stderr, for a log: every half a minute, so of long runs alone."""

    def __init__(self, stage: str, unit: str) -> None:
        self.stage = stage
        self.unit = unit
        self.started = self.last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.last < _LOG_EVERY_S or not 0 < done < total:
            return
        self.last = now
        left = _duration((now - self.started) / done * (total - done))
        counts = f"{done:,} of {total:,} {self.unit}"
        typer.echo(f"{self.stage}: {counts} ({done / total:.0%}), about {left} left", err=True)


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.speed or 0.0
        if self.unit == "bytes":
            return Text(f"{speed / 1e6:.0f} MB/s")
        return Text(f"{speed:.1f} {self.unit}/s")


def _raster_table(reports: list[RasterReport]) -> Table:
    table = Table("", *(report.role for report in reports))
    rows: dict[str, Callable[[RasterReport], str]] = {
        "file": lambda r: r.file,
        "rows × columns": lambda r: f"{r.height:,} × {r.width:,}",
        "bands": lambda r: f"{r.bands}, one of them alpha" if r.alpha else str(r.bands),
        "type": lambda r: r.dtype,
        "CRS": lambda r: "none" if r.crs is None else r.crs[:40],
        "pixel": lambda r: "unknown" if r.gsd_m is None else f"{r.gsd_m:.3g} m",
        "upper left": lambda r: f"{r.transform[2]:.3f}, {r.transform[5]:.3f}",
        "nodata": lambda r: "none declared" if r.nodata is None else f"{r.nodata:g}",
        "valid": lambda r: "not read" if r.valid_percent is None else f"{r.valid_percent:.1f} %",
        "range": lambda r: (
            "not read" if r.minimum is None else f"{r.minimum:.6g} to {r.maximum:.6g}"
        ),
        "decoded": lambda r: _megabytes(r.declared_bytes),
    }
    for title, cell in rows.items():
        table.add_row(title, *(Text(cell(report)) for report in reports))
    return table


def _console() -> Console:
    # File names, CRS names and class titles are text, never markup or highlighting.
    return Console(highlight=False, soft_wrap=True)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _area(area_m2: float | None) -> str:
    return "unknown" if area_m2 is None else f"{area_m2:,.1f}"


def _interval(estimate: dict[str, float]) -> str:
    return f"{estimate['low_m2']:,.0f} to {estimate['high_m2']:,.0f}"


def _about_estimates(estimates: dict[str, Any]) -> str:
    """What the intervals mean, or why there are none."""
    if "missing" in estimates:
        return f"No intervals for the true areas: {estimates['missing']}."
    data = estimates["measured_on"].get("data", "a data set")
    return (
        "true m²: mapped areas corrected by what the model took for what on the "
        f"{estimates['tiles']} held-out tiles of '{data}', and how much that differs from tile to "
        "tile. It holds for places like those; how the model errs elsewhere was not measured."
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
