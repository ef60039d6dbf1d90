"""How long a map will take: windows, and the seconds of one on this device.

The seconds are measured once, on noise, and kept in the user's cache folder; a long run replaces
them by its own.
"""

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mfnet.model.atomic_files import replacing
from mfnet.model.inference.runtimes.choose import cache_dir
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.runtimes.turned import turned
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.inference.sliding_window import Sweep
from mfnet.model.inference.windows import WindowPlan
from mfnet.model.raster.georeferencing.grid import Rows
from mfnet.model.raster.pairs.normalize import scalings

_LEAST_S = 1.0
"""Measured for so long, after a batch that counts for nothing."""
_LEAST_WINDOWS = 50
"""A run of fewer says too little of the next one."""
_NETWORK = {
    "kind",
    "encoder",
    "tuning",
    "fusion",
    "modalities",
    "decode_channels",
    "detail_channels",
}


@dataclass(frozen=True)
class Forecast:
    """What a map will take.

    Attributes:
        windows: That the network sees.
        seconds: All of them, reading and writing included.
        measured: When a window's time was measured, ISO 8601.
    """

    windows: int
    seconds: float
    measured: str


def forecast(
    runtime: Runtime,
    height: int,
    width: int,
    gsd_m: float | None,
    options: SegmentOptions | None = None,
) -> Forecast:
    """Says how long a map of a raster will take; measures a window for a second or two if new.

    Args:
        runtime: From `open_runtime`.
        height: Rows of the orthophoto.
        width: Its columns.
        gsd_m: Side of its pixels in metres.
        options: How the map will be computed.
    """
    options = options or SegmentOptions()
    here = turned(runtime.at(gsd_m), options.tta)
    windows = len(_plan(here, options, height, width))
    known = _read().get(_key(here, options))
    if known is None:
        known = _keep(here, options, _measure(here, options))
    return Forecast(windows, windows * known["seconds"], known["measured"])


class Stopwatch:
    """Takes note of how long a run takes, while it passes on how far it is.

    Args:
        advance: Called with the windows done and their total.
    """

    def __init__(self, advance: Callable[[int, int], None]) -> None:
        self._advance = advance
        self._windows = 0
        self._started = time.perf_counter()

    def __call__(self, done: int, total: int) -> None:
        """As `advance`."""
        self._windows = total
        self._advance(done, total)

    def keep(self, runtime: Runtime, gsd_m: float | None, options: SegmentOptions) -> None:
        """The run is over: later forecasts go by it, unless it was short.

        Args:
            runtime: As of `forecast`, and so are the others.
            gsd_m: Side of the pixels in metres.
            options: How the map was computed.
        """
        if self._windows >= _LEAST_WINDOWS:
            seconds = (time.perf_counter() - self._started) / self._windows
            _keep(turned(runtime.at(gsd_m), options.tta), options, seconds)


def _measure(runtime: Runtime, options: SegmentOptions) -> float:
    """Seconds a window, the engine's own work included."""
    batch = options.batch_size or runtime.batch_size
    window, stride = runtime.config.window_px, _stride(runtime, options)
    width = window + (batch - 1) * stride  # a row of windows is a batch

    def run(rows_of_windows: int) -> float:
        height = window + (rows_of_windows - 1) * stride
        sweep = Sweep(
            plan=_plan(runtime, options, height, width),
            predict=runtime,
            scalings=scalings(runtime.config, 255.0),
            classes=len(runtime.config.classes),
            blend=options.blend,
            batch_size=batch,
            arrays=runtime.arrays,
        )
        started = time.perf_counter()
        for _ in sweep.run(_Noise(width)):
            pass
        return (time.perf_counter() - started) / len(sweep.plan)

    run(1)  # compiles, allocates
    one = run(1)
    return run(min(64, max(1, round(_LEAST_S / max(one * batch, 1e-9)))))


class _Noise:
    """Rows of a raster without end, the same each time."""

    def __init__(self, width: int) -> None:
        self._random = np.random.default_rng(0)
        self._width = width

    def read(self, row: int, rows: int) -> Rows:
        shape = (rows, self._width)
        ortho = self._random.integers(1, 255, (3, *shape), dtype=np.uint8)
        ndsm = 20 * self._random.random((1, *shape), dtype=np.float32) ** 3
        known = np.ones(shape, bool)
        return Rows(row, {"ortho": ortho, "ndsm": ndsm}, {"ortho": known, "ndsm": known})


def _plan(runtime: Runtime, options: SegmentOptions, height: int, width: int) -> WindowPlan:
    return WindowPlan(height, width, runtime.config.window_px, _stride(runtime, options))


def _stride(runtime: Runtime, options: SegmentOptions) -> int:
    return runtime.config.stride_px if options.stride is None else options.stride


def _key(runtime: Runtime, options: SegmentOptions) -> str:
    config = runtime.config
    told = {
        **runtime.conditions,
        "network": config.model_dump(mode="json", include=_NETWORK),
        "size": (config.window_px, _stride(runtime, options), len(config.classes)),
        "how": (runtime.name, runtime.device, runtime.precision, options.blend),
        "batch": options.batch_size or runtime.batch_size,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _path() -> Path:
    return cache_dir() / "seconds_a_window.json"


def _read() -> dict[str, Any]:
    try:
        found = json.loads(_path().read_text(encoding="utf-8"))
        return {
            key: {"seconds": float(each["seconds"]), "measured": str(each["measured"])}
            for key, each in found.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _keep(runtime: Runtime, options: SegmentOptions, seconds: float) -> dict[str, Any]:
    measured = datetime.now(UTC).isoformat(timespec="seconds")
    entry = {"seconds": seconds, "measured": measured}
    known = _read() | {_key(runtime, options): entry}
    with suppress(OSError):  # a cache that cannot be written is none
        _path().parent.mkdir(parents=True, exist_ok=True)
        with replacing(_path()) as path:
            path.write_text(json.dumps(known, indent=1), encoding="utf-8")
    return entry
