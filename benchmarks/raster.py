"""Where the seconds of a whole raster go, file to file, against the network's calls alone.

    python benchmarks/raster.py [--size 6000] [--model town-small] [--threads 1] [--device cpu]

The orthophoto is RGB uint8, the heights are float32 on a grid shifted by half a pixel, so that they
must be warped; both in deflated tiles of 512 pixels, of noise over structure, in a temporary
folder. The calls alone are timed on batches of the same shape, half of them before the run and half
after it, and counted as often as the run makes them. Beside the table a picture shows which stage
ran when, thread by thread.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from measure import synchronize
from rasterio.transform import from_origin
from rasterio.windows import Window
from report import RESULTS, Row, report
from watch import Clock, Span, Stage, Stages, Watch, draw

from mfnet.model.inference import segment as segmentation
from mfnet.model.inference.arrays.device import DeviceArrays
from mfnet.model.inference.arrays.host import HostArrays
from mfnet.model.inference.blend import RowBand
from mfnet.model.inference.row_strip import Strip
from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
from mfnet.model.inference.segment import segment
from mfnet.model.inference.windows import WindowPlan
from mfnet.model.raster.files.geotiff import GeoTiff
from mfnet.model.raster.pairs.alignment.align import AlignedHeight
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.products.areas.class_areas import ClassAreas
from mfnet.model.raster.products.cog import CogWriter
from mfnet.model.weights.checkpoint import load_model

GSD_M, TILE = 0.2, 512
STAGES: Stages = {
    "open and check": Stage("#bab0ac", [(RasterPair, "open")]),
    "masks": Stage("#a0cbe8", [(RasterPair, "read")]),
    "warp": Stage("#76b7b2", [(AlignedHeight, "read")]),
    "read": Stage("#4e79a7", [(GeoTiff, "read")]),
    "normalise": Stage("#9c755f", [(Strip, "advance")]),
    "cut": Stage("#d37295", [(Strip, "windows")]),
    "network": Stage("#e3e3e3", [(TorchRuntime, "__call__")]),
    "accumulate": Stage("#59a14f", [(RowBand, "add"), (RowBand, "clear")]),
    "decide": Stage("#f28e2b", [(HostArrays, "highest"), (DeviceArrays, "highest")]),
    "count": Stage("#edc948", [(ClassAreas, "add")]),
    "encode, write": Stage("#b07aa1", [(CogWriter, "write")]),
    "compare with training": Stage("#ff9da7", [(segmentation, "drift")]),
    "finish the COG": Stage("#e15759", [(CogWriter, "finish")]),
}
ROLES = {"masks": "reading", "network": "computing", "count": "writing"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=6000)
    parser.add_argument("--model", default="town-small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--calls", type=int, default=40, help="of the network alone")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        write_pair(Path(folder), args.size)
        rows, watch = measure(Path(folder), args.size, args.model, args.device, args.calls)
    conditions = {"size": args.size, "model": args.model, "threads": args.threads}
    conditions |= {"device": args.device, "calls alone": args.calls}
    report("raster", rows, conditions=conditions, out=args.out)
    lanes = watch.lanes(ROLES)
    draw(lanes, STAGES, _end_of_a_row(lanes["computing"]), args.out / "raster.png")
    print(f"saved {args.out / 'raster.png'}")


def measure(folder: Path, size: int, name: str, device: str, calls: int) -> tuple[list[Row], Watch]:
    """The table's rows, and what was seen."""
    runtime, watch = TorchRuntime(load_model(name), device), Watch()
    alone = Alone(runtime, size)
    alone.run(2)  # counts nothing: the first calls prepare the kernels
    before = alone.run(calls // 2)
    start = Clock.now()
    with watch.watching(STAGES):
        segment(folder / "ortho.tif", folder / "ndsm.tif", runtime, folder / "classes.tif")
    total = Clock.now() - start
    one_call = median(before + alone.run(calls - calls // 2))
    count = sum(span.stage == "network" for span in watch.spans)
    return _table(watch, total, Clock(one_call.wall * count, one_call.processor * count)), watch


def _table(watch: Watch, total: Clock, network: Clock) -> list[Row]:
    def row(thread: str, stage: str, spent: Clock) -> Row:
        return {
            "thread": thread,
            "stage": stage,
            "s": spent.wall,
            "s of processor": spent.processor,
            "times the network alone": spent.wall / network.wall,
            "the same, of processor": spent.processor / network.processor,
        }

    rows: list[Row] = []
    for thread, spans in watch.lanes(ROLES).items():
        for stage in dict.fromkeys(span.stage for span in spans):
            own = [span.own for span in spans if span.stage == stage]
            rows.append(row(thread, stage, sum(own, Clock())))
        busy = sum((span.own for span in spans), Clock())
        rows.append(row(thread, "waiting, and the rest", Clock(total.wall - busy.wall)))
    rows.append(row("all", "end to end", total))
    rows.append(row("none", "the network's calls alone", network))
    return rows


def median(clocks: list[Clock]) -> Clock:
    """Of either kind of seconds."""
    return Clock(
        statistics.median(clock.wall for clock in clocks),
        statistics.median(clock.processor for clock in clocks),
    )


def _end_of_a_row(spans: list[Span]) -> tuple[float, float]:
    """Half a call of the network around the decision in the middle of the run."""
    decided = [span.stop for span in spans if span.stage == "decide"]
    call = statistics.median(span.stop - span.start for span in spans if span.stage == "network")
    return decided[len(decided) // 2] - call / 4, decided[len(decided) // 2] + call / 4


class Alone:
    """The network's calls with nothing around them."""

    def __init__(self, runtime: TorchRuntime, size: int) -> None:
        config, side = runtime.config, runtime.config.window_px
        self._runtime, self._device = runtime, runtime.device
        plan = WindowPlan(size, size, side, config.stride_px)
        batch = plan.batch(runtime.batch_size)
        self._inputs = {
            m.name: torch.rand(batch, m.bands, side, side, device=self._device)
            for m in config.modalities
        }

    def run(self, calls: int) -> list[Clock]:
        """What each took."""
        spent = []
        for _ in range(calls):
            synchronize(self._device)
            start = Clock.now()
            self._runtime.logits(self._inputs)
            synchronize(self._device)
            spent.append(Clock.now() - start)
        return spent


# ---- its input ------------------------------------------------------------------------------


def write_pair(folder: Path, size: int) -> None:
    """`ortho.tif` and `ndsm.tif`, written a row of tiles at a time."""
    rng = np.random.default_rng(0)
    shift = GSD_M / 2
    with (
        _create(folder / "ortho.tif", size, "uint8", 3, 0.0) as ortho,
        _create(folder / "ndsm.tif", size, "float32", 1, shift) as ndsm,
    ):
        for row in range(0, size, TILE):
            y, x = np.mgrid[row : min(row + TILE, size), 0:size]
            structure = np.sin(x / 37) * np.sin(y / 53) + (x // 300 + y // 200) % 3 - 1
            window = Window(0, row, size, len(y))
            colours = [110 + 40 * structure + rng.normal(0, 6 + band, y.shape) for band in range(3)]
            ortho.write(np.clip(colours, 1, 254).astype(np.uint8), window=window)
            heights = 8 + 7 * structure + rng.normal(0, 0.05, y.shape)
            ndsm.write(np.maximum(heights, 0).astype(np.float32)[np.newaxis], window=window)


def _create(path: Path, size: int, dtype: str, bands: int, shift_m: float) -> Any:
    return rasterio.open(
        path, "w", driver="GTiff", height=size, width=size, count=bands, dtype=dtype,
        crs="EPSG:25832", transform=from_origin(400_000 + shift_m, 5_700_000, GSD_M, GSD_M),
        tiled=True, blockxsize=TILE, blockysize=TILE, compress="deflate",
        interleave="pixel",
    )  # fmt: skip


if __name__ == "__main__":
    main()
