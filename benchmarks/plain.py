"""MFNet run plainly: the same weights through segment-anything's own blocks, as they are.

Each modality passes the encoder apart, windows are padded before the attention, and everything is
computed on the padding. That is how the paper's released code runs it.
"""

import torch
from segment_anything.modeling.image_encoder import Block, window_partition, window_unpartition
from torch import Tensor, nn
from torch.nn import functional as F

from model.network.mfnet import MFNet
from model.network.tuning.mmadapter import MMAdapter


class PlainMFNet(nn.Module):
    """Shares the weights of `net`, which is tuned by MMAdapter and has two modalities."""

    def __init__(self, net: MFNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Logits (B, K, H, W) of normalised rasters, as `MFNet.forward`."""
        encoder = self.net.encoder
        streams = [self._embed(inputs[m.name]) for m in self.net.config.modalities]
        for block, tuning in zip(encoder.vit.blocks, encoder.tuning, strict=True):
            streams = _run_block(block, tuning, streams)
        features = [encoder.vit.neck(x_BhwD.permute(0, 3, 1, 2)) for x_BhwD in streams]
        levels = self.net.fusion(torch.stack(features))
        height = inputs[self.net.config.modalities[0].name].shape[-2]
        logits_BKHW: Tensor = self.net.decoder(levels, height=height)
        return logits_BKHW

    def _embed(self, image_BcHW: Tensor) -> Tensor:
        vit = self.net.encoder.vit
        x_BhwD = vit.patch_embed(image_BcHW.expand(-1, 3, -1, -1))
        positions = F.interpolate(
            vit.pos_embed.permute(0, 3, 1, 2), x_BhwD.shape[1:3], mode="bicubic"
        )
        return x_BhwD + positions.permute(0, 2, 3, 1)


def _run_block(block: Block, tuning: MMAdapter, streams: list[Tensor]) -> list[Tensor]:
    streams = [
        x + _attended(block, adapter, x)
        for x, adapter in zip(streams, tuning.attention_adapters, strict=True)
    ]
    normed = [block.norm2(x) for x in streams]
    ortho, height = (a(x) for a, x in zip(tuning.mlp_adapters, normed, strict=True))
    # λ1 and λ2 of equations 5 and 6.
    own_ortho, own_height = tuning.mixing.weights.flatten()
    mixed = (
        own_ortho * ortho + (1 - own_ortho) * height,
        (1 - own_height) * ortho + own_height * height,
    )
    return [x + block.mlp(n) + m for x, n, m in zip(streams, normed, mixed, strict=True)]


def _attended(block: Block, adapter: nn.Module, x_BhwD: Tensor) -> Tensor:
    h, w = x_BhwD.shape[1:3]
    x = block.norm1(x_BhwD)
    if block.window_size:
        x, padded = window_partition(x, block.window_size)
    x = block.attn(x)
    x = x + adapter(x)
    if block.window_size:
        x = window_unpartition(x, block.window_size, padded, (h, w))
    return x
