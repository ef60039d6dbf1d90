"""The network computes what the plain path computes, in any size, precision and direction."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from plain import PlainMFNet
from torch import Tensor, nn

from mfnet.model.config import NDSM, ORTHO, EncoderConfig, Modality, ModelConfig
from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
from mfnet.model.inference.segment import segment
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.network import attention
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.checkpoint import load_model
from mfnet.training.synthetic.town import draw_town, write_town
from mfnet.training.trainer.precision import has_bf16

TINY = EncoderConfig(embed_dim=32, depth=3, num_heads=2, global_attn_indexes=(1,), out_chans=32)
MODALITIES = (ORTHO, NDSM, Modality(name="infrared", bands=1, unit="reflectance"))

# A processor without instructions for bf16 takes ten seconds a town.
TOWNS = range(600_000, 600_005 if has_bf16(torch.device("cpu")) else 600_001)

mechanisms = pytest.mark.parametrize("tuning", ["mmadapter", "mmlora"])
modalities = pytest.mark.parametrize("modalities", [1, 2, 3])
# Plain attention over the grid of 1024 pixels takes seconds: not every size with every number.
SHAPES = [(160, 2), (256, 1), (256, 2), (256, 3), (384, 1), (384, 3), (512, 2)]
cases = pytest.mark.parametrize(
    ("tuning", "side", "modalities"),
    [
        *((name, *shape) for name in ("mmadapter", "mmlora") for shape in SHAPES),
        ("mmlora", 1024, 1),
    ],
)


@pytest.fixture
def few_tokens(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to so many tokens a CPU multiplies; with 0 it runs the fused kernel, as GPUs do."""
    monkeypatch.setattr(attention, "_FEW", request.param)


fused = pytest.mark.parametrize("few_tokens", [attention._FEW, 0], indirect=True)


def random_net(tuning: str = "mmadapter", modalities: int = 2) -> MFNet:
    """Small, with random weights in every place, double precision."""
    torch.manual_seed(modalities)
    config = ModelConfig(encoder=TINY, tuning=tuning, modalities=MODALITIES[:modalities])
    net = MFNet(config).double().eval().freeze()
    for name, parameter in net.named_parameters():
        # Where upstream or a mechanism starts with zeros, nothing would be compared.
        if any(part in name for part in ("rel_pos", "pos_embed", "B_MOr")):
            nn.init.normal_(parameter, std=0.3)
    return net


def random_inputs(net: MFNet, side: int, batch: int = 1) -> dict[str, Tensor]:
    return {
        m.name: torch.rand(batch, m.bands, side, side, dtype=torch.float64)
        for m in net.config.modalities
    }


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).norm() / expected.norm())


def cast(inputs: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: image.to(dtype) for name, image in inputs.items()}


@torch.inference_mode()
@cases
def test_it_is_the_plain_function_in_float64(tuning: str, side: int, modalities: int) -> None:
    net = random_net(tuning, modalities)
    inputs = random_inputs(net, side)
    assert relative(net(inputs), PlainMFNet(net)(inputs)) < 1e-12


@cache
def plainly_computed(tuning: str, side: int) -> tuple[MFNet, dict[str, Tensor], Tensor]:
    """A network, two windows, and the plain path's answer."""
    net = random_net(tuning)
    inputs = random_inputs(net, side, batch=2)
    return net, inputs, PlainMFNet(net)(inputs)


@torch.inference_mode()
@mechanisms
@fused
@pytest.mark.usefixtures("few_tokens")
@pytest.mark.parametrize("side", [256, 384])
@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-5), ("bf16", 2e-2)])
def test_a_predictor_comes_as_close_as_its_precision(
    tuning: str, side: int, precision: str, bound: float
) -> None:
    net, inputs, expected = plainly_computed(tuning, side)
    predictor = TorchRuntime(net, "cpu", precision)
    error = relative(predictor.logits(cast(inputs, torch.float32)), expected)
    assert 0 < error < bound
    assert next(net.parameters()).dtype == torch.float64  # the caller's is left alone


@mechanisms
@modalities
@fused
@pytest.mark.usefixtures("few_tokens")
def test_gradients_are_the_plain_ones(tuning: str, modalities: int) -> None:
    net = random_net(tuning, modalities)
    inputs = random_inputs(net, 256)
    target = torch.rand(1, len(net.config.classes), 256, 256, dtype=torch.float64)
    gradients = []
    for network in (net, PlainMFNet(net)):
        net.zero_grad()
        (network(inputs) * target).mean().backward()
        gradients.append({n: p.grad for n, p in net.named_parameters() if p.grad is not None})
    ours, plain = gradients
    assert ours.keys() == plain.keys() == {n for n, p in net.named_parameters() if p.requires_grad}
    norm = torch.stack([gradient.norm() for gradient in plain.values()]).norm()
    for name, gradient in plain.items():
        assert (ours[name] - gradient).norm() < 1e-10 * norm, name


def test_checkpointing_changes_no_gradient() -> None:
    net = random_net()
    inputs = random_inputs(net, 160)
    gradients = []
    for checkpointing in (False, True):
        net.encoder.checkpointing = checkpointing
        net.zero_grad()
        net(inputs).square().mean().backward()
        gradients.append([p.grad for p in net.trainable_parameters() if p.grad is not None])
    for kept, again in zip(*gradients, strict=True):
        torch.testing.assert_close(again, kept, rtol=1e-12, atol=0)


@torch.inference_mode()
def test_positions_are_gathered_once_for_windows_of_a_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    predictor = TorchRuntime(random_net(), "cpu", "fp32")
    encoder, calls = predictor.net.encoder, []
    gather = encoder.positions
    monkeypatch.setattr(encoder, "positions", lambda *size: calls.append(size) or gather(*size))
    inputs = cast(random_inputs(predictor.net, 256), torch.float32)
    first = predictor.logits(inputs)
    assert torch.equal(predictor.logits(inputs), first)
    assert calls == [(256, 256)]


@torch.inference_mode()
def test_compiled_once_it_serves_all_batches_of_a_job() -> None:
    """Traced only: what the trace depends on is the question here, not the machine's compiler."""
    predictor = TorchRuntime(random_net(), "cpu", "fp32")
    traces: list[int] = []

    def count(graph: torch.fx.GraphModule, _: list[Tensor]) -> torch.fx.GraphModule:
        traces.append(len(graph.graph.nodes))
        return graph

    torch._dynamo.reset()
    predictor.net.compile(backend=count, dynamic=False, fullgraph=True)
    for _ in range(3):
        predictor.logits(cast(random_inputs(predictor.net, 256, batch=2), torch.float32))
    assert len(traces) == 1
    torch._dynamo.reset()


@torch.inference_mode()
def test_what_is_not_finite_in_bf16_is_tried_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = TorchRuntime(random_net(), "cpu", "bf16")
    inputs = cast(random_inputs(predictor.net, 256), torch.float32)
    head = predictor.net.decoder.head
    whole = head.forward
    monkeypatch.setattr(head, "forward", lambda x: whole(x) * float("nan"))
    assert torch.isfinite(predictor.logits(inputs)).all()


@pytest.mark.parametrize("seed", TOWNS)
def test_bf16_maps_a_town_as_fp32_does(seed: int, tmp_path: Path) -> None:
    net = load_model("town-small")
    write_town(tmp_path, draw_town(seed, 512, net.config.gsd_m))
    maps = []
    for precision in ("fp32", "bf16"):
        out = tmp_path / f"{precision}.tif"
        # Without overlap: a mean over windows would hide what one of them gets wrong.
        segment(
            tmp_path / "ortho.tif", tmp_path / "ndsm.tif",
            TorchRuntime(net, "cpu", precision), out, options=SegmentOptions(stride=256),
        )  # fmt: skip
        with rasterio.open(out) as raster:
            maps.append(raster.read(1))
    assert np.mean(maps[0] == maps[1]) >= 0.999
