"""A stand-in for MMHunan, in the folders and names that its owners hand out."""

from pathlib import Path

import numpy as np
from affine import Affine

from mfnet.training.datasets.sources.paper_layout import read_split
from standins.isprs import Truths
from standins.scenes import write


def write_mmhunan(folder: Path, side: int = 32) -> Truths:
    """Writes all 500 patches; returns the raw numbers, 0 to 12, of each id.

    Sentinel-2 has 13 bands; the topography has elevation and slope.
    """
    split = read_split("mmhunan")
    raws = {}
    for seed, name in enumerate((*split.train, *split.test)):
        # the owners' split is another than the authors' of MFNet
        part = "train" if seed % 10 < 7 else "val" if seed % 10 < 9 else "test"
        rng = np.random.default_rng(seed)
        raw = raws[name] = np.kron(
            rng.permutation(np.arange(64) % 13).reshape(8, 8), np.ones((4, 4), int)
        ).astype(np.uint8)[:side, :side]
        place = {"crs": "EPSG:32649", "transform": Affine(10, 0, 5e5 + 1e4 * seed, 0, -10, 3e6)}
        bands = rng.integers(200, 3000, (13, side, side)).astype(np.uint16)
        relief = np.linspace(300, 420, side, dtype=np.float32) + np.zeros((side, 1), np.float32)
        topo = np.stack([relief, np.zeros_like(relief)])
        write(folder / part / "s2" / f"s2_{name}.tif", bands, **place)
        write(folder / part / "topo" / f"topo_{name}.tif", topo, **place)
        write(folder / part / "lc" / f"lc_{name}.tif", raw[None], **place)
    return raws
