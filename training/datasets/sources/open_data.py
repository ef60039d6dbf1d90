"""From a recipe's `data` table to pools of windows, each file of them checked."""

from collections.abc import Sequence
from typing import Literal

from mfnet.model.classes import ISPRS, MMHUNAN, ClassScheme
from mfnet.training.config.data import (
    DataRecipe,
    Dfc2019Recipe,
    FlairRecipe,
    FolderRecipe,
    GeoNrwRecipe,
    HunanRecipe,
    PotsdamRecipe,
    TownRecipe,
    VaihingenRecipe,
)
from mfnet.training.config.published_schemes import DFC2019, FLAIR, GEONRW
from mfnet.training.datasets.sources.dfc2019 import open_dfc2019
from mfnet.training.datasets.sources.flair import open_flair
from mfnet.training.datasets.sources.folder_manifest import read_manifest
from mfnet.training.datasets.sources.geonrw import open_geonrw
from mfnet.training.datasets.sources.labelled_folder import open_folder
from mfnet.training.datasets.sources.mmhunan import open_mmhunan
from mfnet.training.datasets.sources.potsdam import open_potsdam
from mfnet.training.datasets.sources.synthetic_towns import (
    held_out_towns,
    open_towns,
    validation_towns,
)
from mfnet.training.datasets.sources.vaihingen import open_vaihingen
from mfnet.training.datasets.tiles.interface import Area, Splits

Measured = Literal["test", "validation"]
"""The splits that nothing is learned from."""


def open_data(
    data: DataRecipe, window_px: int, *, workers: int = 1, seen_at_m: float | None = None
) -> Splits:
    """Opens a data set and looks through its labels; takes seconds to minutes.

    Args:
        data: The table.
        window_px: The network's; no tile may be smaller.
        workers: Processes for what is drawn, threads for what is read.
        seen_at_m: Side of the pixels that the network sees all tiles in, about, where they differ
            (drawn ones, and folders of one's own); their own if not given.

    Raises:
        InputError: A file is missing or does not fit; the message names it. See
        `mfnet.model.errors`.
    """
    match data:
        case TownRecipe():
            return open_towns(data, workers, seen_at_m)
        case VaihingenRecipe():
            return open_vaihingen(data, window_px, workers)
        case PotsdamRecipe():
            return open_potsdam(data, window_px, workers)
        case HunanRecipe():
            return open_mmhunan(data, window_px, workers)
        case FlairRecipe():
            return open_flair(data, window_px, workers)
        case GeoNrwRecipe():
            return open_geonrw(data, window_px, workers)
        case Dfc2019Recipe():
            return open_dfc2019(data, window_px, workers)
        case FolderRecipe():
            return open_folder(data, window_px, workers, seen_at_m)


def open_areas(
    data: DataRecipe,
    window_px: int,
    split: Measured,
    *,
    workers: int = 1,
    seen_at_m: float | None = None,
) -> Sequence[Area]:
    """The areas that a model is measured on, without drawing towns that it is not.

    Args:
        data: The table.
        window_px: The network's.
        split: `test`, or `validation`.
        workers: As of `open_data`, which says what is raised, too.
        seen_at_m: Likewise.
    """
    if isinstance(data, TownRecipe):
        if split == "test":
            return held_out_towns(data, workers).areas
        return validation_towns(data, workers, seen_at_m).areas
    splits = open_data(data, window_px, workers=workers, seen_at_m=seen_at_m)
    return splits.test() if split == "test" else splits.validation.areas


def class_scheme(data: DataRecipe) -> ClassScheme:
    """The classes of a data set; of a folder's, the manifest is read.

    Raises:
        BadManifest: It cannot be read, or its classes are none.
    """
    if isinstance(data, FolderRecipe):
        return read_manifest(data.folder).scheme()
    if isinstance(data, FlairRecipe):
        return FLAIR
    if isinstance(data, GeoNrwRecipe):
        return GEONRW
    if isinstance(data, Dfc2019Recipe):
        return DFC2019
    return MMHUNAN if isinstance(data, HunanRecipe) else ISPRS
