"""Windows of synthetic towns, which are drawn once and kept in memory."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.classes import ISPRS
from mfnet.training.config.data import TownRecipe
from mfnet.training.datasets.splitting.subset import share_of
from mfnet.training.datasets.tiles.class_census import Census, count_cells
from mfnet.training.datasets.tiles.interface import Area, Pool, Splits
from mfnet.training.datasets.tiles.samples import Sample, of_rasters
from mfnet.training.synthetic.town import Town, draw_town


@dataclass(frozen=True)
class TownTile:
    """A town in memory; its heights are kept in half precision (8 mm at 16 m)."""

    seed: int
    sample: Sample

    @classmethod
    def of(cls, town: Town) -> "TownTile":
        """The tile of a drawn town."""
        heights = town.ndsm.astype(np.float16)
        return cls(town.seed, of_rasters(town.ortho, heights, town.truth))

    @property
    def name(self) -> str:
        """The town's seed."""
        return f"town {self.seed}"

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.sample.truth.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.sample.truth.shape[1])

    def read(self, window: Window) -> Sample:
        """Views of the town's arrays."""
        rows, cols = window.toslices()
        rasters = {name: raster[:, rows, cols] for name, raster in self.sample.rasters.items()}
        return Sample(rasters, self.sample.truth[rows, cols], self.sample.white)

    def truth(self, window: Window) -> NDArray[np.uint8]:
        """A view of the town's truth."""
        truth: NDArray[np.uint8] = self.sample.truth[window.toslices()]
        return truth

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """Everywhere."""
        return np.ones((window.height, window.width), bool)


class TownPool(Pool):
    """Windows of towns in memory.

    Args:
        towns: At least one.
        augmentation: As in `Pool`.
        sampling: As in `Pool`.
    """

    def __init__(
        self, towns: Sequence[Town], *, augmentation: str = "full", sampling: str = "tiles"
    ) -> None:
        cells = [count_cells(town.truth, len(ISPRS)) for town in towns]
        super().__init__(
            [Area.whole(TownTile.of(town)) for town in towns],
            ISPRS,
            augmentation=augmentation,
            sampling=sampling,
            census=Census(cells, [(town.truth.shape[0], town.truth.shape[1]) for town in towns]),
        )


def open_towns(data: TownRecipe, workers: int) -> Splits:
    """Draws the towns of a recipe; those for the test when they are asked for."""
    seeds = share_of(_seeds(data.first_seed, data.towns), data.share, data.share_seed)
    return Splits(
        ISPRS,
        train=_drawn(data, seeds, data.size_px, workers),
        validation=validation_towns(data, workers),
        test=lambda: held_out_towns(data, workers).areas,
    )


def validation_towns(data: TownRecipe, workers: int) -> TownPool:
    """Draws the towns that one may choose by."""
    seeds = _seeds(data.validation_first_seed, data.validation_towns)
    return _drawn(data, seeds, data.size_px, workers)


def held_out_towns(data: TownRecipe, workers: int) -> TownPool:
    """Draws the towns for the test."""
    seeds = _seeds(data.held_out_first_seed, data.held_out_towns)
    return _drawn(data, seeds, data.held_out_size_px, workers)


def draw_pool(
    seeds: Sequence[int],
    size_px: int,
    gsd_m: float,
    workers: int,
    *,
    augmentation: str = "full",
    sampling: str = "tiles",
) -> TownPool:
    """Draws the towns of some seeds, the same ones for any number of processes."""
    draw = partial(draw_town, size_px=size_px, gsd_m=gsd_m)
    if workers <= 1:
        drawn = [draw(seed) for seed in seeds]
    else:
        # A fresh interpreter each: forking a process that has run torch can hang.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as processes:
            drawn = list(processes.map(draw, seeds, chunksize=4))
    return TownPool(drawn, augmentation=augmentation, sampling=sampling)


def _seeds(first: int, towns: int) -> range:
    return range(first, first + towns)


def _drawn(data: TownRecipe, seeds: Sequence[int], size_px: int, workers: int) -> TownPool:
    return draw_pool(
        seeds,
        size_px,
        data.gsd_m,
        workers,
        augmentation=data.augmentation,
        sampling=data.sampling,
    )
