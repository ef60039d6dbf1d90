"""What bf16 changes in a map: share of the pixels that keep their class, and what IoU it costs.

    python benchmarks/precision.py [--models town-small town] [--towns 12] [--shared ../shared]

Each model maps drawn places (plain ones, and of any kind in colour), and the real place where it is
there, in fp32 and in bf16 on the runtime that `auto` takes here. Percent; changes of IoU in points,
of the class that loses most.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from places import real_place
from report import RESULTS, report
from strides import map_of

from mfnet.model.classes import NODATA
from mfnet.model.inference.runtimes.choose import open_runtime
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.training.evaluation.class_metrics import Confusion
from mfnet.training.synthetic.any_town import draw_any_town
from mfnet.training.synthetic.town import Town, draw_town

FIRST_SEED = 500_000
SIDE = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["town-small", "town"])
    parser.add_argument("--towns", type=int, default=12)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    rows = [
        {"model": model, "place": name} | compare(model, towns)
        for name, towns in places(args.towns, args.shared / "data/pairs/ign")
        for model in args.models
    ]
    report("precision", rows, conditions={"towns": args.towns, "size": SIDE}, out=args.out)


def places(towns: int, real: Path) -> Iterator[tuple[str, Sequence[Town]]]:
    """Kinds of places by name, each with some of them."""
    seeds = range(FIRST_SEED, FIRST_SEED + towns)
    yield "plain towns", [draw_town(seed, SIDE) for seed in seeds]
    yield "any towns", [draw_any_town(seed, SIDE, infrared=False) for seed in seeds]
    if real.is_dir():
        yield "ign", [real_place(real, 0.2, infrared=False)]


def compare(model: str, towns: Sequence[Town]) -> dict[str, float]:
    """Figures of a model over some places."""
    ways = {name: SegmentOptions(device="cpu", precision=name) for name in ("fp32", "bf16")}
    runtimes = {name: open_runtime(model, options=way) for name, way in ways.items()}
    scheme = runtimes["fp32"].config.classes
    sums = {name: Confusion(scheme) for name in ways}
    same = counted = 0
    for town in towns:
        maps = {name: map_of(town, runtimes[name], way) for name, way in ways.items()}
        for name, mapped in maps.items():
            sums[name].add(town.truth, mapped)
        known = maps["fp32"] != NODATA
        same += int((maps["fp32"] == maps["bf16"])[known].sum())
        counted += int(known.sum())
    before, after = (np.array(_ious(sums[name])) for name in ("fp32", "bf16"))
    change = 100 * (after - before)
    return {
        "same class, %": 100 * same / counted,
        "mIoU in fp32, %": 100 * float(np.nanmean(before)),
        "mIoU changes by": float(np.nanmean(change)),
        "worst class by": float(np.nanmin(change)),
    }


def _ious(confusion: Confusion) -> list[float]:
    classes = confusion.summary()["classes"]
    return [np.nan if each["iou"] is None else each["iou"] for each in classes.values()]


if __name__ == "__main__":
    main()
