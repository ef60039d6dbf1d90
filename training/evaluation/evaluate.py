"""Measures a model on labelled tiles of any data set, through the engine that users run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import rasterio
from rasterio.windows import Window

from mfnet.model.classes import ClassScheme
from mfnet.model.errors import BadRecipe
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
from mfnet.model.inference.segment import Segmentation
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.network.mfnet import MFNet
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.training.datasets.readers.pair_files import gsd_of_own, pair_files
from mfnet.training.datasets.tiles.interface import Area, Tile
from mfnet.training.evaluation.class_metrics import Confusion
from mfnet.training.evaluation.reliability import Reliability

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
    """

    confusion: Confusion
    reliability: Reliability
    conditions: dict[str, Any]

    def summary(self) -> dict[str, Any]:
        """All figures, JSON values: see `Confusion.summary` and `Reliability.summary`."""
        return {
            **self.confusion.summary(),
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
        device: A name in `mfnet.model.engine_options.Device`.
        folder: Where a tile's files are while it is measured; the system's if not given.
        progress: Hears of the pixels mapped.

    Raises:
        BadRecipe: The model has other classes than the areas.
        InputError: What the engine refuses of the tiles.
    """
    require_same_classes(net, scheme)
    runtime = TorchRuntime(net, device) if isinstance(net, MFNet) else net
    found = Evaluation(Confusion(scheme), Reliability(), _conditions(runtime, areas, stride))
    done, total = 0, sum(area.window.height * area.window.width for area in areas)
    for tile in (area.raster for area in areas):
        pixels = tile.height * tile.width
        told = partial(_tell, progress, done, pixels, total)
        gsd = gsd_of_own(tile) or gsd_m
        with TemporaryDirectory(prefix="mfnet-evaluate-", dir=folder) as aside:
            maps = _map(runtime, tile, Path(aside), gsd, stride, told)
            _compare(tile, *maps, None if gsd is None else gsd**2, found)
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
    stride: int | None,
    progress: Progress,
) -> tuple[Path, Path]:
    """The files of a tile's map and of its confidence."""
    files = pair_files(tile, folder, gsd_m or 1.0)
    classes, percent = folder / "classes.tif", folder / "confidence.tif"
    with RasterPair.open(files.ortho, files.height, dtm=files.dtm, options=files.options) as pair:
        options = SegmentOptions(stride=stride)
        whole = Segmentation(pair, runtime, options, confidence=True, progress=progress)
        whole.map(classes, confidence=percent)
    return classes, percent


def _compare(
    tile: Tile, classes: Path, percent: Path, pixel_m2: float | None, found: Evaluation
) -> None:
    """Adds a map to what was found, strip by strip."""
    with rasterio.open(classes) as mapped, rasterio.open(percent) as sure:
        for row in range(0, tile.height, STRIP_PX):
            strip = Window(0, row, tile.width, min(STRIP_PX, tile.height - row))
            truth, there = tile.truth(strip), mapped.read(1, window=strip)
            found.confusion.add(truth, there, pixel_m2)
            found.reliability.add(truth, there, sure.read(1, window=strip) / 100)


def _tell(progress: Progress, before: int, pixels: int, total: int, done: int, of: int) -> None:
    progress(before + pixels * done // of, total)


def _conditions(runtime: Runtime, areas: Sequence[Area], stride: int | None) -> dict[str, Any]:
    config = runtime.config
    return {
        "tiles": [area.raster.name for area in areas],
        "window_px": config.window_px,
        "stride_px": stride or config.stride_px,
        "blend": "mean",
        "precision": runtime.precision,
    }
