"""Heights above ground that are odd by where they lie: told, since a place may be so."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.raster.remark import Remark
from mfnet.model.raster.values.fill_values import stands_out
from mfnet.model.raster.values.height_values import HeightSample, HeightValues

_STRIPS = 4
_LEAST_PX = 2048
_GROUND_M, _OFF_GROUND_M = 0.5, 1.0
"""Up to here the lowest twentieth of a strip is ground; beyond that it is something else."""
_ZERO_SHARE, _ZERO_WINDOWS = 0.01, 3
_FINE_SHARE, _FINE_M = 0.05, 0.5
"""Of the heights that are not 0, so many are below so much where the ground is measured."""
_CUT_SHARE = 0.01
_LOW_M = 2.5
_STEP_M, _FEWEST_STEPS, _MOST_STEPS = 0.75, 3, 1000


def tell_of_uneven_ground(
    file: str, windows: Sequence[Window], above: Sequence[NDArray[np.float32]]
) -> Iterator[Remark]:
    """Tells of a quarter of the place that has no ground at 0, where another one has.

    Args:
        file: The height raster's name.
        windows: Of the sample.
        above: Their heights above ground, (h, w) each; NaN where unknown.
    """
    rows = np.array([window.row_off + window.height / 2 for window in windows])
    columns = np.array([window.col_off + window.width / 2 for window in windows])
    ways = [("north", "south", _strips(rows, above)), ("west", "east", _strips(columns, above))]
    whole = [way for way in ways if len(way[2]) == _STRIPS]
    if not whole:
        return
    begin, end, strips = max(whole, key=lambda way: max(map(abs, way[2])))
    levels = sorted(strips, key=abs)
    if abs(levels[0]) > _GROUND_M or abs(levels[-1]) <= _OFF_GROUND_M:
        return
    where = begin if strips.index(levels[-1]) < _STRIPS / 2 else end
    message = (
        f"{file}: the lowest heights lie at {levels[-1]:.1f} m in the {where} and at "
        f"{levels[0]:.1f} m elsewhere: right over a closed forest; else the heights are tilted, or "
        "pieces of them count from another level; --height-offset 0 if they are right"
    )
    yield Remark(code="height.uneven", message=message)


def _strips(places: NDArray[np.float64], above: Sequence[NDArray[np.float32]]) -> list[float]:
    """The lowest twentieth of each strip that the sample sees enough of."""
    edges = np.linspace(places.min(), places.max(), _STRIPS + 1)[1:-1]
    found = []
    for strip in range(_STRIPS):
        inside = np.flatnonzero(np.searchsorted(edges, places, "right") == strip)
        heights = np.concatenate([np.empty(0), *(above[i].ravel() for i in inside.tolist())])
        heights = heights[np.isfinite(heights)]
        if heights.size >= _LEAST_PX:
            found.append(float(np.quantile(heights, 0.05)))
    return found


def tell_of_zeros(file: str, sample: HeightSample, values: HeightValues) -> Iterator[Remark]:
    """Tells of windows that are 0 throughout, where elsewhere the ground is measured.

    Args:
        file: The height raster's name.
        sample: Of heights above ground, on their own grid.
        values: What they mean.
    """
    whole = [(s == 0) & v for s, v in zip(sample.stored, sample.valid, strict=True) if v.any()]
    share = float(np.mean([zero.all() for zero in whole])) if whole else 0.0
    pixels = np.abs(sample.pixels[sample.pixels != 0]) * values.scale
    enough = share >= max(_ZERO_SHARE, _ZERO_WINDOWS / max(1, len(whole)))
    if enough and pixels.size and (pixels < _FINE_M).mean() >= _FINE_SHARE:
        message = (
            f"{file}: {100 * share:.2g} % of the sampled windows are 0 throughout, and elsewhere "
            "even the ground is measured: right over water; --height-nodata 0 if nothing is known "
            "there"
        )
        yield Remark(code="height.zeros", message=message)


def tell_of_cut_heights(file: str, sample: HeightSample, values: HeightValues) -> Iterator[Remark]:
    """Tells of a highest height that is there too often: what was higher has been cut off.

    Args:
        file: The height raster's name.
        sample: Of heights above ground, on their own grid.
        values: What they mean.
    """
    kept = [
        stored[np.isfinite(values.metres(stored, valid))]
        for stored, valid in zip(sample.stored, sample.valid, strict=True)
    ]
    numbers, counts = np.unique(np.concatenate(kept), return_counts=True)
    if len(numbers) < 2 or counts[-1] < _CUT_SHARE * counts.sum():
        return
    most = np.issubdtype(numbers.dtype, np.integer) and numbers[-1] == np.iinfo(numbers.dtype).max
    if most or stands_out(numbers.astype(np.float64), counts, len(numbers) - 1, values.scale):
        metres = float(numbers[-1]) * values.scale + values.offset_m
        message = (
            f"{file}: {100 * counts[-1] / counts.sum():.1f} % of the heights are {metres:.4g} m, "
            "the highest of all: what is higher seems to be cut off"
        )
        yield Remark(code="height.cut", message=message)


def tell_of_low_heights(file: str, above: Sequence[NDArray[np.float32]]) -> Iterator[Remark]:
    """Tells of a place where nothing stands, which may be one of another unit."""
    heights = np.concatenate([np.empty(0), *(values.ravel() for values in above)])
    heights = heights[np.isfinite(heights)]
    if heights.size < _LEAST_PX:
        return
    low, high = np.quantile(heights, (0.01, 0.99)).tolist()
    if low < high < _LOW_M:
        message = (
            f"{file}: 99 % of the heights are below {high:.2g} m: right where neither houses nor "
            "trees stand; else they are no metres: --height-unit, or --height-unit m if they are"
        )
        yield Remark(code="height.low", message=message)


def tell_of_coarse_steps(file: str, above: Sequence[NDArray[np.float32]]) -> Iterator[Remark]:
    """Tells of heights that are multiples of a metre or more.

    Args:
        file: The height raster's name.
        above: Heights above ground of windows, of any shape, on the raster's own grid.
    """
    heights = np.concatenate([np.empty(0, np.float32), *(values.ravel() for values in above)])
    numbers = np.unique(heights[np.isfinite(heights)])
    if heights.size < _LEAST_PX or not _FEWEST_STEPS <= len(numbers) <= _MOST_STEPS:
        return
    step = float(np.diff(numbers).min())
    if step >= _STEP_M:
        message = (
            f"{file}: heights are in steps of {step:.2g} m: what is finer has been rounded off; "
            "--height-unit if a step is less than that"
        )
        yield Remark(code="height.steps", message=message)
