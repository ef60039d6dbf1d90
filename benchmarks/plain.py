"""MFNet run plainly: the same weights the way that the paper's released code runs them.

Each modality passes the encoder apart, windows are padded before the attention, everything is
computed on the padding, and the bias of positions is added to every pair of tokens. It is what the
tests hold the network against, and what the benchmarks measure it by.

Shapes: B windows, h w tokens, D embedding.
"""

from collections.abc import Callable, Mapping

import torch
from segment_anything.modeling.image_encoder import (
    Attention,
    Block,
    add_decomposed_rel_pos,
    window_partition,
    window_unpartition,
)
from torch import Tensor, nn
from torch.nn import functional as F

from mfnet.model.network.mfnet import MFNet
from mfnet.model.network.tuning.lora import ALPHA, RANK, LowRank
from mfnet.model.network.tuning.mmadapter import MMAdapter
from mfnet.model.network.tuning.mmlora import MMLoRA

Streams = list[Tensor]
"""Tokens of each modality, (B, h, w, D)."""


class PlainMFNet(nn.Module):
    """Shares the weights of `net`, which is tuned by MMAdapter or MMLoRA."""

    def __init__(self, net: MFNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Logits (B, K, H, W) of normalised rasters, as `MFNet.forward`."""
        encoder = self.net.encoder
        streams = [self._embed(inputs[m.name]) for m in self.net.config.modalities]
        for block, tuning in zip(encoder.vit.blocks, encoder.tuning, strict=True):
            step = _run_adapters if isinstance(tuning, MMAdapter) else _run_low_rank
            streams = step(block, tuning, streams)
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


def _run_adapters(block: Block, tuning: MMAdapter, streams: Streams) -> Streams:
    """Equations 3 to 6."""
    streams = [
        x + _attended(block, x, block.attn.qkv, adapter)
        for x, adapter in zip(streams, tuning.attention_adapters, strict=True)
    ]
    normed = [block.norm2(x) for x in streams]
    adapted = [a(x) for a, x in zip(tuning.mlp_adapters, normed, strict=True)]
    mixed = _mixed(tuning.mixing.weights, adapted)
    return [x + block.mlp(n) + m for x, n, m in zip(streams, normed, mixed, strict=True)]


def _run_low_rank(block: Block, tuning: MMLoRA, streams: Streams) -> Streams:
    """Equations 9 to 12."""

    def qkv_of(m: int) -> Callable[[Tensor], Tensor]:
        def qkv(x: Tensor) -> Tensor:
            q, v = (_update(part, m, x) * (ALPHA / RANK) for part in (tuning.q, tuning.v))
            out: Tensor = block.attn.qkv(x) + torch.cat([q, torch.zeros_like(q), v], dim=-1)
            return out

        return qkv

    streams = [x + _attended(block, x, qkv_of(m)) for m, x in enumerate(streams)]
    normed = [block.norm2(x) for x in streams]
    update1 = _mixed(
        tuning.mixing1.weights, [_update(tuning.lin1, m, x) for m, x in enumerate(normed)]
    )
    hidden = [block.mlp.act(block.mlp.lin1(x) + u) for x, u in zip(normed, update1, strict=True)]
    update2 = _mixed(
        tuning.mixing2.weights, [_update(tuning.lin2, m, x) for m, x in enumerate(hidden)]
    )
    return [x + block.mlp.lin2(y) + u for x, y, u in zip(streams, hidden, update2, strict=True)]


def _attended(
    block: Block,
    x_BhwD: Tensor,
    qkv: Callable[[Tensor], Tensor],
    adapter: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    h, w = x_BhwD.shape[1:3]
    x = block.norm1(x_BhwD)
    if block.window_size:
        x, padded = window_partition(x, block.window_size)
    x = _attention(block.attn, x, qkv)
    if adapter:
        x = x + adapter(x)
    if block.window_size:
        x = window_unpartition(x, block.window_size, padded, (h, w))
    return x


def _attention(attention: Attention, x_BhwD: Tensor, qkv: Callable[[Tensor], Tensor]) -> Tensor:
    """segment_anything/modeling/image_encoder.py, `Attention.forward`, with another `qkv`."""
    B, h, w, D = x_BhwD.shape
    heads = attention.num_heads
    split = qkv(x_BhwD).reshape(B, h * w, 3, heads, D // heads).permute(2, 0, 3, 1, 4)
    q, k, v = split.flatten(1, 2)
    logits = (q * attention.scale) @ k.transpose(-2, -1)
    tables = (attention.rel_pos_h, attention.rel_pos_w)
    logits = add_decomposed_rel_pos(logits, q, *tables, (h, w), (h, w))
    out = logits.softmax(-1) @ v
    out = out.view(B, heads, h, w, D // heads).permute(0, 2, 3, 1, 4).reshape(B, h, w, D)
    projected: Tensor = attention.proj(out)
    return projected


def _mixed(weights_Mm: Tensor, outputs: Streams) -> Streams:
    """Of modality m, what the mixing weighs first; then those behind it, in a circle."""
    mixed = []
    for m, own_weights in enumerate(weights_Mm):
        weights = [*own_weights, 1 - own_weights.sum()]
        around = outputs[m:] + outputs[:m]
        mixed.append(torch.stack([w * x for w, x in zip(weights, around, strict=True)]).sum(0))
    return mixed


def _update(low_rank: LowRank, m: int, x: Tensor) -> Tensor:
    return x @ low_rank.A_MrI[m].T @ low_rank.B_MOr[m].T
