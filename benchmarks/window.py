"""How long one 256×256 window takes, against the same weights run plainly.

    python benchmarks/window.py [--device cuda] [--sizes vit_b small] [--tunings mmadapter mmlora]
                                [--batches 1 8] [--compile] [--repeat 9] [--threads 1]

Outputs are compared first. FLOP count what each contestant computes itself; the matrix rate is a
square product of the same precision, timed in the same turns, and the floor is the contestant's own
FLOP at that rate. On CUDA the table also has the memory of the weights and of a call at its peak.
Processors without instructions for bf16 are measured in fp32 alone: bf16 takes them minutes.
Beside it a picture shows the contestants under the machine's roofline.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from measure import take_turns
from plain import PlainMFNet
from report import RESULTS, Row, machine, report
from roofline import Point, draw_roofline
from torch import Tensor, nn
from work import Machine, Work, count, machine_calls, measured

from mfnet.model.config import ENCODERS, ModelConfig
from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
from mfnet.model.network.mfnet import MFNet
from mfnet.training.trainer.precision import has_bf16

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
TOLERANCE = {"fp32": 1e-5, "bf16": 2e-2}
TUNINGS = ("mmadapter", "mmlora")
Call = Callable[[], Tensor]


class Contestant(NamedTuple):
    """A way to run the network; named as in `roofline.MARKERS`."""

    kind: str
    precision: str
    net: nn.Module
    call: Call


def main() -> None:
    args = _arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    rows: list[Row] = []
    points: list[Point] = []
    roof: Machine | None = None
    for size in args.sizes:
        for tuning in args.tunings:
            for batch in args.batches:
                made, roof = measure(size, tuning, batch, args)
                rows += [row for row, _ in made]
                points += [point for _, point in made if batch == args.batches[-1]]
    conditions = {
        "device": args.device, "threads": torch.get_num_threads(), "repeat": args.repeat,
        "window": 256,
    }  # fmt: skip
    report("window", rows, conditions=conditions, out=args.out)
    assert roof is not None
    picture = args.out / "window.png"
    draw_roofline(points, roof, picture, f"One window of 256 × 256, {machine()}")
    print(f"drawn {picture}")


def measure(
    size: str, tuning: str, batch: int, args: argparse.Namespace
) -> tuple[list[tuple[Row, Point]], Machine]:
    """A row and a point for each contestant of one network, and the machine's rates meanwhile."""
    device = args.device
    net = random_net(size, tuning).to(device)
    inputs = random_inputs(net, batch, device)
    contestants = _contestants(net, inputs, compiled=args.compile)
    with torch.inference_mode():
        works = {c[:2]: count(c.call) for c in contestants if c.kind != "compiled"}
        _assert_equal(contestants)
        calls = {f"{c.kind} {c.precision}": c.call for c in contestants}
        products = machine_calls(device, precisions(device))
        seconds = take_turns({**calls, **products}, args.repeat, device)
    rates = measured(seconds, device)
    made = []
    for contestant in contestants:
        kind, precision = contestant[:2]
        work = works["ours" if kind == "compiled" else kind, precision]
        took = seconds[f"{kind} {precision}"]
        row = {
            "size": size, "mechanism": tuning, "batch": batch, "contestant": f"{kind} {precision}",
            "s/window": took / batch, "times plain fp32": seconds["plain fp32"] / took,
            **_against(rates, work, precision, took, batch), **_memory(contestant),
        }  # fmt: skip
        made.append((row, Point(f"{size} {tuning}", kind, precision, work, took)))
    return made, rates


def precisions(device: str | torch.device) -> dict[str, torch.dtype]:
    """Those that a device has instructions for."""
    fast = has_bf16(torch.device(device))
    return {name: dtype for name, dtype in PRECISIONS.items() if fast or name == "fp32"}


def random_net(size: str, tuning: str) -> MFNet:
    """Random weights, the same on every call; also where upstream starts with zeros."""
    torch.manual_seed(0)
    net = MFNet(ModelConfig(encoder=ENCODERS[size], tuning=tuning)).eval().freeze()
    for name, parameter in net.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            nn.init.normal_(parameter, std=0.1)
    return net


def random_inputs(net: MFNet, batch: int, device: str) -> dict[str, Tensor]:
    """Noise, by modality."""
    side = net.config.window_px
    return {
        m.name: torch.rand(batch, m.bands, side, side, device=device) for m in net.config.modalities
    }


def _contestants(net: MFNet, inputs: dict[str, Tensor], *, compiled: bool) -> Sequence[Contestant]:
    made = []
    device = next(net.parameters()).device
    for precision, dtype in precisions(device).items():
        plain = PlainMFNet(net.converted(device, dtype))
        cast = {name: image.to(dtype) for name, image in inputs.items()}
        made.append(Contestant("plain", precision, plain, lambda p=plain, i=cast: p(i).float()))
        ours = TorchRuntime(net, device.type, precision)
        made.append(Contestant("ours", precision, ours.net, lambda p=ours: p.logits(inputs)))
        if compiled:
            traced = TorchRuntime(net, device.type, precision)
            traced.net.compile(dynamic=False)
            made.append(
                Contestant("compiled", precision, traced.net, lambda p=traced: p.logits(inputs))
            )
    return made


def _assert_equal(contestants: Sequence[Contestant]) -> None:
    """All must compute the same function, as well as their precision can."""
    expected = contestants[0].call()
    for kind, precision, _, call in contestants[1:]:
        error = float((call() - expected).norm() / expected.norm())
        if not error <= TOLERANCE[precision]:
            bound = TOLERANCE[precision]
            raise SystemExit(f"{kind} {precision} is off by {error:.2e} (relative L2), not {bound}")


def _against(
    rates: Machine, work: Work, precision: str, seconds: float, batch: int
) -> dict[str, float]:
    return {
        "GFLOP/window": work.flop / batch / 1e9,
        "MB moved/window": work.bytes / batch / 1e6,
        "GFLOP/s": work.flop / seconds / 1e9,
        "matrix GFLOP/s": rates.flop_s[precision] / 1e9,
        "share of it, %": 100 * rates.floor_s(work, precision) / seconds,
    }


def _memory(contestant: Contestant) -> dict[str, float]:
    """The weights and what a call adds to them at its peak, 10⁶ bytes; CUDA alone can tell."""
    tensors = list(contestant.net.state_dict().values())
    if not tensors[0].is_cuda:
        return {}
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    held = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    with torch.inference_mode():
        contestant.call()
    return {"GPU MB": (weights + torch.cuda.max_memory_allocated() - held) / 1e6}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sizes", nargs="+", choices=ENCODERS, default=["small", "vit_b"])
    parser.add_argument("--tunings", nargs="+", choices=TUNINGS, default=["mmadapter"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1], help="windows a call")
    parser.add_argument("--compile", action="store_true", help="torch.compile takes part")
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--threads", type=int, help="of the CPU; all cores if not given")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
