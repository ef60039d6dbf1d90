"""Whether reading a pair row by row decodes each block once, however its files are blocked.

    python benchmarks/reading.py [--size 3000] [--repeat 3]

The same pair in several layouts, deflated, heights shifted by half a pixel so that they are warped.
It is read as the engine reads it, 128 rows after the first 256, beside reading each file once, as a
whole, without warp and masks. Blocks decoded again and again would make one layout slower than the
others.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from measure import peak_mb, take_turns_in_children
from rasterio.transform import from_origin
from report import RESULTS, Row, report

from mfnet.model.inference.windows import WindowPlan
from mfnet.model.raster.pairs.pair import RasterPair

LAYOUTS: dict[str, dict[str, Any]] = {
    "tiles of 512": {"tiled": True, "blockxsize": 512, "blockysize": 512},
    "tiles of 512, band by band": {
        "tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "band",
    },
    "tiles of 2048": {"tiled": True, "blockxsize": 2048, "blockysize": 2048},
    "strips of 1 row": {"blockysize": 1},
    "strips of 100 rows": {"blockysize": 100},
    "one block": {"blockysize": 1 << 20},
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=3000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--folder", type=Path, help="read the pair in it, in this process")
    args = parser.parse_args()
    if args.folder:
        print(json.dumps(read_folder(args.folder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), args.size, args.repeat)
    conditions = {"size": args.size, "repeat": args.repeat}
    report("reading", rows, conditions=conditions, out=args.out)


def measure(folder: Path, size: int, repeat: int) -> list[Row]:
    """One row a layout."""
    pairs = {name: folder / str(number) for number, name in enumerate(LAYOUTS)}
    for name, pair in pairs.items():
        write_pair(pair, size, LAYOUTS[name])
    contestants = {name: ["--folder", str(pair)] for name, pair in pairs.items()}
    results = take_turns_in_children(Path(__file__), contestants, repeat)
    return [
        {"layout": name, **result, "times the whole files": result["s"] / result["s, whole files"]}
        for name, result in results.items()
    ]


def read_folder(folder: Path) -> dict[str, float]:
    """Seconds of both ways, and this process's peak memory, that of the first way."""
    with RasterPair.open(folder / "ortho.tif", folder / "ndsm.tif") as pair:
        start = time.perf_counter()
        for step in WindowPlan(pair.grid.height, pair.grid.width, 256, 128).steps():
            pair.read(step.read, step.read_rows)
        seconds, peak = time.perf_counter() - start, peak_mb()
    start = time.perf_counter()
    for name in ("ortho.tif", "ndsm.tif"):
        with rasterio.open(folder / name) as raster:
            raster.read()
    return {"s": seconds, "s, whole files": time.perf_counter() - start, "peak MB": peak}


def write_pair(folder: Path, size: int, layout: dict[str, Any]) -> None:
    """`ortho.tif` and `ndsm.tif` of noise over structure."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size]
    structure = (x // 30 + y // 20) % 5
    rasters = {
        "ortho": (40 * structure + rng.integers(1, 20, (3, size, size))).astype(np.uint8),
        "ndsm": (3 * structure + rng.random((1, size, size))).astype(np.float32),
    }
    for name, values in rasters.items():
        shift = 0.1 if name == "ndsm" else 0.0
        with rasterio.open(
            folder / f"{name}.tif", "w", driver="GTiff", height=size, width=size,
            count=len(values), dtype=values.dtype.name, crs="EPSG:25832", compress="deflate",
            transform=from_origin(400_000 + shift, 5_700_000, 0.2, 0.2),
            **({"interleave": "pixel"} | layout),
        ) as raster:  # fmt: skip
            raster.write(values)


if __name__ == "__main__":
    main()
