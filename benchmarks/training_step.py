"""How long a training step's forward and backward take, against the plain loop's.

    python benchmarks/training_step.py [--device cuda] [--sizes vit_b] [--batch 2] [--repeat 3]

All train the same weights on the same batch: what is tuned, the fusion and the decoder; SAM's
encoder is frozen. Losses are compared first. The optimiser's own step is the same for all and left
out. On CUDA the table also has the most memory that a step holds.
"""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from measure import take_turns
from plain import PlainMFNet
from report import RESULTS, Row, report
from torch import Tensor, nn
from torch.nn import functional as F
from window import precisions, random_inputs, random_net

from mfnet.model.config import ENCODERS

Step = Callable[[], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sizes", nargs="+", choices=ENCODERS, default=["vit_b"])
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of the CPU; all cores if not given")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    rows = [row for s in args.sizes for row in measure(s, args.device, args.batch, args.repeat)]
    conditions = {
        "device": args.device, "batch": args.batch, "threads": torch.get_num_threads(),
        "repeat": args.repeat, "window": 256,
    }  # fmt: skip
    report("training_step", rows, conditions=conditions, out=args.out)


def measure(size: str, device: str, batch: int, repeat: int) -> list[Row]:
    """One row a contestant, for one encoder size."""
    steps = _steps(size, device, batch)
    losses = {name: float(step()) for name, step in steps.items()}
    expected = losses["plain fp32"]
    for name, loss in losses.items():
        if abs(loss - expected) > 2e-2 * expected:
            raise SystemExit(f"{name} has a loss of {loss}, the plain loop {expected}")
    seconds = take_turns(steps, repeat, device)
    return [
        {
            "size": size, "contestant": name, "s/step": seconds[name],
            "times plain": seconds["plain fp32"] / seconds[name], **_memory(step, device),
        }
        for name, step in steps.items()
    ]  # fmt: skip


def _steps(size: str, device: str, batch: int) -> dict[str, Step]:
    """The released loop; ours as `training/trainer/loop.py` sets it up, in each of its modes."""
    net = random_net(size, "mmadapter").to(device)
    inputs = random_inputs(net, batch, device)
    truth_BHW = torch.randint(0, len(net.config.classes), (batch, 256, 256), device=device)
    steps: dict[str, Step] = {"plain fp32": partial(_step, PlainMFNet(net), inputs, truth_BHW)}
    for precision in precisions(device):
        for checkpointing in (False, True):
            mine = net.converted(torch.device(device), torch.float32).freeze()
            mine.encoder.checkpointing = checkpointing
            if precision == "bf16":
                mine.encoder.vit.to(torch.bfloat16)
            name = f"ours {precision}" + (", checkpointing" if checkpointing else "")
            steps[name] = partial(_step, mine, inputs, truth_BHW, bf16=precision == "bf16")
    return steps


def _step(
    network: nn.Module, inputs: Mapping[str, Tensor], truth_BHW: Tensor, *, bf16: bool = False
) -> Tensor:
    network.zero_grad(set_to_none=True)
    with torch.autocast(truth_BHW.device.type, torch.bfloat16, enabled=bf16):
        logits_BKHW = network(inputs)
    loss = F.cross_entropy(logits_BKHW.float(), truth_BHW)
    loss.backward()
    return loss.detach()


def _memory(step: Step, device: str) -> dict[str, float]:
    """The most that a step holds beside what is held before it, 10⁶ bytes; CUDA alone can tell."""
    if not device.startswith("cuda"):
        return {}
    held = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    return {"GPU MB added": (torch.cuda.max_memory_allocated() - held) / 1e6}


if __name__ == "__main__":
    main()
