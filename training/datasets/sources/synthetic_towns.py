"""Windows of synthetic towns, which are drawn once and kept in memory."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.classes import ISPRS
from mfnet.model.config import halvings_to
from mfnet.model.errors import BadRecipe
from mfnet.training.config.data import PlacesRecipe, TownRecipe
from mfnet.training.datasets.splitting.subset import share_of
from mfnet.training.datasets.tiles.class_census import Census, count_cells
from mfnet.training.datasets.tiles.interface import Area, Pool, Splits
from mfnet.training.datasets.tiles.samples import Sample, of_rasters
from mfnet.training.synthetic.any_town import draw_any_town
from mfnet.training.synthetic.real_heights import RealHeights, draw_over
from mfnet.training.synthetic.town import Town, draw_town

Draw = Callable[[int], Town]
"""From a seed to a town."""


@dataclass(frozen=True)
class TownTile:
    """A town in memory; its heights are kept in half precision (8 mm at 16 m)."""

    seed: int
    sample: Sample
    gsd_m: float
    infrared: bool = False

    @classmethod
    def of(cls, town: Town) -> "TownTile":
        """The tile of a drawn town."""
        heights = town.ndsm.astype(np.float16)
        return cls(
            town.seed, of_rasters(town.ortho, heights, town.truth), town.gsd_m, town.infrared
        )

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
        seen_at_m: Side of the pixels that the network sees all towns in, about; their own if not
            given.
    """

    def __init__(
        self,
        towns: Sequence[Town],
        *,
        augmentation: str = "full",
        sampling: str = "tiles",
        seen_at_m: float | None = None,
    ) -> None:
        cells = [count_cells(town.truth, len(ISPRS)) for town in towns]
        super().__init__(
            [
                Area.whole(TownTile.of(town), halvings_to(seen_at_m or town.gsd_m, town.gsd_m))
                for town in towns
            ],
            ISPRS,
            augmentation=augmentation,
            sampling=sampling,
            census=Census(cells, [(town.truth.shape[0], town.truth.shape[1]) for town in towns]),
        )


def open_towns(data: TownRecipe, workers: int, seen_at_m: float | None = None) -> Splits:
    """Draws the towns of a recipe; those for the test when they are asked for."""
    seeds = share_of(_seeds(data.first_seed, data.towns), data.share, data.share_seed)
    return Splits(
        ISPRS,
        train=_pool(data, _draw(_for_training(data), seeds, workers), seen_at_m),
        validation=validation_towns(data, workers, seen_at_m),
        test=lambda: held_out_towns(data, workers).areas,
    )


def validation_towns(data: TownRecipe, workers: int, seen_at_m: float | None = None) -> TownPool:
    """Draws the towns that one may choose by."""
    seeds = _seeds(data.validation_first_seed, data.validation_towns)
    return _pool(data, _draw(_synthetic(data, data.size_px), seeds, workers), seen_at_m)


def held_out_towns(data: TownRecipe, workers: int) -> TownPool:
    """Draws the towns for the test."""
    seeds = _seeds(data.held_out_first_seed, data.held_out_towns)
    towns = _draw(_synthetic(data, data.held_out_size_px), seeds, workers)
    if isinstance(data, PlacesRecipe):
        real = [one for one in read_heights(data) if one.name in data.held_out_heights]
        towns += [draw_over(one, seed, data.size_px) for one in real for seed in seeds[:4]]
    return _pool(data, towns)


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
    drawn = _draw(partial(draw_town, size_px=size_px, gsd_m=gsd_m), seeds, workers)
    return TownPool(drawn, augmentation=augmentation, sampling=sampling)


def read_heights(data: PlacesRecipe) -> list[RealHeights]:
    """The real heights of a recipe, by name.

    Raises:
        BadRecipe: The folder holds none, or not those that are held out.
    """
    if data.heights is None:
        return []
    folders = sorted(path.parent for path in data.heights.glob("*/classes.tif"))
    missing = {*data.held_out_heights} - {folder.name for folder in folders}
    if not folders or missing:
        raise BadRecipe(
            f"data.heights is {str(data.heights)!r}, where {', '.join(sorted(missing)) or 'none'} "
            "of the expected folders with ndsm.tif and classes.tif are",
            key="data.heights",
        )
    return [RealHeights.read(folder) for folder in folders]


def _synthetic(data: TownRecipe, size_px: int) -> Draw:
    """Draws what a seed of a recipe stands for."""
    if isinstance(data, PlacesRecipe):
        return partial(draw_any_town, size_px=size_px)
    return partial(draw_town, size_px=size_px, gsd_m=data.gsd_m)


def _for_training(data: TownRecipe) -> Draw:
    if not isinstance(data, PlacesRecipe):
        return _synthetic(data, data.size_px)
    real = [one for one in read_heights(data) if one.name not in data.held_out_heights]
    # Heights in pixels of more than a metre show layout, and no roof.
    fine = [one for one in real if one.gsd_m <= 1]
    areas = np.asarray([one.classes.size for one in fine], np.float64) ** 0.5
    return partial(
        _draw_place,
        size_px=data.size_px,
        real=tuple(fine),
        shares=tuple((areas / areas.sum()).tolist()) if fine else (),
        real_share=data.heights_share if fine else 0.0,
    )


def _draw_place(
    seed: int,
    size_px: int,
    real: tuple[RealHeights, ...],
    shares: tuple[float, ...],
    real_share: float,
) -> Town:
    """A synthetic place, or colours over real heights, by the seed."""
    rng = np.random.default_rng((seed, 1))
    if rng.random() < real_share:
        return draw_over(real[rng.choice(len(real), p=shares)], seed, size_px)
    return draw_any_town(seed, size_px)


def _draw(draw: Draw, seeds: Sequence[int], workers: int) -> list[Town]:
    if workers <= 1:
        return [draw(seed) for seed in seeds]
    # A fresh interpreter each: forking a process that has run torch can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as processes:
        return list(processes.map(draw, seeds, chunksize=4))


def _seeds(first: int, towns: int) -> range:
    return range(first, first + towns)


def _pool(data: TownRecipe, towns: Sequence[Town], seen_at_m: float | None = None) -> TownPool:
    return TownPool(
        towns, augmentation=data.augmentation, sampling=data.sampling, seen_at_m=seen_at_m
    )
