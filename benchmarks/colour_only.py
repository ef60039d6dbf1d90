"""What a map by colour alone is worth: IoU with heights and without, on drawn and real places.

    python benchmarks/colour_only.py [--model town] [--shared ../shared] [--record]

With --record the figures of the drawn places are written into the model's file, and `mfnet predict
ORTHO` tells them whoever maps without heights. Places and classes are those of `places.py`, and so
is IoU in percent: building / tree / ground.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from places import of_places, places
from report import RESULTS, report

from mfnet.model.inference.runtimes.choose import open_runtime
from mfnet.model.raster.pairs.drift import WITHOUT_HEIGHTS
from mfnet.model.weights.catalog import find, read_config
from mfnet.model.weights.checkpoint import rewrite_config
from mfnet.training.synthetic.town import Town

NAMES = ("building", "tree", "ground")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="town")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--record", action="store_true", help="write them into the model's file")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    rows, drawn = [], []
    for name, towns in places(args.shared / "data"):
        found = {each: measured(args.model, towns, each == "with") for each in ("with", "without")}
        rows.append({"place": name} | {each: shown(iou) for each, iou in found.items()})
        drawn += towns if name.startswith("any towns") else []
    report("colour_only", rows, conditions={"model": args.model}, out=args.out)
    if args.record:
        record(args.model, drawn)


def measured(model: str, towns: Sequence[Town], heights: bool) -> dict[str, float]:
    """IoU by class over some places."""
    counts = of_places(lambda town: open_runtime(model), towns, heights=heights)
    return {name: hits / max(either, 1) for name, (hits, either) in zip(NAMES, counts, strict=True)}


def shown(iou: dict[str, float]) -> str:
    return " / ".join(f"{100 * value:.1f}" for value in iou.values())


def record(model: str, towns: Sequence[Town]) -> None:
    """Writes the figures into the model's file, beside those that it has."""
    path = find(model, None)
    config = read_config(path)
    told = {
        "with": measured(model, towns, heights=True),
        "without": measured(model, towns, heights=False),
        "measured_on": f"{len(towns)} drawn places",
    }
    metrics = {**config.metrics, WITHOUT_HEIGHTS: told}
    rewrite_config(path, config.model_copy(update={"metrics": metrics}))


if __name__ == "__main__":
    main()
