"""How long one 256×256 window takes, against the same weights run plainly.

    python benchmarks/window.py [--device cuda] [--sizes vit_b small] [--repeat 9]

Outputs are compared first. GFLOP count what each contestant computes itself; the matrix rate is a
square product of the same precision, timed in the same turns.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from measure import take_turns
from plain import PlainMFNet
from report import RESULTS, Row, report
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from model.config import ENCODERS, ModelConfig
from model.inference.predictor import Predictor
from model.network.mfnet import MFNet

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
TOLERANCE = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sizes", nargs="+", choices=ENCODERS, default=["small", "vit_b"])
    parser.add_argument("--batch", type=int, default=1, help="windows a call")
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    with torch.inference_mode():
        measured = [measure(s, args.device, args.batch, args.repeat) for s in args.sizes]
    rows = [row for size_rows in measured for row in size_rows]
    conditions = {"device": args.device, "batch": args.batch, "repeat": args.repeat, "window": 256}
    report("window", rows, conditions=conditions, out=args.out)


def measure(size: str, device: str, batch: int, repeat: int) -> list[Row]:
    """One row a contestant, for one encoder size."""
    net = _random_net(size)
    inputs = {
        m.name: torch.rand(batch, m.bands, net.config.window_px, net.config.window_px)
        for m in net.config.modalities
    }
    error = _assert_equal(net, inputs)
    net.to(device)
    inputs = {name: image.to(device) for name, image in inputs.items()}
    calls = {}
    for precision in PRECISIONS:
        calls[f"plain {precision}"] = partial(_run_plain, PlainMFNet(net), inputs, precision)
        calls[f"ours {precision}"] = partial(Predictor(net, device, precision), inputs)
    # The counter does not go with autocast; a precision changes no count.
    gflop = {name: _gflop(calls[f"{name.split()[0]} fp32"]) / batch for name in calls}
    products = {f"matrix {p}": _matrix_product(device, d) for p, d in PRECISIONS.items()}
    seconds = take_turns({**calls, **products}, repeat, device)
    side = _side(device)
    return [
        {
            "size": size,
            "contestant": name,
            "s/window": seconds[name] / batch,
            "times plain fp32": seconds["plain fp32"] / seconds[name],
            "GFLOP/window": gflop[name],
            "GFLOP/s": gflop[name] * batch / seconds[name],
            "matrix GFLOP/s": 2 * side**3 / 1e9 / seconds[f"matrix {name.split()[1]}"],
            "rel. difference": error,
        }
        for name in calls
    ]


def _random_net(size: str) -> MFNet:
    """Random weights, the same on every call; also where upstream starts with zeros."""
    torch.manual_seed(0)
    net = MFNet(ModelConfig(encoder=ENCODERS[size])).eval()
    for name, parameter in net.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            nn.init.normal_(parameter, std=0.1)
    return net


def _assert_equal(net: MFNet, inputs: dict[str, Tensor]) -> float:
    """The relative L2 difference in fp32 on the CPU; both must compute the same function."""
    plain, ours = PlainMFNet(net)(inputs), net(inputs)
    error = float((ours - plain).norm() / plain.norm())
    if not error <= TOLERANCE:
        raise SystemExit(f"outputs differ by {error:.2e} (relative L2); expected {TOLERANCE:.0e}")
    return error


def _run_plain(plain: PlainMFNet, inputs: dict[str, Tensor], precision: str) -> Tensor:
    """As `Predictor` runs ours: autocast for bf16."""
    device = next(iter(inputs.values())).device.type
    with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
        logits_BKHW: Tensor = plain(inputs)
    return logits_BKHW


def _gflop(call: Callable[[], Tensor]) -> float:
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


def _matrix_product(device: str, dtype: torch.dtype) -> partial[Tensor]:
    a, b = torch.randn(2, _side(device), _side(device), device=device, dtype=dtype)
    return partial(torch.matmul, a, b)


def _side(device: str) -> int:
    return 8192 if device.startswith("cuda") else 2048


if __name__ == "__main__":
    main()
