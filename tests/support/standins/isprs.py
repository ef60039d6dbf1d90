"""Stand-ins for ISPRS Vaihingen and Potsdam, in the folders and names of the benchmark's files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mfnet.model.classes import ISPRS
from mfnet.training.datasets.sources.paper_layout import read_split
from standins.scenes import class_map, coloured, write

Truths = dict[str, NDArray[np.uint8]]

COLOURS = [c.rgb for c in ISPRS.classes]
HEIGHTS_M = np.array([0, 9, 0.3, 7, 1.5, 1], np.float32)
"""Of each class above the ground."""


def eroded(truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The class map with 255 where two classes meet."""
    out = truth.copy()
    out[:, 1:][truth[:, 1:] != truth[:, :-1]] = 255
    out[1:][truth[1:] != truth[:-1]] = 255
    return out


def write_vaihingen(folder: Path, height: int = 64, width: int = 80) -> Truths:
    """Writes all 16 tiles; returns the class map of each id."""
    split = read_split("vaihingen")
    truths = {}
    for seed, name in enumerate((*split.train, *split.test)):
        truth = truths[name] = class_map(seed, height, width, 6)
        picture = f"top_mosaic_09cm_area{name}"
        ortho = np.stack([truth * 40 + 5, truth * 20, 255 - truth * 30]).astype(np.uint8)
        write(folder / "top" / f"{picture}.tif", ortho, photometric="rgb")
        surface = 270 + HEIGHTS_M[truth]  # metres above the sea
        write(folder / "dsm" / f"dsm_09cm_matching_area{name}.tif", surface[None])
        write(folder / "gts_for_participants" / f"{picture}.tif", coloured(truth, COLOURS))
        border = coloured(eroded(truth), COLOURS)
        write(folder / "gts_eroded_for_participants" / f"{picture}_noBoundary.tif", border)
    return truths


def write_potsdam(folder: Path, side: int = 64, *, padded: bool = True) -> Truths:
    """Writes all 24 tiles; returns the class map of each id.

    Tile 6_7 has its cars in 252,255,0, tile 4_12 is blurred: as in the benchmark's own files.

    Args:
        folder: Is made.
        side: Of a tile, pixels.
        padded: The heights' names have two digits, as the owners hand them out.
    """
    split = read_split("potsdam")
    truths = {}
    for seed, name in enumerate((*split.train, *split.test)):
        truth = truths[name] = class_map(seed, side, side, 6)
        bands = [truth * 40, truth * 20, 255 - truth * 30, truth * 10 + 100]
        ortho = np.stack(bands).astype(np.uint8)
        write(folder / "4_Ortho_RGBIR" / f"top_potsdam_{name}_RGBIR.tif", ortho)
        number = "_".join(part.zfill(2) for part in name.split("_")) if padded else name
        heights = (HEIGHTS_M[truth] * 10).astype(np.uint8)
        jpeg = folder / "1_DSM_normalisation" / f"dsm_potsdam_{number}_normalized_lastools.jpg"
        write(jpeg, heights[None], quality=100)
        for part, classes in (("", truth), ("noBoundary", eroded(truth))):
            parent = "5_Labels_for_participants" + ("_no_Boundary" if part else "")
            file = f"top_potsdam_{name}_label{'_' if part else ''}{part}.tif"
            write(folder / parent / file, _as_published(name, coloured(classes, COLOURS)))
    return truths


def _as_published(name: str, colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if name == "6_7":
        cars = (colours == np.array([255, 255, 0])[:, None, None]).all(axis=0)
        colours[0, cars] = 252
    if name == "4_12":
        noise = np.random.default_rng(0).integers(0, 40, colours.shape)
        colours = np.where(colours == 255, 255 - noise, noise).astype(np.uint8)
    return colours
