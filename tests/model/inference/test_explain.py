"""Heat maps of what each modality contributes."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from torch import nn

from mfnet.model.classes import NODATA
from mfnet.model.config import EncoderConfig, ModelConfig
from mfnet.model.errors import BadOption
from mfnet.model.inference.explain import GradCam, explain
from mfnet.model.network.encoder import stack_modalities
from mfnet.model.network.mfnet import MFNet

TINY = EncoderConfig(
    embed_dim=32, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=8, grid=16
)


@pytest.fixture
def net() -> MFNet:
    torch.manual_seed(1)
    return MFNet(ModelConfig(name="random", encoder=TINY)).eval()


def winner(net: MFNet, inputs: dict[str, torch.Tensor]) -> int:
    """A class that wins somewhere, so that there is a score."""
    return int(net(inputs).argmax(1).mode().values.mode().values.mode().values)


def test_heat_is_the_gradient_weighted_activation(net: MFNet) -> None:
    """Against the definition, written out for one window with autograd on the features."""
    inputs = {"ortho": torch.rand(1, 3, 256, 256), "ndsm": torch.rand(1, 1, 256, 256)}
    target = winner(net, inputs)
    features = net.encoder(stack_modalities([inputs["ortho"], inputs["ndsm"]])).detach()
    features.requires_grad_()
    logits = net.decoder(net.fusion(features), 256)
    score = logits[:, target][logits.argmax(1) == target].sum() / 256**2
    score.backward()
    assert features.grad is not None
    expected = []
    for activation, gradient in zip(features[:, 0], features.grad[:, 0], strict=True):
        heat = torch.zeros(16, 16)
        for channel in range(256):
            heat += gradient[channel].mean() * activation[channel].detach()
        expected.append(heat.clamp(min=0))
    heat = nn.functional.interpolate(torch.stack(expected)[None], 256, mode="bilinear")
    torch.testing.assert_close(GradCam(net, target).heat(inputs), heat, rtol=1e-3, atol=1e-7)


def test_a_window_where_the_class_wins_nowhere_stays_cold(net: MFNet) -> None:
    inputs = {"ortho": torch.rand(2, 3, 256, 256), "ndsm": torch.rand(2, 1, 256, 256)}
    absent = min(set(range(6)) - set(net(inputs).argmax(1).unique().tolist()))
    assert GradCam(net, absent).heat(inputs).abs().max() == 0


def test_heat_maps_lie_on_the_orthophotos_grid(net: MFNet, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    grid = {
        "driver": "GTiff", "height": 280, "width": 300, "crs": "EPSG:25832",
        "transform": from_origin(500000, 5700000, 0.5, 0.5),
    }  # fmt: skip
    pixels = random.integers(1, 255, (3, 280, 300), dtype=np.uint8)
    pixels[:, :20] = 0
    ortho, height = tmp_path / "ortho.tif", tmp_path / "ndsm.tif"
    with rasterio.open(ortho, "w", count=3, dtype="uint8", nodata=0, **grid) as file:
        file.write(pixels)
    with rasterio.open(height, "w", count=1, dtype="float32", **grid) as file:
        file.write(20 * random.random((1, 280, 300), dtype=np.float32))
    names = net.config.classes.names
    both = {"ortho": torch.rand(1, 3, 256, 256), "ndsm": torch.rand(1, 1, 256, 256)}
    name = names[winner(net, both)]
    spelled = name.replace("_", " ").upper()
    files = explain(ortho, height, net, spelled, tmp_path / "heat.tif")
    assert [path.name for path in files.values()] == ["heat_ortho.tif", "heat_ndsm.tif"]
    peaks = []
    for path in files.values():
        with rasterio.open(path) as heat, rasterio.open(ortho) as source:
            assert (heat.shape, heat.transform, heat.crs) == (
                source.shape, source.transform, source.crs,
            )  # fmt: skip
            assert heat.tags()["MFNET_CLASS"] == name
            values = heat.read(1)
        assert (values[:20] == NODATA).all()
        peaks.append(values[20:].max())
    assert max(peaks) == 100


def test_an_unknown_class_is_refused_with_those_that_there_are(net: MFNet, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"no class 'house'; expected one of 0 impervious_"):
        explain(tmp_path / "a.tif", tmp_path / "b.tif", net, "house", tmp_path / "heat.tif")
