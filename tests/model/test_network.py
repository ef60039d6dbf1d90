"""The network: parameter counts, freezing, exactness of the attention, refusals."""

import itertools

import pytest
import torch
from segment_anything.modeling.image_encoder import Block
from torch import nn

from model.config import ENCODERS, NDSM, ORTHO, EncoderConfig, Modality, ModelConfig
from model.errors import ModelInput
from model.network.attention import attend
from model.network.mfnet import MFNet
from model.network.tuning import TUNINGS
from model.network.tuning.base import Mixing

TINY = EncoderConfig(
    embed_dim=32, depth=2, num_heads=2, global_attn_indexes=(1,), window_size=14, grid=16
)


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for p in itertools.chain(*(m.parameters() for m in modules)))


@pytest.mark.parametrize(
    ("encoder", "trainable"),
    [("vit_b", 14_201_880), ("vit_l", 50_454_576), ("vit_h", 105_062_464)],
)
def test_trainable_parameters_in_the_encoder_are_the_papers(encoder: str, trainable: int) -> None:
    with torch.device("meta"):
        net = MFNet(ModelConfig(encoder=ENCODERS[encoder])).freeze()
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
    ours = x + attend(block.attn, block.norm1(x)[None], block.attn.qkv, window)[0]
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


@pytest.mark.parametrize("side", [160, 224, 256, 320])
def test_sizes_that_the_configuration_allows_run(side: int) -> None:
    net = MFNet(ModelConfig(encoder=TINY, window_px=side)).eval()
    assert net(random_inputs(net, side)).shape == (2, 6, side, side)


@pytest.mark.parametrize("side", [128, 250, 272])
def test_sizes_that_the_decoder_cannot_take_are_refused(side: int) -> None:
    with pytest.raises(ValueError, match=f"window_px is {side}; expected a multiple of 32"):
        ModelConfig(encoder=TINY, window_px=side)


def test_wrong_inputs_are_named() -> None:
    net = MFNet(ModelConfig(encoder=TINY)).eval()
    inputs = random_inputs(net)
    with pytest.raises(ModelInput, match="needs 'ndsm'; given: ortho"):
        net({"ortho": inputs["ortho"]})
    with pytest.raises(ModelInput, match=r"'ortho' has shape \(2, 4, 256, 256\); expected"):
        net(inputs | {"ortho": torch.zeros(2, 4, 256, 256)})
    with pytest.raises(ModelInput, match="multiples of 32"):
        net({name: x[..., :250] for name, x in inputs.items()})


def random_inputs(net: MFNet, side: int = 256) -> dict[str, torch.Tensor]:
    return {m.name: torch.rand(2, m.bands, side, side) for m in net.config.modalities}
