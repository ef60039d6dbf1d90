"""Measures a model on held-out towns, through the engine that users run."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import rasterio

from model.errors import BadRecipe
from model.inference.segment import segment
from model.network.mfnet import MFNet
from training.datasets.recipe import TownRecipe
from training.metrics import Confusion
from training.recipe import Recipe
from training.town import draw_town, write_town


def evaluate(
    net: MFNet,
    recipe: Recipe,
    *,
    stride: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Maps each held-out town of a recipe from GeoTIFFs and compares it with the truth.

    Args:
        net: The model.
        recipe: Whose `data.held_out_*` say which towns.
        stride: Pixels between windows; the model's own if not given.
        progress: Called with the towns done and their total.

    Returns:
        What `Confusion.summary` returns, over all towns together, and under "conditions" what was
        measured on.

    Raises:
        BadRecipe: The model has another class scheme than the towns.
    """
    data = recipe.data
    if not isinstance(data, TownRecipe):
        raise BadRecipe(f"data.kind is {data.kind!r}; only towns are measured as yet")
    confusion = Confusion(net.config.classes)
    if net.config.classes.name != "isprs":
        raise BadRecipe(
            f"model {net.config.name!r} maps the classes {net.config.classes.name!r}; "
            "the towns have 'isprs'"
        )
    seeds = range(data.held_out_first_seed, data.held_out_first_seed + data.held_out_towns)
    with TemporaryDirectory(prefix="mfnet-evaluate-") as folder:
        for done, seed in enumerate(seeds):
            progress(done, len(seeds))
            _map_town(net, data, seed, Path(folder) / str(seed), stride, confusion)
    progress(len(seeds), len(seeds))
    conditions = {
        "towns": f"seeds {seeds.start} to {seeds.stop - 1}, {data.held_out_size_px} px a side",
        "gsd_m": data.gsd_m,
        "window_px": net.config.window_px,
        "stride_px": stride or net.config.stride_px,
        "blend": "mean",
    }
    return {**confusion.summary(), "conditions": conditions}


def _map_town(
    net: MFNet, data: TownRecipe, seed: int, folder: Path, stride: int | None, confusion: Confusion
) -> None:
    town = draw_town(seed, data.held_out_size_px, data.gsd_m)
    write_town(folder, town)
    classes = folder / "classes.tif"
    segment(folder / "ortho.tif", folder / "ndsm.tif", net, classes, stride=stride)
    with rasterio.open(classes) as raster:
        confusion.add(town.truth, raster.read(1))
