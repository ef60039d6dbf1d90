"""How far a gap reaches: what a missing part of a raster changes in the map around it.

    python benchmarks/gaps.py [--model town-small] [--draw plain] [--towns 12] [--size 768]
                              [--shares 0.01 0.1 0.3]

Held-out towns are mapped whole and with gaps (holes, ragged outlines, stripes) in the orthophoto,
in the heights and in both. The rows say which share of the pixels farther than 32 pixels from a gap
keeps its class. The last rows are about the raster's rim: how much of its outermost 64 pixels is
right, and of the rest, of towns cut out of larger ones, which go on beyond it; and of the same
pixels in the map of the larger town, where the network sees what lies around them.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from report import RESULTS, Row, report

from mfnet.model.classes import NODATA
from mfnet.model.inference.runtimes.choose import open_runtime
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.inference.sliding_window import Sweep
from mfnet.model.inference.windows import WindowPlan
from mfnet.model.raster.pairs.normalize import scalings
from mfnet.training.datasets.tiles.gaps import GAPS, draw_gaps
from mfnet.training.synthetic.any_town import draw_any_town
from mfnet.training.synthetic.town import Town, draw_town

Draw = Callable[[int, int], Town]
DRAWN: Mapping[str, Draw] = {"plain": draw_town, "any": draw_any_town}
FIRST_SEED = 500_000
FAR_PX = 32
RIM_PX = 64
AROUND_PX = 128


@dataclass(frozen=True)
class Rows:
    """As the engine reads them."""

    arrays: Mapping[str, NDArray[Any]]
    valid: Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class TownSource:
    """A town as the engine's source, parts of it missing (H, W)."""

    town: Town
    no_ortho: NDArray[np.bool_]
    no_height: NDArray[np.bool_]

    def read(self, row: int, rows: int) -> Rows:
        part = slice(row, row + rows)
        heights = self.town.ndsm[part]
        known = np.isfinite(heights) & ~self.no_height[part]
        valid = ~self.no_ortho[part]
        arrays = {
            "ortho": np.where(valid, self.town.ortho[:, part], np.uint8(0)),
            "ndsm": np.where(known, np.maximum(heights, 0), np.float32(0))[None],
        }
        return Rows(arrays, {"ortho": valid, "ndsm": known})


class Mapper:
    """Maps towns with one model, in fp32."""

    def __init__(self, model: str, stride: int | None = None) -> None:
        self._runtime = open_runtime(model, options=SegmentOptions(device="cpu", precision="fp32"))
        self._stride = stride

    def map(
        self,
        town: Town,
        no_ortho: NDArray[np.bool_] | None = None,
        no_height: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.uint8]:
        """Classes (H, W), 255 where there is no orthophoto."""
        runtime = self._runtime.at(town.gsd_m)
        config = runtime.config
        height, width = town.truth.shape
        nothing = np.zeros((height, width), bool)
        source = TownSource(
            town,
            nothing if no_ortho is None else no_ortho,
            nothing if no_height is None else no_height,
        )
        sweep = Sweep(
            plan=WindowPlan(height, width, config.window_px, self._stride or config.stride_px),
            predict=runtime,
            scalings=scalings(config, 255.0),
            classes=len(config.classes),
            arrays=runtime.arrays,
        )
        return np.concatenate([band.classes_hW for band in sweep.run(source)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="town-small")
    parser.add_argument("--draw", choices=DRAWN, default="plain", help="kind of towns")
    parser.add_argument("--towns", type=int, default=12)
    parser.add_argument("--size", type=int, default=768)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.01, 0.1, 0.3])
    parser.add_argument("--stride", type=int)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    mapper = Mapper(args.model, args.stride)
    found: dict[str, list[float]] = defaultdict(list)
    for seed in range(FIRST_SEED, FIRST_SEED + args.towns):
        draw = DRAWN[args.draw]
        town = draw(seed, args.size)
        figures = [*measure(mapper, town, args.shares), *measure_rim(mapper, draw, seed, args.size)]
        for name, value in figures:
            found[name].append(value)
    rows: list[Row] = [
        {"what": name, "mean": f"{np.mean(values):.2f}", "worst": f"{np.min(values):.2f}"}
        for name, values in found.items()
    ]
    conditions = {"model": args.model, "draw": args.draw, "towns": args.towns, "size": args.size}
    report("gaps", rows, conditions=conditions, out=args.out)


def measure(mapper: Mapper, town: Town, shares: list[float]) -> Iterator[tuple[str, float]]:
    """Figures of a town, by the names of the rows."""
    whole = mapper.map(town)
    for kind in GAPS:
        for share in shares:
            rng = np.random.default_rng([town.seed, list(GAPS).index(kind), round(1000 * share)])
            gap = draw_gaps(rng, *town.truth.shape, share, kind)
            far = ~near(gap, FAR_PX)
            for name, where in (
                ("orthophoto", (gap, None)),
                ("heights", (None, gap)),
                ("both", (gap, gap)),
            ):
                kept = (mapper.map(town, *where) == whole)[far & ~gap]
                if kept.size:
                    yield f"{kind} {100 * share:g} % in {name}: kept, %", 100 * float(kept.mean())
    rng = np.random.default_rng(town.seed)
    sparse = draw_gaps(rng, *town.truth.shape, 0.95, "stripes")
    sparse_map = mapper.map(town, sparse, sparse)
    right = (sparse_map == town.truth)[~sparse & (town.truth != NODATA)]
    yield "mostly empty windows: right, %", 100 * float(right.mean())


def measure_rim(mapper: Mapper, draw: Draw, seed: int, size: int) -> Iterator[tuple[str, float]]:
    """Figures of the rim of a town that is cut out of a larger one."""
    larger = draw(seed, size + 2 * AROUND_PX)
    inner = slice(AROUND_PX, AROUND_PX + size)
    town = replace(
        larger,
        ortho=larger.ortho[:, inner, inner],
        ndsm=larger.ndsm[inner, inner],
        truth=larger.truth[inner, inner],
    )
    rim = np.ones(town.truth.shape, bool)
    rim[RIM_PX:-RIM_PX, RIM_PX:-RIM_PX] = False
    right = mapper.map(town) == town.truth
    yield "right at the rim, %", 100 * float(right[rim].mean())
    yield "right elsewhere, %", 100 * float(right[~rim].mean())
    seen = mapper.map(larger)[inner, inner] == town.truth
    yield "right at the rim, seen in a larger map, %", 100 * float(seen[rim].mean())


def near(gap: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Where a gap is at most so many pixels away, along rows and columns (a square)."""
    for axis in (0, 1):
        counts = np.cumsum(
            np.pad(gap, [(pixels + 1, pixels) if a == axis else (0, 0) for a in (0, 1)]), axis
        )
        span = 2 * pixels + 1
        upper = np.take(counts, np.arange(span, counts.shape[axis]), axis)
        lower = np.take(counts, np.arange(0, counts.shape[axis] - span), axis)
        gap = upper > lower
    return gap


if __name__ == "__main__":
    main()
