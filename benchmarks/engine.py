"""What an engine costs beyond the network: a trivial network over arrays in memory.

    python benchmarks/engine.py [--sizes 4096 8192] [--repeat 3] [--threads 1]

The network is a 1×1 convolution from four bands to six classes, so that nearly all of the time and
memory is the engine's. Window 256, stride 128, batch 10, on the CPU. Each contestant runs in a
process of its own, all taking turns, from the same random rasters as a file holds them (uint8
colours, metres) to classes: engines that take one normalised tensor and return logits are timed
with what their caller must do before and after.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import peak_mb, take_turns_in_children
from numpy.typing import NDArray
from report import RESULTS, report
from torch import Tensor, nn

from mfnet.model.config import NDSM, ORTHO
from mfnet.model.inference.sliding_window import Sweep
from mfnet.model.inference.windows import WindowPlan
from mfnet.model.raster.pairs.normalize import scaling

WINDOW, STRIDE, BATCH, CLASSES = 256, 128, 10, 6
Engine = Callable[[int], tuple[float, NDArray[np.integer]]]
"""Side of a square raster to seconds and classes (H, W)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[4096, 8192])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--contestant", choices=ENGINES, help="run this one alone, in this process")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.contestant:
        seconds, _ = ENGINES[args.contestant](args.sizes[0])
        print(json.dumps({"s": seconds, "peak MB": peak_mb()}))
        return
    check_agreement(700)
    rows = [row for size in args.sizes for row in measure(size, args.repeat, args.threads)]
    conditions = {"window": WINDOW, "stride": STRIDE, "batch": BATCH}
    conditions |= {"repeat": args.repeat, "threads": args.threads}
    report("engine", rows, conditions=conditions, out=args.out)


def measure(size: int, repeat: int, threads: int) -> list[dict[str, str | float]]:
    """One row a contestant."""
    options = ["--sizes", str(size), "--threads", str(threads)]
    contestants = {name: ["--contestant", name, *options] for name in ENGINES}
    results = take_turns_in_children(Path(__file__), contestants, repeat)
    bare = results[BARE]["s"]
    return [
        {
            "raster": f"{size}²",
            "engine": name,
            "s": result["s"],
            "times the bare calls": result["s"] / bare,
            "s beyond them": result["s"] - bare,
            "peak MB": result["peak MB"],
        }
        for name, result in results.items()
    ]


def check_agreement(size: int) -> None:
    """Every engine must find the classes that ours finds; rounding may decide a tie otherwise."""
    classes = {name: engine(size)[1] for name, engine in ENGINES.items() if name != BARE}
    for name, found_HW in classes.items():
        share = float((found_HW == classes["mfnet"]).mean())
        if share < 0.9999:
            raise SystemExit(f"{name} agrees on {share:.2%} of the pixels; expected all")


# ---- the contestants ------------------------------------------------------------------------


def _stacked(inputs: Mapping[str, NDArray[np.float32]]) -> torch.Tensor:
    """All bands of a batch, (B, 4, S, S)."""
    return torch.cat([torch.from_numpy(inputs[name]) for name in ("ortho", "ndsm")], dim=1)


def run_mfnet(size: int) -> tuple[float, NDArray[np.integer]]:
    """Our sweep."""
    net, source = network(), MemorySource.random(size)
    sweep = Sweep(
        plan=WindowPlan(height=size, width=size, window=WINDOW, stride=STRIDE),
        predict=lambda inputs: net(_stacked(inputs)).numpy(),
        scalings={m.name: scaling(m, 255) for m in (ORTHO, NDSM)},
        classes=CLASSES,
        batch_size=BATCH,
    )
    classes_HW = np.empty((size, size), np.uint8)
    start = time.perf_counter()
    for band in sweep.run(source):
        classes_HW[band.row : band.row + len(band.classes_hW)] = band.classes_hW
    return time.perf_counter() - start, classes_HW


def run_monai(size: int) -> tuple[float, NDArray[np.integer]]:
    """MONAI's sliding window inference, then the argmax of its logits."""
    return _run_monai(size, lambda logits_KHW: logits_KHW.argmax(0))


def run_monai_with_max(size: int) -> tuple[float, NDArray[np.integer]]:
    """The same with a caller who knows that `max` finds the indices sooner on a CPU."""
    return _run_monai(size, lambda logits_KHW: logits_KHW.max(0).indices)


def _run_monai(size: int, decide: Callable[[Tensor], Tensor]) -> tuple[float, NDArray[np.integer]]:
    from monai.inferers import sliding_window_inference

    net, source = network(), MemorySource.random(size)
    start = time.perf_counter()
    logits_1KHW = sliding_window_inference(
        normalized(source)[None], WINDOW, BATCH, net, overlap=1 - STRIDE / WINDOW, mode="constant"
    )
    classes_HW = decide(logits_1KHW[0])
    return time.perf_counter() - start, classes_HW.numpy()


def run_released(size: int) -> tuple[float, NDArray[np.integer]]:
    """The loop of the paper's released code, normalising once; theirs does so in every batch.

    Windows beyond the rim are moved back onto it, once for each that would lie beyond; sums are
    float64 on the CPU, classes last.
    """
    net, source = network(), MemorySource.random(size)
    start = time.perf_counter()
    image_CHW = normalized(source).numpy()
    sums_HWK = np.zeros((size, size, CLASSES))
    corners = list(_clamped_corners(size))
    for first in range(0, len(corners), BATCH):
        batch = corners[first : first + BATCH]
        windows = [image_CHW[:, y : y + WINDOW, x : x + WINDOW] for y, x in batch]
        logits_BKSS = net(torch.from_numpy(np.stack(windows))).numpy()
        for logits_KSS, (y, x) in zip(logits_BKSS, batch, strict=True):
            sums_HWK[y : y + WINDOW, x : x + WINDOW] += logits_KSS.transpose(1, 2, 0)
    classes_HW = sums_HWK.argmax(-1)
    return time.perf_counter() - start, classes_HW


def run_bare(size: int) -> tuple[float, NDArray[np.integer]]:
    """The network's calls alone, on as many windows, with nothing around them."""
    net = network()
    batches = torch.rand(8, BATCH, 4, WINDOW, WINDOW)
    windows = len(WindowPlan(height=size, width=size, window=WINDOW, stride=STRIDE))
    start = time.perf_counter()
    for first in range(0, windows, BATCH):
        net(batches[first // BATCH % len(batches)][: windows - first])
    return time.perf_counter() - start, np.empty((0, 0), np.uint8)


BARE = "bare network calls"
ENGINES: dict[str, Engine] = {
    BARE: run_bare,
    "mfnet": run_mfnet,
    "MONAI": run_monai,
    "MONAI, max for argmax": run_monai_with_max,
    "released loop": run_released,
}


# ---- their input ----------------------------------------------------------------------------


@dataclass(frozen=True)
class MemoryRows:
    arrays: Mapping[str, NDArray[Any]]
    valid: Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class MemorySource:
    """A raster pair in memory: digital numbers (3, H, W), uint8, and metres (1, H, W), float32."""

    arrays: Mapping[str, NDArray[Any]]

    @classmethod
    def random(cls, size: int) -> "MemorySource":
        rng = np.random.default_rng(0)
        ortho = rng.integers(0, 256, (3, size, size), np.uint8)
        ndsm = rng.random((1, size, size), np.float32)
        ndsm *= NDSM.high
        return cls({"ortho": ortho, "ndsm": ndsm})

    def read(self, row: int, rows: int) -> MemoryRows:
        arrays = {name: values[:, row : row + rows] for name, values in self.arrays.items()}
        valid = {name: np.ones(values.shape[1:], bool) for name, values in arrays.items()}
        return MemoryRows(arrays, valid)


def normalized(source: MemorySource) -> Tensor:
    """Both rasters as the network takes them, (4, H, W), float32."""
    ortho, ndsm = source.arrays["ortho"], source.arrays["ndsm"]
    image_CHW = torch.empty(4, *ortho.shape[1:])
    for channel, band in zip(image_CHW, ortho, strict=False):
        channel.copy_(torch.from_numpy(band)).div_(255)
    image_CHW[3].copy_(torch.from_numpy(ndsm[0])).div_(NDSM.high)
    return image_CHW


def _clamped_corners(size: int) -> Iterator[tuple[int, int]]:
    for y in range(0, size, STRIDE):
        for x in range(0, size, STRIDE):
            yield min(y, size - WINDOW), min(x, size - WINDOW)


def network() -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(4, CLASSES, 1).eval()


if __name__ == "__main__":
    with torch.inference_mode():
        main()
