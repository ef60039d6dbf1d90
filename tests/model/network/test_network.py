"""The network: parameter counts, freezing, exactness of the attention, refusals."""

import itertools
import subprocess
import sys
from typing import Any

import pytest
import torch
from segment_anything.modeling.image_encoder import Block
from torch import nn

from mfnet.model.config import ENCODERS, NDSM, ORTHO, EncoderConfig, Modality, ModelConfig
from mfnet.model.errors import BadOption, ModelInput
from mfnet.model.network.attention import attend, grid_geometry
from mfnet.model.network.encoder import MultimodalEncoder
from mfnet.model.network.mfnet import MFNet
from mfnet.model.network.tuning import TUNINGS
from mfnet.model.network.tuning.base import Mixing
from mfnet.model.network.tuning.mmdora import MMDoRA

TINY = EncoderConfig(
    embed_dim=32, depth=2, num_heads=2, global_attn_indexes=(1,), window_size=14, grid=16
)


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for p in itertools.chain(*(m.parameters() for m in modules)))


@pytest.mark.parametrize(
    ("encoder", "tuning", "trainable"),
    [
        ("vit_b", "mmadapter", 14_201_880),
        ("vit_l", "mmadapter", 50_454_576),
        ("vit_h", "mmadapter", 105_062_464),
        ("vit_b", "mmlora", 1_032_240),
        ("vit_l", "mmlora", 2_752_608),
        ("vit_h", "mmlora", 4_587_648),
    ],
)
def test_trainable_parameters_in_the_encoder_are_the_papers(
    encoder: str, tuning: str, trainable: int
) -> None:
    """Table VI: 14.20, 50.45, 105.06 and 1.03, 2.75, 4.59 million."""
    with torch.device("meta"):
        net = MFNet(ModelConfig(encoder=ENCODERS[encoder], tuning=tuning)).freeze()
    assert sum(p.numel() for p in net.encoder.parameters() if p.requires_grad) == trainable
    assert count(net.fusion, net.decoder) == 2_158_238


def test_freezing_trains_what_is_declared_and_nothing_else() -> None:
    net = MFNet(ModelConfig(encoder=TINY)).freeze()
    net(random_inputs(net)).mean().backward()
    assert all(p.grad is None for p in net.encoder.vit.parameters())
    assert all(p.grad is not None for p in net.trainable_parameters())


@pytest.mark.parametrize("grid", [(14, 14), (16, 16), (15, 29), (7, 3)])
@pytest.mark.parametrize("window", [14, 0])
def test_attention_equals_segment_anythings_block(grid: tuple[int, int], window: int) -> None:
    torch.manual_seed(sum(grid) + window)
    block = Block(32, 2, use_rel_pos=True, window_size=window, input_size=(16, 16)).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    block.mlp.lin2.weight.data.zero_()
    block.mlp.lin2.bias.data.zero_()
    x = torch.randn(2, *grid, 32, dtype=torch.float64)
    geometry = grid_geometry(block.attn, *grid, window)
    ours = x + attend(block.attn, block.norm1(x)[None], block.attn.qkv, geometry)[0]
    torch.testing.assert_close(ours, block(x), rtol=1e-10, atol=1e-10)


def test_mixing_of_two_is_lambda_and_its_complement() -> None:
    mixing = Mixing(2)
    mixing.weights.data = torch.tensor([[0.3], [0.9]])
    x, y = torch.randn(2, 5)
    mixed = mixing(torch.stack([x, y]))
    torch.testing.assert_close(mixed, torch.stack([0.3 * x + 0.7 * y, 0.9 * y + 0.1 * x]))


@pytest.mark.parametrize("modalities", [1, 2, 3, 5])
def test_rows_of_the_mixing_sum_to_one(modalities: int) -> None:
    mixing = Mixing(modalities)
    nn.init.normal_(mixing.weights)
    ones = torch.ones(modalities, 4)
    torch.testing.assert_close(mixing(ones), ones)


@pytest.mark.parametrize("tuning", sorted(TUNINGS))
@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_any_mechanism_takes_any_number_of_modalities(tuning: str, modalities: int) -> None:
    names = (ORTHO, NDSM, Modality(name="infrared", bands=1, unit="reflectance"))[:modalities]
    net = MFNet(ModelConfig(encoder=TINY, tuning=tuning, modalities=names)).eval()
    assert net(random_inputs(net)).shape == (2, 6, 256, 256)


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_without_the_fusion_module_features_are_summed(modalities: int) -> None:
    names = (ORTHO, NDSM, Modality(name="infrared", bands=1, unit="reflectance"))[:modalities]
    net = MFNet(ModelConfig(encoder=TINY, fusion="sum", modalities=names)).eval()
    assert count(net.fusion) == 0
    assert net(random_inputs(net)).shape == (2, 6, 256, 256)


@pytest.mark.parametrize("mechanism", ["lora", "mmlora", "mmdora"])
def test_a_low_rank_update_changes_nothing_before_it_is_trained(mechanism: str) -> None:
    torch.manual_seed(4)
    frozen = MFNet(ModelConfig(encoder=TINY, tuning="none")).eval()
    tuned = MFNet(ModelConfig(encoder=TINY, tuning=mechanism)).eval()
    tuned.load_state_dict(frozen.state_dict(), strict=False)
    inputs = random_inputs(frozen)
    torch.testing.assert_close(tuned(inputs), frozen(inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mechanism", ["adapter", "lora"])
def test_standard_mechanisms_exchange_nothing_between_modalities(mechanism: str) -> None:
    features = heights_changed(mechanism)
    torch.testing.assert_close(features[0], features[1])


@pytest.mark.parametrize("mechanism", ["mmadapter", "mmlora", "mmdora"])
def test_multimodal_mechanisms_tell_the_orthophoto_of_the_heights(mechanism: str) -> None:
    features = heights_changed(mechanism)
    assert (features[0] - features[1]).abs().max() > 1e-3


def heights_changed(mechanism: str) -> list[torch.Tensor]:
    """The orthophoto's features with one height raster and with another."""
    torch.manual_seed(2)
    encoder = MultimodalEncoder(TINY, mechanism, modalities=2).eval()
    for parameter in encoder.tuning.parameters():
        nn.init.normal_(parameter, std=0.1)
    ortho = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        return [encoder(torch.stack([ortho, torch.rand(1, 3, 256, 256)]))[0] for _ in range(2)]


def test_dora_renormalizes_each_output_of_the_updated_weight() -> None:
    torch.manual_seed(3)
    block = Block(8, 2).double()
    tuning = MMDoRA(8, 32, modalities=1).double()
    for parameter in tuning.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(1, 2, 3, 3, 8, dtype=torch.float64)
    W, bias = block.mlp.lin1.weight, block.mlp.lin1.bias
    V = W + tuning.lin1.B_MOr[0] @ tuning.lin1.A_MrI[0]
    length = tuning.length1[0] * W.norm(dim=1)
    hidden = block.mlp.act(x @ (length[:, None] * V / V.norm(dim=1, keepdim=True)).T + bias)
    W, bias = block.mlp.lin2.weight, block.mlp.lin2.bias
    V = W + tuning.lin2.B_MOr[0] @ tuning.lin2.A_MrI[0]
    length = tuning.length2[0] * W.norm(dim=1)
    expected = hidden @ (length[:, None] * V / V.norm(dim=1, keepdim=True)).T + bias
    torch.testing.assert_close(tuning.mlp(x, block.mlp), expected)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"tuning": "prompt"}, "no fine-tuning mechanism 'prompt'; there are: none, adapter"),
        ({"fusion": "max"}, "no fusion module 'max'; there are: dfm, sum"),
    ],
)
def test_unknown_parts_are_refused_with_those_that_there_are(
    option: dict[str, str], message: str
) -> None:
    with pytest.raises(BadOption, match=message):
        MFNet(ModelConfig(encoder=TINY, **option))


@pytest.mark.parametrize("side", [160, 224, 256, 320])
def test_sizes_that_the_configuration_allows_run(side: int) -> None:
    net = MFNet(ModelConfig(encoder=TINY, window_px=side)).eval()
    assert net(random_inputs(net, side)).shape == (2, 6, side, side)


@pytest.mark.parametrize("side", [128, 250, 272])
def test_sizes_that_the_decoder_cannot_take_are_refused(side: int) -> None:
    with pytest.raises(ValueError, match=f"window_px is {side}; expected a multiple of 32"):
        ModelConfig(encoder=TINY, window_px=side)


@pytest.mark.parametrize(
    "option",
    [
        {"modalities": ()},
        {"modalities": (ORTHO, ORTHO)},
        {"decode_channels": 20},
        {"temperature": 0.0},
        {"temperature": float("nan")},
    ],
)
def test_shapes_that_no_network_has_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        ModelConfig(encoder=TINY, **option)


def test_wrong_inputs_are_named() -> None:
    net = MFNet(ModelConfig(encoder=TINY)).eval()
    inputs = random_inputs(net)
    with pytest.raises(ModelInput, match="needs 'ndsm'; given: ortho"):
        net({"ortho": inputs["ortho"]})
    with pytest.raises(ModelInput, match=r"'ortho' has shape \(2, 4, 256, 256\); expected"):
        net(inputs | {"ortho": torch.zeros(2, 4, 256, 256)})
    with pytest.raises(ModelInput, match="height and width differ"):
        net(inputs | {"ortho": torch.zeros(2, 3, 256, 160)})
    for side in (250, 128):
        with pytest.raises(ModelInput, match="multiples of 32 from 160"):
            net({name: x[..., :side] for name, x in inputs.items()})


def random_inputs(net: MFNet, side: int = 256) -> dict[str, torch.Tensor]:
    return {m.name: torch.rand(2, m.bands, side, side) for m in net.config.modalities}


def test_it_is_built_without_torchvision_and_torchs_compiler() -> None:
    """They take as long to import as torch itself."""
    script = "import mfnet.model.network.mfnet, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"torchvision", "torch._dynamo", "segment_anything"} & set(done.stdout.split())
