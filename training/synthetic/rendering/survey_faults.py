"""What image matching and laser scanning make of heights, each with faults of its own kind."""

import numpy as np
from numpy.typing import NDArray

from mfnet.training.synthetic.rendering.light_and_survey import moved
from mfnet.training.synthetic.rendering.noise import Field, layered_noise, smooth_noise, soften


def survey_badly(height: Field, gsd_m: float, rng: np.random.Generator, *, real: bool) -> Field:
    """(H, W) metres above ground as some survey finds them, NaN where it finds nothing.

    Args:
        height: (H, W) metres above ground.
        gsd_m: Side of a pixel in metres.
        rng: Decides the survey.
        real: The heights are a survey's already: fewer faults are added.
    """
    size = height.shape[0]
    kind = rng.choice(3, p=(0.75, 0.15, 0.1) if real else (0.35, 0.4, 0.25))
    heights = height
    if kind == 1:  # image matching: round edges, smeared crowns
        heights = soften(heights, min(rng.uniform(0.15, 0.9) / gsd_m, 4.0))
        heights = heights + np.float32(rng.uniform(0, 0.3)) * layered_noise(
            rng, size, size, 2.5 / gsd_m, 3
        )
    elif kind == 2:  # a coarser raster
        heights = _coarser(heights, int(np.clip(rng.uniform(0.4, 1.2) / gsd_m, 1, 8)), rng)
    elif not real:
        heights = soften(heights, rng.uniform(0.0, 1.0))
    shift_px = 1 if real else max(1, round(0.3 / gsd_m))
    down, right = rng.integers(-shift_px, shift_px + 1, 2)
    heights = moved(heights, int(down), int(right))
    heights = heights + rng.normal(0, rng.uniform(0.0, 0.1), heights.shape).astype(np.float32)
    heights += np.float32(rng.uniform(0.0, 0.12)) * layered_noise(rng, size, size, 5 / gsd_m, 3)
    if rng.random() < 0.4:  # terrain that the ground model did not take away
        heights += np.float32(rng.uniform(0.1, 0.8)) * smooth_noise(rng, size, size, 30 / gsd_m)
    if rng.random() < 0.25:
        step = np.float32(rng.choice((0.1, 0.2, 0.5), p=(0.45, 0.45, 0.1)))
        heights = np.round(heights / step) * step
    return np.where(_gaps(heights, rng), np.float32(np.nan), heights)


def hits_below_crowns(
    height: Field, crowns: NDArray[np.bool_], gsd_m: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Where a laser's pulses passed through the leaves, (H, W)."""
    size = height.shape[0]
    if rng.random() < 0.5:
        return np.zeros(height.shape, bool)
    grainy = layered_noise(rng, size, size, rng.uniform(0.3, 1.5) / gsd_m, 2)
    grainy = grainy + rng.normal(0, 0.4, height.shape).astype(np.float32)
    share = rng.uniform(0.02, 0.35)
    through: NDArray[np.bool_] = crowns & (grainy > np.quantile(grainy[::4, ::4], 1 - share))
    return through


def _coarser(heights: Field, factor: int, rng: np.random.Generator) -> Field:
    """Highest or mean height of blocks of pixels, shown on the fine grid again."""
    rows, columns = heights.shape
    if factor < 2:
        return heights
    padded = np.pad(heights, ((0, -rows % factor), (0, -columns % factor)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // factor, factor, padded.shape[1] // factor, factor)
    small = blocks.max(axis=(1, 3)) if rng.random() < 0.5 else blocks.mean(axis=(1, 3))
    fine = np.repeat(np.repeat(small, factor, axis=0), factor, axis=1)
    if rng.random() < 0.6:
        fine = soften(fine, factor / 2.5)  # as resampling by bilinear interpolation does
    return np.ascontiguousarray(fine[:rows, :columns])


def _gaps(heights: Field, rng: np.random.Generator) -> NDArray[np.bool_]:
    size = heights.shape[0]
    if rng.random() < 0.5:
        return np.zeros(heights.shape, bool)
    slope_down, slope_right = np.gradient(heights)
    steep = soften(np.minimum(np.abs(slope_down) + np.abs(slope_right), 2).astype(np.float32), 2)
    doubt = layered_noise(rng, size, size, 24, 4) + np.float32(0.25) * steep
    gaps: NDArray[np.bool_] = doubt > np.quantile(doubt[::4, ::4], 1 - rng.uniform(0.002, 0.04))
    return gaps
