"""What the distance between windows, their blending and more views of each are worth.

    python benchmarks/strides.py [--model town-small] [--towns 4] [--strides 32 64 128 192 256]
                                [--blends mean hann] [--tta none flips turns]

mIoU, seams and seconds on held-out towns of 1024 pixels: plain ones for `town-small`, places of all
kinds at 0.2 m for other models. `seams` is how often the class changes where a window begins or
ends, over how often it does between any two pixels; 1 is no seam.
"""

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import numpy as np
import rasterio
from numpy.typing import NDArray
from report import RESULTS, report

from mfnet.model.classes import ISPRS
from mfnet.model.inference.runtimes.choose import open_runtime
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.segment import segment
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.inference.windows import WindowPlan
from mfnet.training.evaluation.class_metrics import Confusion
from mfnet.training.synthetic.any_town import draw_any_town
from mfnet.training.synthetic.town import Town, draw_town, write_town

SIDE, FIRST_SEED = 1024, 500_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="town-small")
    parser.add_argument("--towns", type=int, default=4)
    parser.add_argument("--strides", nargs="+", type=int, default=[32, 64, 128, 192, 256])
    parser.add_argument("--tta", nargs="+", default=["none"], help="none, flips, turns")
    parser.add_argument("--blends", nargs="+", default=["mean", "hann"])
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + args.towns)
    plain = args.model == "town-small"
    towns = [draw_town(s, SIDE) if plain else draw_any_town(s, SIDE, 0.2) for s in seeds]
    rows = []
    for stride, blend, tta in product(args.strides, args.blends, args.tta):
        options = SegmentOptions(stride=stride, blend=blend, tta=tta, precision=args.precision)
        how = {"stride": stride, "blend": blend, "tta": tta}
        rows.append({**how, **measured(args.model, towns, options)})
        print(rows[-1], flush=True)
    conditions = {"model": args.model, "towns": args.towns, "precision": args.precision}
    report(f"strides-{args.model}", rows, conditions=conditions, out=args.out)


def measured(model: str, towns: Sequence[Town], options: SegmentOptions) -> dict[str, float]:
    """Over all towns; seconds a town."""
    runtime, confusion = open_runtime(model, options=options), Confusion(ISPRS)
    seams, seconds = [], 0.0
    for town in towns:
        begun = monotonic()
        mapped = map_of(town, runtime, options)
        seconds += monotonic() - begun
        confusion.add(town.truth, mapped)
        plan = WindowPlan(SIDE, SIDE, runtime.config.window_px, options.stride or 128)
        seams.append(seam_rate(mapped, plan))
    return {
        "mIoU": 100 * confusion.summary()["miou"],
        "seams": float(np.mean(seams)),
        "seconds": seconds / len(towns),
    }


def seam_rate(mapped: NDArray[np.uint8], plan: WindowPlan) -> float:
    """How often the class changes at windows' sides, over how often anywhere."""
    sides = {*plan.tops} | {top + plan.window for top in plan.tops}
    at = sorted(side - 1 for side in sides if 0 < side < SIDE)
    changes = [np.mean(mapped[1:] != mapped[:-1], axis=1)]
    changes.append(np.mean(mapped[:, 1:] != mapped[:, :-1], axis=0))
    return float(np.mean([each[at].mean() / each.mean() for each in changes]))


def map_of(town: Town, runtime: Runtime, options: SegmentOptions) -> NDArray[np.uint8]:
    """The classes of a town."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_town(folder, town)
        out = folder / "classes.tif"
        segment(folder / "ortho.tif", folder / "ndsm.tif", runtime, out, options=options)
        with rasterio.open(out) as raster:
            classes: NDArray[np.uint8] = raster.read(1)
    return classes


if __name__ == "__main__":
    main()
