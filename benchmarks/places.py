"""Buildings, trees and ground: models and the rule side by side, on drawn places and a real one.

    python benchmarks/places.py [--models town town-small rule] [--shared ../shared]

IoU in percent. Medium vegetation counts as tree, everything else low as ground, and pixels without
one of these classes are left out. In infrared the rule is `rule-infrared`. The real place and the
real heights are looked at where they are there; the heights are those that training held out.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from numpy.typing import NDArray
from report import RESULTS, report

from mfnet.model.inference.runtimes.choose import open_runtime
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.segment import segment
from mfnet.training.synthetic.any_town import draw_any_town
from mfnet.training.synthetic.real_heights import RealHeights, draw_over
from mfnet.training.synthetic.town import Town, draw_town, write_town

BUILDING, TREE, GROUND, UNKNOWN = 1, 2, 0, 9
OF_ISPRS = np.full(256, UNKNOWN, np.uint8)
OF_ISPRS[:6] = GROUND, BUILDING, GROUND, TREE, GROUND, GROUND
HELD_OUT = ("delft_2", "south_france_south")
SEEDS = range(500_000, 500_012)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["town", "town-small", "rule"])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    rows = [
        {"place": name} | {model: score(model, towns) for model in args.models}
        for name, towns in places(args.shared / "data")
    ]
    report("places", rows, conditions={"towns": len(SEEDS)}, out=args.out)


def places(data: Path) -> Iterator[tuple[str, Sequence[Town]]]:
    """Kinds of places by name, each with some of them."""
    yield "plain towns", [draw_town(seed, 512) for seed in SEEDS]
    for infrared in (False, True):
        kind = "infrared" if infrared else "colour"
        yield f"any towns, {kind}", [draw_any_town(s, 512, infrared=infrared) for s in SEEDS]
        if (data / "heights").is_dir():
            real = [RealHeights.read(data / "heights" / name) for name in HELD_OUT]
            drawn = [
                draw_over(h, 900_000 + n, 448, infrared=infrared) for h in real for n in range(6)
            ]
            yield f"colours over real heights, {kind}", drawn
    if (data / "pairs/ign").is_dir():
        for infrared in (False, True):
            for gsd_m in (0.1, 0.2, 0.4):
                kind = "infrared" if infrared else "colour"
                yield f"ign, {kind}, {gsd_m} m", [real_place(data / "pairs/ign", gsd_m, infrared)]


def real_place(folder: Path, gsd_m: float, infrared: bool) -> Town:
    """The real place in pixels of another size, its truth in the values of `OF_ISPRS`' left."""
    with rasterio.open(folder / ("ortho_irrg.tif" if infrared else "ortho_rgb.tif")) as raster:
        ortho, own_m = raster.read(), raster.res[0]
    with rasterio.open(folder / "ndsm.tif") as raster:
        ndsm = raster.read(1)
    with rasterio.open(folder / "lidar_class.tif") as raster:
        laser = raster.read(1)
    truth = np.select([laser == 6, (laser == 4) | (laser == 5), (laser == 2) | (laser == 3)],
                      [1, 3, 0], 255).astype(np.uint8)  # fmt: skip
    side = round(len(truth) * own_m / gsd_m)
    at = np.minimum(((np.arange(side) + 0.5) * gsd_m / own_m).astype(int), len(truth) - 1)
    if gsd_m > own_m:  # colours are averaged, as an orthophoto's are
        k = round(gsd_m / own_m)
        ortho = ortho[:, : side * k, : side * k].reshape(3, side, k, side, k).mean((2, 4))
        ortho = np.rint(ortho).astype(np.uint8)
    else:
        ortho = ortho[:, at][:, :, at]
    return Town(0, gsd_m, ortho, ndsm[at][:, at], truth[at][:, at], infrared)


def score(model: str, towns: Sequence[Town]) -> str:
    """IoU of building, tree and ground over some places."""

    def runtime(town: Town) -> Runtime:
        return open_runtime("rule-infrared" if model == "rule" and town.infrared else model)

    counts = of_places(runtime, towns)
    return " / ".join(f"{100 * hits / max(either, 1):.1f}" for hits, either in counts)


def of_places(
    runtime: Callable[[Town], Runtime], towns: Sequence[Town], *, heights: bool = True
) -> NDArray[np.float64]:
    """(3, 2) of building, tree and ground the pixels that are so in both, and in either."""
    counts = np.zeros((3, 2))
    for town in towns:
        mapped = OF_ISPRS[map_of(runtime(town), town, heights=heights)]
        truth = OF_ISPRS[town.truth]
        known = (truth != UNKNOWN) & (mapped != UNKNOWN)
        for row, value in enumerate((BUILDING, TREE, GROUND)):
            one, other = (mapped == value) & known, (truth == value) & known
            counts[row] += (one & other).sum(), (one | other).sum()
    return counts


def map_of(runtime: Runtime, town: Town, *, heights: bool = True) -> NDArray[np.uint8]:
    """The classes of a place."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_town(folder, replace(town, ndsm=town.ndsm.astype(np.float32)))
        ndsm = folder / "ndsm.tif" if heights else None
        segment(folder / "ortho.tif", ndsm, runtime, folder / "classes.tif")
        with rasterio.open(folder / "classes.tif") as raster:
            classes: NDArray[np.uint8] = raster.read(1)
    return classes


if __name__ == "__main__":
    main()
