"""Whether memory grows with the raster's height: file to file, with a trivial network.

    python benchmarks/memory.py [--rows 4000 16000 64000] [--width 2000]

The rasters are tiled GeoTIFFs of random pixels in a temporary folder, 7 bytes a pixel. Each height
runs in a process of its own, all taking turns.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from measure import peak_mb, take_turns_in_children
from rasterio.transform import from_origin
from rasterio.windows import Window
from report import RESULTS, report
from torch import Tensor, nn

from model.config import ENCODERS, ModelConfig
from model.inference.segment import segment


class TrivialNetwork(nn.Module):
    """A 1×1 convolution in MFNet's place: same inputs, same logits' shape."""

    def __init__(self) -> None:
        super().__init__()
        self.config = ModelConfig(name="trivial", encoder=ENCODERS["small"])
        bands = sum(modality.bands for modality in self.config.modalities)
        self.convolution = nn.Conv2d(bands, len(self.config.classes), 1)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Logits (B, K, H, W)."""
        x = torch.cat([inputs[m.name] for m in self.config.modalities], dim=1)
        logits_BKHW: Tensor = self.convolution(x)
        return logits_BKHW


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", type=int, default=[4000, 16000, 64000])
    parser.add_argument("--width", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--folder", type=Path, help="run on the pair in it, in this process")
    args = parser.parse_args()
    if args.folder:
        print(json.dumps(segment_folder(args.folder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), args.rows, args.width, args.repeat)
    report("memory", rows, conditions={"width": args.width, "repeat": args.repeat}, out=args.out)


def measure(folder: Path, heights: list[int], width: int, repeat: int) -> list[dict[str, float]]:
    """One row a raster height."""
    contestants = {}
    for height in heights:
        pair = folder / str(height)
        pair.mkdir()
        write_random(pair / "ortho.tif", height, width, "uint8", 3)
        write_random(pair / "ndsm.tif", height, width, "float32", 1)
        contestants[f"{height} rows"] = ["--folder", str(pair)]
    results = list(take_turns_in_children(Path(__file__), contestants, repeat).values())
    return [
        {
            "rows": height,
            "Mpixel": height * width / 1e6,
            "s": result["s"],
            "peak MB": result["peak MB"],
            "times the first": result["peak MB"] / results[0]["peak MB"],
        }
        for height, result in zip(heights, results, strict=True)
    ]


def segment_folder(folder: Path) -> dict[str, float]:
    """Runs the whole path on one pair; seconds and this process's peak memory."""
    torch.manual_seed(0)
    start = time.perf_counter()
    segment(folder / "ortho.tif", folder / "ndsm.tif", TrivialNetwork(), folder / "classes.tif")
    return {"s": time.perf_counter() - start, "peak MB": peak_mb()}


def write_random(path: Path, height: int, width: int, dtype: str, bands: int) -> None:
    """A tiled GeoTIFF, uncompressed, 0.2 m a pixel; one random row of blocks, again and again."""
    profile = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": bands,
        "dtype": dtype,
        "crs": "EPSG:25832",
        "transform": from_origin(400_000, 5_700_000, 0.2, 0.2),
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
    }
    blocks = np.random.default_rng(0).integers(0, 30, (bands, 256, width)).astype(dtype)
    with rasterio.open(path, "w", **profile) as dst:
        for row in range(0, height, 256):
            rows = min(256, height - row)
            dst.write(blocks[:, :rows], window=Window(0, row, width, rows))


if __name__ == "__main__":
    main()
