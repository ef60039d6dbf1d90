"""How does a model do on a real place? IGN's 50 × 50 m against the classes of its LiDAR points.

    python benchmarks/ign.py ../shared/data/pairs/ign [--model town-small] [--panel out.png]

The LiDAR's classes are coarser than ours: its ground holds streets and lawns, its low and medium
vegetation hold lawns and shrubs. So a pixel counts as right where our class is one that the LiDAR's
may be.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from report import RESULTS, Row, report

from model import load_model, segment
from model.panel import write_panel

# LiDAR class → the classes of ISPRS that it may be, by value.
MEANS = {
    "building": (6, {1}),
    "high vegetation": (5, {3}),
    "ground": (2, {0, 2}),
}
ORTHOS = {"RGB": "ortho_rgb.tif", "near infrared, red, green": "ortho_irrg.tif"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="town-small")
    parser.add_argument("--panel", type=Path)
    options = parser.parse_args()
    net = load_model(options.model)
    with rasterio.open(options.folder / "lidar_class.tif") as file:
        lidar_HW = file.read(1)
    rows = []
    for title, ortho in ORTHOS.items():
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "classes.tif"
            pair = options.folder / ortho, options.folder / "ndsm.tif"
            segment(*pair, net, out, statistics=out.with_name("statistics.json"))
            with rasterio.open(out) as file:
                rows += agreement(title, file.read(1), lidar_HW)
            if options.panel and title == "RGB":
                write_panel(*pair, out, options.panel)
    report("ign", rows, conditions={"model": options.model}, out=RESULTS)


def agreement(title: str, classes_HW: np.ndarray, lidar_HW: np.ndarray) -> list[Row]:
    """Recall, precision and IoU of each LiDAR class, over the pixels of all three."""
    judged = np.isin(lidar_HW, [value for value, _ in MEANS.values()])
    rows = []
    for name, (value, ours) in MEANS.items():
        theirs_N = (lidar_HW == value)[judged]
        ours_N = np.isin(classes_HW, list(ours))[judged]
        both = int((theirs_N & ours_N).sum())
        rows.append(
            {
                "orthophoto": title,
                "LiDAR class": name,
                "pixels": int(theirs_N.sum()),
                "recall": both / max(int(theirs_N.sum()), 1),
                "precision": both / max(int(ours_N.sum()), 1),
                "IoU": both / max(int((theirs_N | ours_N).sum()), 1),
            }
        )
    return rows


if __name__ == "__main__":
    main()
