"""Whether memory grows with the raster's height: file to file, with a trivial network.

    python benchmarks/memory.py [--rows 4000 16000 64000] [--width 2000]
    python benchmarks/memory.py --rows 40000 --width 40000 --constant --stride 256

The rasters are tiled GeoTIFFs of random pixels in a temporary folder, 7 bytes a pixel; or constant
and deflated to a thousandth, which a sparse file would be too, but that one declares more than is
believed of a stranger's. Each height runs in a process of its own, all taking turns.
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
from torch.nn import functional as F

from mfnet.model.config import ENCODERS, ModelConfig
from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
from mfnet.model.inference.segment import segment
from mfnet.model.inference.segment_options import SegmentOptions


class TrivialNetwork(nn.Module):
    """A 1×1 convolution in MFNet's place: same inputs, same logits' shape."""

    def __init__(self) -> None:
        super().__init__()
        self.config = ModelConfig(name="trivial", encoder=ENCODERS["small"])
        bands = sum(modality.bands for modality in self.config.modalities)
        torch.manual_seed(0)
        convolution = nn.Conv2d(bands, len(self.config.classes), 1)
        # Without its last two axes, so that no conversion of the layout finds it.
        self.weight_KC = nn.Parameter(convolution.weight[:, :, 0, 0].detach().clone())
        self.bias_K = convolution.bias

    def forward(self, inputs: dict[str, Tensor], positions: None = None) -> Tensor:
        """Logits (B, K, H, W)."""
        x = torch.cat([inputs[m.name] for m in self.config.modalities], dim=1)
        return F.conv2d(x, self.weight_KC[:, :, None, None], self.bias_K)

    def converted(self, device: torch.device, dtype: torch.dtype) -> "TrivialNetwork":
        """As MFNet's, but not a copy."""
        return self.to(device, dtype)

    @property
    def encoder(self) -> "TrivialNetwork":
        """For its `positions`."""
        return self

    def positions(self, height: int, width: int) -> None:
        """There are none."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", type=int, default=[4000, 16000, 64000])
    parser.add_argument("--width", type=int, default=2000)
    parser.add_argument("--constant", action="store_true", help="one value, deflated")
    parser.add_argument("--stride", type=int, default=128)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--folder", type=Path, help="run on the pair in it, in this process")
    args = parser.parse_args()
    if args.folder:
        print(json.dumps(segment_folder(args.folder, args.stride)))
        return
    with tempfile.TemporaryDirectory() as folder:
        pairs = {rows: Path(folder) / str(rows) for rows in args.rows}
        for height, pair in pairs.items():
            write_pair(pair, height, args.width, args.constant)
        rows = measure(pairs, args.width, args.stride, args.repeat)
    names = ("width", "constant", "stride", "repeat")
    report("memory", rows, conditions={name: getattr(args, name) for name in names}, out=args.out)


def measure(pairs: dict[int, Path], width: int, stride: int, repeat: int) -> list[dict[str, float]]:
    """One row a raster height."""
    contestants = {
        f"{height} rows": ["--folder", str(pair), "--stride", str(stride)]
        for height, pair in pairs.items()
    }
    results = list(take_turns_in_children(Path(__file__), contestants, repeat).values())
    return [
        {
            "rows": height,
            "Mpixel": height * width / 1e6,
            "s": result["s"],
            "peak MB": result["peak MB"],
            "times the first": result["peak MB"] / results[0]["peak MB"],
        }
        for height, result in zip(pairs, results, strict=True)
    ]


def segment_folder(folder: Path, stride: int) -> dict[str, float]:
    """Runs the whole path on one pair; seconds and this process's peak memory."""
    start = time.perf_counter()
    pair = folder / "ortho.tif", folder / "ndsm.tif"
    runtime = TorchRuntime(TrivialNetwork(), "cpu")
    segment(*pair, runtime, folder / "classes.tif", options=SegmentOptions(stride=stride))
    return {"s": time.perf_counter() - start, "peak MB": peak_mb()}


def write_pair(folder: Path, height: int, width: int, constant: bool) -> None:
    """`ortho.tif` and `ndsm.tif`, tiled, 0.2 m a pixel; one row of blocks, again and again."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, dtype, bands in (("ortho", "uint8", 3), ("ndsm", "float32", 1)):
        blocks = np.full((bands, 256, width), 7, dtype)
        if not constant:
            blocks = rng.integers(0, 30, blocks.shape).astype(dtype)
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
            "compress": "deflate" if constant else "none",
        }
        with rasterio.open(folder / f"{name}.tif", "w", **profile) as dst:
            for row in range(0, height, 256):
                rows = min(256, height - row)
                dst.write(blocks[:, :rows], window=Window(0, row, width, rows))


if __name__ == "__main__":
    main()
