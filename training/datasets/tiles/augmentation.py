"""Random changes that leave the truth true: of place, of colour, of the heights' quality."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mfnet.model.classes import NODATA
from mfnet.training.datasets.tiles.gaps import draw_gaps
from mfnet.training.datasets.tiles.samples import Sample

GAPS_IN_ORTHO, GAPS_IN_HEIGHTS = 0.25, 0.15
"""Shares of the windows."""
GAP_SHARES = (0.01, 0.5)
"""Of a window's pixels, from and to."""
NO_HEIGHTS = 0.1
"""Share of the twins without any heights."""


def augment(sample: Sample, rng: np.random.Generator) -> Sample:
    """Turned or mirrored, in other light, with another survey's heights."""
    sample = turn(sample, quarter_turns=int(rng.integers(4)), mirror=bool(rng.integers(2)))
    rasters = dict(sample.rasters)
    if "ortho" in rasters:
        rasters["ortho"] = relight(rasters["ortho"], sample.white, rng)
    if "ndsm" in rasters:
        heights = np.asarray(rasters["ndsm"], np.float32)
        rasters["ndsm"] = resurvey(heights, rng, sample.metre)
    return leave_out(sample.with_rasters(**rasters), rng)


def leave_out(sample: Sample, rng: np.random.Generator) -> Sample:
    """At times with gaps in the orthophoto, where nothing is to be learned, or in the heights."""
    height, width = sample.truth.shape
    if "ortho" in sample.rasters and rng.random() < GAPS_IN_ORTHO:
        gap = draw_gaps(rng, height, width, share=rng.uniform(*GAP_SHARES))
        sample = without_ortho(sample, gap)
    if "ndsm" in sample.rasters and rng.random() < GAPS_IN_HEIGHTS:
        gap = draw_gaps(rng, height, width, share=rng.uniform(*GAP_SHARES))
        sample = without_heights(sample, gap)
    return sample


def twin(sample: Sample, rng: np.random.Generator) -> Sample:
    """The same window with gaps in the orthophoto, the heights, or the same ones in both.

    Small gaps come as often as large ones; at times all heights are missing.
    """
    if "ndsm" in sample.rasters and rng.random() < NO_HEIGHTS:
        return without_heights(sample, np.ones(sample.truth.shape, bool))
    share = float(np.exp(rng.uniform(*np.log(GAP_SHARES))))
    height, width = sample.truth.shape
    gap = draw_gaps(rng, height, width, share)
    choices = [(name,) for name in sample.rasters] + [tuple(sample.rasters)]
    names = choices[rng.integers(len(choices))]
    if "ortho" in names:
        sample = without_ortho(sample, gap)
    return without_heights(sample, gap) if "ndsm" in names else sample


def without_ortho(sample: Sample, gap: NDArray[np.bool_]) -> Sample:
    """With a gap (H, W) in the orthophoto, where nothing is to be learned."""
    known = sample.no_ortho
    return replace(
        sample,
        no_ortho=gap if known is None else gap | known,
        truth=np.where(gap, np.uint8(NODATA), sample.truth),
    )


def without_heights(sample: Sample, gap: NDArray[np.bool_]) -> Sample:
    """With a gap (H, W) in the heights."""
    heights = np.asarray(sample.rasters["ndsm"], np.float32)
    return sample.with_rasters(ndsm=np.where(gap, np.float32(np.nan), heights))


def flip(sample: Sample, rng: np.random.Generator) -> Sample:
    """The paper's: upside down and left to right, each with probability one half."""
    upside_down, mirrored = rng.random(2) < 0.5
    # Upside down is half a turn and a mirror.
    return turn(sample, quarter_turns=2 * int(upside_down), mirror=bool(upside_down ^ mirrored))


def keep(sample: Sample, rng: np.random.Generator) -> Sample:
    """The sample as it is."""
    return sample


AUGMENTATIONS: dict[str, Callable[[Sample, np.random.Generator], Sample]] = {
    "full": augment,
    "paper": flip,
    "none": keep,
}
"""By the name that a recipe gives them."""


def turn(sample: Sample, quarter_turns: int, mirror: bool) -> Sample:
    """All rasters and the truth, turned counter-clockwise, then mirrored left to right."""

    def turned(raster: NDArray[np.generic]) -> NDArray[np.generic]:
        raster = np.rot90(raster, quarter_turns, axes=(-2, -1))
        return raster[..., ::-1] if mirror else raster

    gap = sample.no_ortho
    return replace(
        sample,
        no_ortho=None if gap is None else turned(gap).astype(bool, copy=False),
        rasters={name: turned(raster) for name, raster in sample.rasters.items()},
        truth=turned(sample.truth).astype(np.uint8, copy=False),
    )


def relight(
    ortho: NDArray[np.generic], white: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(C, H, W) digital numbers with another gain, offset and gamma in each band."""
    shape = (ortho.shape[0], 1, 1)
    gain = rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, shape)
    offset = rng.uniform(-0.05, 0.05) + rng.uniform(-0.015, 0.015, shape)
    gamma = rng.uniform(0.85, 1.18)
    share = np.clip(np.asarray(ortho, np.float32) / np.float32(white), 0, 1) ** np.float32(gamma)
    share = share * gain.astype(np.float32) + offset.astype(np.float32)
    lit: NDArray[np.float32] = np.clip(share, 0, 1) * np.float32(white)
    return lit


def resurvey(
    ndsm: NDArray[np.float32], rng: np.random.Generator, metre: float = 1.0
) -> NDArray[np.float32]:
    """(1, H, W) heights with a shift and noise; at times with a large gap, seldom all gone (NaN).

    Args:
        ndsm: Heights in any unit.
        rng: Where the chance comes from.
        metre: What a metre is in that unit.
    """
    heights = ndsm + np.float32(metre * rng.normal(0, 0.1))
    if rng.random() < 0.5:
        noise = rng.normal(0, rng.uniform(0, 0.12), ndsm.shape)
        heights += (metre * noise).astype(np.float32)
    if rng.random() < 0.04:
        return np.full_like(heights, np.nan)
    if rng.random() < 0.2:
        height, width = heights.shape[-2:]
        row, col = rng.integers(0, height), rng.integers(0, width)
        heights[..., row : row + height // 4, col : col + width // 4] = np.nan
    return heights
