"""A picture of contestants under a machine's roof: what the processor and the memory allow."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter
from work import Machine, Work

COLORS = {"fp32": "#4e79a7", "bf16": "#e15759"}
MARKERS = {"plain": "o", "ours": "s", "compiled": "^"}


class Point(NamedTuple):
    """One contestant: its `work` is what it does itself, not what the plain path would."""

    size: str
    kind: str
    precision: str
    work: Work
    seconds: float


def draw_roofline(points: Sequence[Point], machine: Machine, path: Path, title: str) -> None:
    """Writes a PNG: operations a byte to the right, operations a second upwards, both as powers.

    Args:
        points: Their kinds are in `MARKERS`, their precisions in `COLORS`.
        machine: Its roofs.
        path: Of the PNG.
        title: Above it.
    """
    figure = Figure(figsize=(8.5, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    intensities = np.geomspace(0.5, 2000, 200)
    for precision, rate in machine.flop_s.items():
        roof = np.minimum(rate, machine.bytes_s * intensities) / 1e9
        label = f"roof, {precision}: {rate / 1e9:,.0f} GFLOP/s"
        axes.plot(intensities, roof, color=COLORS[precision], label=label)
    told = set()
    for point in points:
        kind = f"{point.kind}, {point.precision}"
        rate = point.work.flop / point.seconds / 1e9
        axes.plot(
            point.work.intensity, rate, MARKERS[point.kind], color=COLORS[point.precision],
            markersize=8, markerfacecolor="white" if point.kind == "plain" else None,
            label=None if kind in told else kind,
        )  # fmt: skip
        told.add(kind)
        if point.kind != "plain":  # it stands below and left of ours; names would overlap
            axes.annotate(
                point.size, (point.work.intensity, rate), (7, -3),
                textcoords="offset points", fontsize=8,
            )  # fmt: skip
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="FLOP a byte that an operation reads or writes",
        ylabel="GFLOP/s of the contestant's own operations",
        title=title,
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:,.4g}"))
        axis.set_minor_formatter("")
    axes.grid(color="#e8e8e8")
    axes.legend(fontsize=7, loc="lower right")
    figure.savefig(path, dpi=150)
