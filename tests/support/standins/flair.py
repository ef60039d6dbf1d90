"""A stand-in for FLAIR #1, in the folders, names and bands that IGN's archives have."""

from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from standins.scenes import write

DOMAINS = {
    "train": ("D006_2020", "D007_2020", "D004_2021"),  # the last one is for validation
    "test": ("D012_2019",),
}
PREFIX = {"train": ("flair_aerial_train", "flair_labels_train")}
PREFIX["test"] = ("flair_1_aerial_test", "flair_1_labels_test")


def write_flair(folder: Path, side: int = 64, patches: int = 2) -> dict[str, NDArray[np.uint8]]:
    """Writes a few patches a domain; returns the stored labels, 1 to 19, by the patch's number."""
    labels: dict[str, NDArray[np.uint8]] = {}
    for part, domains in DOMAINS.items():
        images, masks = PREFIX[part]
        for domain in domains:
            for _ in range(patches):
                number = f"{len(labels) + 1:06d}"
                rng = np.random.default_rng(len(labels))
                squares = rng.permutation(np.arange(64) % 19).reshape(8, 8) + 1
                label = np.kron(squares, np.ones((side // 8, side // 8), int)).astype(np.uint8)
                labels[number] = label
                image = rng.integers(0, 256, (5, side, side), dtype=np.uint8)
                image[4] = label * 5  # as many metres as the label's number
                place = {
                    "crs": "EPSG:2154",
                    "transform": Affine(0.2, 0, 9e5 + 1e3 * len(labels), 0, -0.2, 6.6e6),
                }
                write(folder / images / domain / "Z1_UA/img" / f"IMG_{number}.tif", image, **place)
                mask = folder / masks / domain / "Z1_UA/msk" / f"MSK_{number}.tif"
                write(mask, label[None], **place)
    return labels
