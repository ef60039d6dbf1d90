"""Measures a model on labelled tiles of any data set, through the engine that users run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.classes import ClassScheme
from mfnet.model.errors import BadRecipe
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
from mfnet.model.inference.segment import Segmentation
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.network.mfnet import MFNet
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.products.areas.area_estimates import BY_TILE
from mfnet.training.datasets.readers.pair_files import gsd_of_own, pair_files
from mfnet.training.datasets.tiles.interface import Area, Tile
from mfnet.training.evaluation.class_metrics import Confusion
from mfnet.training.evaluation.reliability import Reliability

_GROUPS = 64
"""Tiles whose counts are kept apart in a model's file."""
STRIP_PX = 256
"""Rows that are compared at once: those of a class raster's blocks."""

Progress = Callable[[int, int], None]
"""Called with the pixels done and their total."""


@dataclass(frozen=True)
class Evaluation:
    """What was found on some tiles.

    Attributes:
        confusion: Their pixels by true and mapped class.
        reliability: The same by confidence.
        conditions: What was measured on, and how; JSON values.
        by_tile: The same pixels of each tile, by its name.
    """

    confusion: Confusion
    reliability: Reliability
    conditions: dict[str, Any]
    by_tile: dict[str, Confusion] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """All figures, JSON values.

        Returns:
            What `Confusion.summary` and `Reliability.summary` say; `confusion_by_tile`, of each
            tile as `confusion`, of neighbours together where there are many; `conditions`.
        """
        return {
            **self.confusion.summary(),
            BY_TILE: _at_most([each.counts for each in self.by_tile.values()], _GROUPS),
            **self.reliability.summary(),
            "conditions": self.conditions,
        }


def evaluate(
    net: MFNet | Runtime,
    areas: Sequence[Area],
    scheme: ClassScheme,
    *,
    gsd_m: float | None = None,
    stride: int | None = None,
    blend: str = "hann",
    device: str = "auto",
    folder: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> Evaluation:
    """Maps areas, each as GeoTIFFs of its own, and compares the maps with the truth.

    A whole tile is one raster; an area that is a part of a tile is mapped as if there were no more
    of it. Rasters and truth are read in strips, and one tile's files are on the disk at a time.

    Args:
        net: The model; or ready to answer, which then says where.
        areas: `Splits.test()`, or `Splits.validation.areas`.
        scheme: What their truth's values mean: `Splits.scheme`.
        gsd_m: Size of a pixel, metres, where the tiles' files do not say it.
        stride: Pixels between windows; the model's own if not given.
        blend: How they are weighted where they overlap.
        device: A name in `mfnet.model.engine_options.Device`.
        folder: Where a tile's files are while it is measured; the system's if not given.
        progress: Hears of the pixels mapped.

    Raises:
        BadRecipe: The model has other classes than the areas.
        InputError: What the engine refuses of the tiles.
    """
    require_same_classes(net, scheme)
    runtime = TorchRuntime(net, device) if isinstance(net, MFNet) else net
    options = SegmentOptions(stride=stride, blend=blend)
    conditions = _conditions(runtime, areas, options)
    found = Evaluation(Confusion(scheme), Reliability(), conditions)
    done, total = 0, sum(area.window.height * area.window.width for area in areas)
    for area in areas:
        tile, of_tile = area.raster, found.by_tile.setdefault(area.tile.name, Confusion(scheme))
        pixels = tile.height * tile.width
        told = partial(_tell, progress, done, pixels, total)
        gsd = gsd_of_own(tile) or gsd_m
        with TemporaryDirectory(prefix="mfnet-evaluate-", dir=folder) as aside:
            maps = _map(runtime, tile, Path(aside), gsd, options, told)
            _compare(tile, *maps, None if gsd is None else gsd**2, (found, of_tile))
        done += pixels
    return found


def require_same_classes(net: MFNet | Runtime, scheme: ClassScheme) -> None:
    """Refuses a model that has other classes than the data, BadRecipe."""
    config = net.config
    if config.classes.names != scheme.names:
        raise BadRecipe(
            f"model {config.name!r} maps the classes {config.classes.name!r} "
            f"({', '.join(config.classes.names)}); the data have {scheme.name!r} "
            f"({', '.join(scheme.names)}): measure it on data of its own classes"
        )


def _map(
    runtime: Runtime,
    tile: Tile,
    folder: Path,
    gsd_m: float | None,
    options: SegmentOptions,
    progress: Progress,
) -> tuple[Path, Path]:
    """The files of a tile's map and of its confidence."""
    files = pair_files(tile, folder, gsd_m or 1.0)
    classes, percent = folder / "classes.tif", folder / "confidence.tif"
    with RasterPair.open(files.ortho, files.height, dtm=files.dtm, options=files.options) as pair:
        whole = Segmentation(pair, runtime, options, confidence=True, progress=progress)
        whole.map(classes, confidence=percent)
    return classes, percent


def _compare(
    tile: Tile,
    classes: Path,
    percent: Path,
    pixel_m2: float | None,
    found: tuple[Evaluation, Confusion],
) -> None:
    """Adds a map to what was found, of all tiles and of this one, strip by strip."""
    whole, of_tile = found
    with rasterio.open(classes) as mapped, rasterio.open(percent) as sure:
        for row in range(0, tile.height, STRIP_PX):
            strip = Window(0, row, tile.width, min(STRIP_PX, tile.height - row))
            truth, there = tile.truth(strip), mapped.read(1, window=strip)
            for confusion in (whole.confusion, of_tile):
                confusion.add(truth, there, pixel_m2)
            whole.reliability.add(truth, there, sure.read(1, window=strip) / 100)


def _at_most(counts: list[NDArray[np.int64]], number: int) -> list[list[list[int]]]:
    """The counts; of neighbours in the list together where they are more than so many."""
    if len(counts) > number:
        cuts = np.linspace(0, len(counts), number + 1).astype(int)
        counts = [sum(counts[a:b], np.zeros_like(counts[0])) for a, b in pairwise(cuts.tolist())]
    return [each.tolist() for each in counts]


def _tell(progress: Progress, before: int, pixels: int, total: int, done: int, of: int) -> None:
    progress(before + pixels * done // of, total)


def _conditions(runtime: Runtime, areas: Sequence[Area], options: SegmentOptions) -> dict[str, Any]:
    config = runtime.config
    return {
        "tiles": [area.raster.name for area in areas],
        "window_px": config.window_px,
        "stride_px": options.stride or config.stride_px,
        "blend": options.blend,
        "precision": runtime.precision,
    }
