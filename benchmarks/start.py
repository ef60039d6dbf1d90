"""How soon an engine answers: loading a model against reading its file, and a warm job's start.

    python benchmarks/start.py [--size vit_h] [--repeat 3]

A checkpoint with random weights is written to a temporary folder. Each load runs in a process of
its own, with the file in the system's cache, and reads every weight once; beside it stands a plain
read of the file. The warm start is a second order to one engine process: from the order to the
first window's progress, on a raster of one window.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import peak_mb, take_turns_in_children
from report import RESULTS, report

SCRIPT = Path(__file__)
SIDE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="vit_h")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        what, path = args.child
        if found := _measured(what, Path(path)):
            print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{args.size}.safetensors"
        subprocess.run([sys.executable, SCRIPT, "--child", "make", path], check=True)
        children = {what: ["--child", what, str(path)] for what in ("read", "fp32", "bf16", "job")}
        found = take_turns_in_children(SCRIPT, children, args.repeat)
        conditions = {"size": args.size, "repeat": args.repeat, "MB": path.stat().st_size / 1e6}
    names = {
        "read": "read the file", "fp32": "load, touch all weights", "bf16": "load, cast to bf16",
    }  # fmt: skip
    rows = [{"what": name, **found[what]} for what, name in names.items()]
    for which in ("first", "second"):
        row = {"s": found["job"][which], "peak MB": found["job"]["peak MB"]}
        rows.append({"what": f"{which} job of an engine, to its first window", **row})
    report("start", rows, conditions=conditions, out=args.out)


def _measured(what: str, path: Path) -> dict[str, float]:
    """In a process of its own."""
    if what == "make":
        _make(path)
        return {}
    import torch  # what importing takes is no part of a load

    from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
    from mfnet.model.weights.checkpoint import load_model

    if what == "job":
        return {**_jobs(path), "peak MB": peak_mb()}
    started = time.perf_counter()
    if what == "read":
        np.fromfile(path, np.uint8)
    else:
        net = TorchRuntime(load_model(path), "cpu", what).net
        assert all(bool(torch.isfinite(p.sum())) for p in net.parameters())
    return {"s": time.perf_counter() - started, "peak MB": peak_mb()}


def _make(path: Path) -> None:
    import torch

    from mfnet.model.config import ENCODERS, ModelConfig
    from mfnet.model.network.mfnet import MFNet
    from mfnet.model.weights.checkpoint import save

    with torch.device("meta"):
        net = MFNet(ModelConfig(encoder=ENCODERS[path.stem]))
    state = {n: torch.rand_like(t, device="cpu").mul_(0.01) for n, t in _floats(net)}
    save(MFNet.holding(net.config, state), path)


def _floats(net: "torch.nn.Module") -> "list[tuple[str, torch.Tensor]]":  # noqa: F821
    return [(n, t) for n, t in net.state_dict().items() if t.is_floating_point()]


def _jobs(path: Path) -> dict[str, float]:
    """Seconds from a request to its first window, of two requests to one engine."""
    import rasterio
    from rasterio.transform import from_origin

    from mfnet.service.engine.protocol import MapRequest
    from mfnet.service.engine.runner import Segmenter

    folder, segmenter = path.parent, Segmenter()
    values = np.random.default_rng(0).integers(0, 255, (4, SIDE, SIDE))
    profile = {
        "driver": "GTiff", "height": SIDE, "width": SIDE, "crs": "EPSG:32632",
        "transform": from_origin(500_000, 5_500_000, 0.1, 0.1),
    }  # fmt: skip
    for name, bands in (("ortho", values[:3].astype(np.uint8)), ("height", values[3:] / 16)):
        dtype = "uint8" if name == "ortho" else "float32"
        with rasterio.open(
            folder / f"{name}.tif", "w", count=len(bands), dtype=dtype, **profile
        ) as f:
            f.write(bands.astype(dtype))
    request = MapRequest(
        ortho=folder / "ortho.tif",
        height=folder / "height.tif",
        model=str(path),
        models_dir=folder,
        out=folder,
    )

    def seconds() -> float:
        said: list[float] = []
        started = time.perf_counter()
        segmenter.run(request, lambda _: said.append(time.perf_counter()))
        return said[0] - started

    return {"first": seconds(), "second": seconds()}


if __name__ == "__main__":
    main()
