"""Other packages' tiled inference over the same network, windows and raster.

    PYTHONPATH=. python benchmarks/peers.py [--size 4096] [--repeat 3] [--threads 1]

Run it with a Python in which the peers are installed beside this project's dependencies; those that
cannot be imported are left out, with the reason. The network is the trivial one of `engine.py`, the
windows are 256 pixels at stride 128 in batches of 10, all in float32 and weighed alike. Each
contestant runs in a process of its own, all taking turns. Where a package takes arrays, it gets
them, and its caller's normalising and `argmax` are counted; where it takes files, it is compared
with ours from file to file. Peak memory counts what lies in the raster's arrays, too.
"""

import argparse
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import engine
import numpy as np
import rasterio
import torch
from engine import BATCH, CLASSES, STRIDE, WINDOW
from measure import peak_mb, take_turns_in_children
from memory import TrivialNetwork
from numpy.typing import NDArray
from rasterio.transform import from_origin
from report import RESULTS, Row, report

from mfnet.model.config import NDSM
from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
from mfnet.model.inference.segment import segment
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.inference.windows import WindowPlan

Result = tuple[float, NDArray[np.integer]]
"""Seconds and classes (H, W)."""

UNDER_TEST = {
    "MONAI": "monai.inferers",
    "TerraTorch": "terratorch.tasks.tiled_inference",
    "Raster Vision": "rastervision.core.data",
    "geoai, file to file": "geoai.inference",
}
"""What must be importable; TorchGeo cuts windows, but leaves it to its caller to put them together
again, so it has nothing to be measured here."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--contestant", choices=CONTESTANTS, help="run this one, in this process")
    parser.add_argument("--folder", type=Path, help="of the rasters")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.contestant:
        seconds, _ = CONTESTANTS[args.contestant](args.size, args.folder)
        print(json.dumps({"s": seconds, "peak MB": peak_mb()}))
        return
    names = [name for name in CONTESTANTS if _there(name)]
    check_agreement(names)
    with tempfile.TemporaryDirectory() as folder:
        write_rasters(Path(folder), args.size)
        rows = measure(names, args.size, Path(folder), args.repeat, args.threads)
    conditions = {"size": args.size, "window": WINDOW, "stride": STRIDE, "batch": BATCH}
    conditions |= {"repeat": args.repeat, "threads": args.threads}
    report("peers", rows, conditions=conditions, out=args.out)


def measure(names: list[str], size: int, folder: Path, repeat: int, threads: int) -> list[Row]:
    """One row a contestant."""
    options = ["--size", str(size), "--threads", str(threads), "--folder", str(folder)]
    contestants = {name: ["--contestant", name, *options] for name in names}
    results = take_turns_in_children(Path(__file__), contestants, repeat)
    return [
        {
            "engine": name,
            "s": result["s"],
            "times ours": result["s"] / results[_ours(name)]["s"],
            "peak MB": result["peak MB"],
        }
        for name, result in results.items()
    ]


def check_agreement(names: list[str], size: int = 600) -> None:
    """All must find the classes that ours finds; rounding may decide a tie otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        write_rasters(Path(folder), size)
        classes = {name: CONTESTANTS[name](size, Path(folder))[1] for name in names}
    for name, found_HW in classes.items():
        share = float((found_HW == classes[OURS]).mean())
        if share < 0.9999:
            raise SystemExit(f"{name} agrees on {share:.2%} of the pixels; expected all")


def _there(name: str) -> bool:
    if name in UNDER_TEST:
        try:
            importlib.import_module(UNDER_TEST[name])
        except Exception as error:  # a package may fail on import in any way
            print(f"left out: {name} ({type(error).__name__}: {error})", file=sys.stderr)
            return False
    return True


def _ours(name: str) -> str:
    return OURS_FILES if name.endswith("file to file") else OURS


# ---- the contestants: size and folder of the rasters to seconds and classes ---------------------


def run_terratorch(size: int, folder: Path) -> Result:
    """Its `tiled_inference`: all windows' logits are kept until the last one is there."""
    from terratorch.tasks.tiled_inference import tiled_inference

    net, source = engine.network(), engine.MemorySource.random(size)
    start = time.perf_counter()
    logits_1KHW = tiled_inference(
        net,
        engine.normalized(source)[None],
        crop=WINDOW,
        stride=STRIDE,
        delta=0,
        blend_overlaps=False,
        batch_size=BATCH,
        padding=False,
    )
    classes_HW = logits_1KHW[0].argmax(0)
    return time.perf_counter() - start, classes_HW.numpy()


def run_rastervision(size: int, folder: Path) -> Result:
    """Its windows and smooth labels, the latter in float32 as all others (float16 is its own)."""
    from rastervision.core.box import Box
    from rastervision.core.data import SemanticSegmentationSmoothLabels

    net, source = engine.network(), engine.MemorySource.random(size)
    start = time.perf_counter()
    image_CHW = engine.normalized(source)
    extent = Box(0, 0, size, size)
    plan = WindowPlan(size, size, WINDOW, STRIDE)
    windows = [Box(y, x, y + WINDOW, x + WINDOW) for y in plan.tops for x in plan.lefts]

    def predictions() -> Iterator[np.ndarray]:
        for first in range(0, len(windows), BATCH):
            batch = [box.to_slices() for box in windows[first : first + BATCH]]
            yield from net(torch.stack([image_CHW[:, y, x] for y, x in batch])).numpy()

    labels = SemanticSegmentationSmoothLabels(extent, CLASSES, dtype=np.float32)
    labels.add_predictions(windows, predictions())
    classes_HW = labels.get_label_arr(extent)
    return time.perf_counter() - start, classes_HW


def run_geoai(size: int, folder: Path) -> Result:
    """Its `predict_geotiff`, from one raster of four bands, each window read when it is due."""
    from geoai.inference import predict_geotiff

    importlib.import_module("geoai.utils")  # would be imported within the call
    scale = np.array([1 / 255] * 3 + [1 / NDSM.high], np.float32)[:, None, None]
    start = time.perf_counter()
    predict_geotiff(
        engine.network(),
        str(folder / "both.tif"),
        str(folder / "geoai.tif"),
        tile_size=WINDOW,
        overlap=WINDOW - STRIDE,
        batch_size=BATCH,
        num_classes=CLASSES,
        output_dtype="uint8",
        output_nodata=255,
        blend_mode="none",
        preprocess_fn=lambda values_CSS: values_CSS * scale,
        postprocess_fn=lambda means_KHW: means_KHW.argmax(0),
        device="cpu",
        compress="deflate",
        verbose=False,
    )
    return time.perf_counter() - start, _read(folder / "geoai.tif")


def run_ours_from_files(size: int, folder: Path) -> Result:
    """The whole path: two rasters checked, aligned and read; a COG with overviews written."""
    net = TrivialNetwork()
    pair, out = (folder / "ortho.tif", folder / "ndsm.tif"), folder / "ours.tif"
    start = time.perf_counter()
    options = SegmentOptions(stride=STRIDE, batch_size=BATCH)
    segment(*pair, TorchRuntime(net, "cpu"), out, options=options)
    return time.perf_counter() - start, _read(out)


OURS, OURS_FILES = "mfnet", "mfnet, file to file"
CONTESTANTS: dict[str, Callable[[int, Path], Result]] = {
    OURS: lambda size, folder: engine.run_mfnet(size),
    "MONAI": lambda size, folder: engine.run_monai(size),
    "TerraTorch": run_terratorch,
    "Raster Vision": run_rastervision,
    OURS_FILES: run_ours_from_files,
    "geoai, file to file": run_geoai,
}


# ---- their files ------------------------------------------------------------------------------


def write_rasters(folder: Path, size: int) -> None:
    """The raster of `engine.py` in tiles of 512: as a pair, and as four bands in one file."""
    source = engine.MemorySource.random(size)
    ortho, ndsm = source.arrays["ortho"], source.arrays["ndsm"]
    both = np.concatenate([ortho.astype(np.float32), ndsm])
    for name, values in {"ortho": ortho, "ndsm": ndsm, "both": both}.items():
        profile = {"driver": "GTiff", "height": size, "width": size, "count": len(values)}
        profile |= {"dtype": values.dtype.name, "crs": "EPSG:25832", "compress": "deflate"}
        profile |= {"tiled": True, "blockxsize": 512, "blockysize": 512}
        place = from_origin(400_000, 5_700_000, 0.2, 0.2)
        with rasterio.open(folder / f"{name}.tif", "w", transform=place, **profile) as raster:
            raster.write(values)


def _read(path: Path) -> NDArray[np.integer]:
    with rasterio.open(path) as raster:
        classes_HW: NDArray[np.integer] = raster.read(1)
    return classes_HW


if __name__ == "__main__":
    with torch.inference_mode():
        main()
