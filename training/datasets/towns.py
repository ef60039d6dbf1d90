"""Windows of synthetic towns: a pool is drawn once, samples are cut from it at random."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np

from training.augment import augment
from training.samples import Sample, of_rasters
from training.town import Town, draw_town


class TownPool:
    """Towns in memory.

    Args:
        towns: At least one; their heights are kept in half precision (8 mm at 16 m).
    """

    def __init__(self, towns: Sequence[Town]) -> None:
        self._whole = [of_rasters(t.ortho, t.ndsm.astype(np.float16), t.truth) for t in towns]

    def __len__(self) -> int:
        return len(self._whole)

    def windows(self, window_px: int, rng: np.random.Generator) -> Iterator[Sample]:
        """Random augmented windows without end."""
        while True:
            whole = self._whole[rng.integers(len(self._whole))]
            height, width = whole.truth.shape
            row = int(rng.integers(height - window_px + 1))
            col = int(rng.integers(width - window_px + 1))
            yield augment(crop(whole, row, col, window_px), rng)

    def tiles(self, window_px: int) -> Iterator[Sample]:
        """All whole windows side by side, as they were drawn."""
        for whole in self._whole:
            height, width = whole.truth.shape
            for row in range(0, height - window_px + 1, window_px):
                for col in range(0, width - window_px + 1, window_px):
                    yield crop(whole, row, col, window_px)


def crop(whole: Sample, row: int, col: int, side_px: int) -> Sample:
    """A square of a sample; views of its arrays."""
    rows, cols = slice(row, row + side_px), slice(col, col + side_px)
    rasters = {name: raster[:, rows, cols] for name, raster in whole.rasters.items()}
    return Sample(rasters, whole.truth[rows, cols], whole.white)


def draw_pool(first_seed: int, towns: int, size_px: int, gsd_m: float, workers: int) -> TownPool:
    """Draws the towns of consecutive seeds, the same ones for any number of processes."""
    draw = partial(draw_town, size_px=size_px, gsd_m=gsd_m)
    seeds = range(first_seed, first_seed + towns)
    if workers <= 1:
        return TownPool([draw(seed) for seed in seeds])
    # A fresh interpreter each: forking a process that has run torch can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as processes:
        return TownPool(list(processes.map(draw, seeds, chunksize=4)))
