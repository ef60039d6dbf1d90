"""What a job for a map will take, as it is told before the work begins."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mfnet.service.domain import map_outputs

_HOW = ("model_sha256", "stride", "blend", "tta", "confidence")
_POLYGON_BYTES = 4
"""A pixel, of the largest files of polygons with what waits beside them while they are made."""


class Finished(NamedTuple):
    """A map that was made here.

    Attributes:
        inputs: Of the job's row.
        windows: That its model has seen.
        seconds: From its beginning to its end.
    """

    inputs: Mapping[str, Any]
    windows: int
    seconds: float


def estimate(
    report: Mapping[str, Any],
    inputs: Mapping[str, Any],
    finished: Iterable[Finished],
    part_pixels: int,
) -> dict[str, Any] | None:
    """What a job will take: `pixels`, `windows`, `memory_bytes`, `disk_bytes`, `seconds`.

    Args:
        report: Of the inspection.
        inputs: Of the job's row.
        finished: Maps that were made here lately; the seconds go by those of the same model and
            options, and are None without one.
        part_pixels: From which on a map is made in parts, that wait on the disk.
    """
    told = report.get("estimate")
    if told is None:
        return None
    pixels, windows = report["ortho"]["height"] * report["ortho"]["width"], told["windows"]
    return {
        "pixels": pixels,
        "windows": windows,
        "memory_bytes": told["memory_bytes"],
        "disk_bytes": _disk_bytes(told["disk_bytes"], pixels, inputs, part_pixels),
        "seconds": _seconds(windows, inputs, finished),
    }


def _disk_bytes(raster_bytes: int, pixels: int, inputs: Mapping[str, Any], part_pixels: int) -> int:
    """At most, with what waits beside the results until they are made."""
    layers = 2 if inputs.get("confidence") else 1
    further = map_outputs.further_files(inputs)
    rasters = layers + (map_outputs.QUALITY[0] in further)
    waiting = pixels * layers if 0 < part_pixels < pixels else 0
    waiting += pixels if inputs.get("sieve") else 0
    polygons = sum(name in further for name in map_outputs.POLYGONS) * _POLYGON_BYTES * pixels
    return rasters * raster_bytes + waiting + polygons


def _seconds(windows: int, inputs: Mapping[str, Any], finished: Iterable[Finished]) -> float | None:
    same = [each for each in finished if _how(each.inputs) == _how(inputs) and each.windows]
    same = [each for each in same if each.seconds > 0]
    if not same or not windows:
        return None
    start_s, window_s = _start_and_window(same)
    return round(start_s + windows * window_s, 1)


def _start_and_window(maps: Sequence[Finished]) -> tuple[float, float]:
    """Seconds of what each map takes once, and of each window: the line through the maps with the
    least squares of relative errors, neither of the two below 0."""
    ones = [1 / each.seconds for each in maps]
    windows = [each.windows / each.seconds for each in maps]
    oo, ow, ww = _dot(ones, ones), _dot(ones, windows), _dot(windows, windows)
    o, w, determinant = sum(ones), sum(windows), oo * ww - ow * ow
    if determinant > 1e-9 * oo * ww:
        start_s, window_s = (ww * o - ow * w) / determinant, (oo * w - ow * o) / determinant
        if start_s >= 0 and window_s >= 0:
            return start_s, window_s
        if start_s >= 0:
            return o / oo, 0.0  # so few windows that the start is all
    return 0.0, w / ww


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def _how(inputs: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(inputs.get(name) for name in _HOW)
