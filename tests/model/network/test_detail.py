"""The head at full resolution: changes nothing at first, and reaches single pixels."""

import torch

from mfnet.model.config import ENCODERS, ModelConfig
from mfnet.model.network.detail import DetailHead
from mfnet.model.network.mfnet import MFNet

SIDE = 160


def _inputs() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "ortho": torch.rand(2, 3, SIDE, SIDE, generator=generator),
        "ndsm": torch.rand(2, 1, SIDE, SIDE, generator=generator),
    }


def test_a_new_head_changes_no_logit() -> None:
    plain = MFNet(ModelConfig(encoder=ENCODERS["small"], window_px=SIDE)).eval()
    config = plain.config.model_copy(update={"detail_channels": 8})
    net = MFNet(config).eval()
    net.load_state_dict({**net.state_dict(), **plain.state_dict()})
    with torch.inference_mode():
        assert torch.equal(net(_inputs()), plain(_inputs()))


def test_it_sees_eight_pixels_around_and_no_more() -> None:
    head = DetailHead(bands=4, classes=3, channels=4)
    torch.nn.init.normal_(head.head.weight)
    pixels = torch.rand(1, 4, 21, 21)
    logits = torch.zeros(1, 3, 21, 21)
    changed = pixels.clone()
    changed[..., 10, 10] += 0.5
    moved = (head(logits, [changed]) - head(logits, [pixels])).abs().sum((0, 1)) > 0
    rows, columns = moved.nonzero(as_tuple=True)
    assert int(rows.min()) >= 7
    assert int(rows.max()) <= 13
    assert (int(columns.min()), int(columns.max())) != (10, 10)


def test_fine_tuning_trains_it_and_a_cast_network_keeps_it() -> None:
    config = ModelConfig(encoder=ENCODERS["small"], window_px=SIDE, detail_channels=8)
    net = MFNet(config)
    trained = {id(parameter) for parameter in net.trainable_parameters()}
    assert net.detail is not None
    assert all(id(parameter) in trained for parameter in net.detail.parameters())
    half = net.converted(torch.device("cpu"), torch.bfloat16)
    assert {name for name in half.state_dict() if name.startswith("detail.")}
