"""SAM's attention, exact, without computing what padding does not need.

Shapes: N images, h w tokens, D embedding, n heads, d channels a head, S tokens a window.
"""

from collections.abc import Callable

import torch
from segment_anything.modeling.image_encoder import (
    Attention,
    get_rel_pos,
    window_partition,
    window_unpartition,
)
from torch import Tensor
from torch.nn import functional as F


def attend(
    attention: Attention, x_MBhwD: Tensor, qkv: Callable[[Tensor], Tensor], window: int
) -> Tensor:
    """Multi-head attention with decomposed relative positions, over windows or the whole grid.

    Upstream pads the tokens with zeros to whole windows and runs everything on them; the padded
    tokens take part in the softmax. A zero token's queries, keys and values are the bias of `qkv`,
    so the projections run on real tokens alone and the bias is filled in: the same function.

    Args:
        attention: Holds the projections and positions; frozen.
        x_MBhwD: The tokens behind the first norm.
        qkv: The projection to queries, keys and values, with what a tuning adds to it.
        window: Tokens a side; 0 attends over the whole grid.

    Returns:
        The projected output, (M, B, h, w, D).

    Source: segment_anything/modeling/image_encoder.py, `Block` and `Attention`.
    """
    M, B, h, w, D = x_MBhwD.shape
    qkv_Nhw = qkv(x_MBhwD).flatten(0, 1)
    if window:
        qkv_Nhw = _fill_windows(qkv_Nhw, attention.qkv.bias, window)
        height, width = qkv_Nhw.shape[1:3]
        qkv_Nhw, _ = window_partition(qkv_Nhw, window)
    out_Nhw = _scaled_dot_product(attention, qkv_Nhw)
    if window:
        out_Nhw = window_unpartition(out_Nhw, window, (height, width), (h, w))
    out: Tensor = attention.proj(out_Nhw.reshape(M, B, h, w, D))
    return out


def _fill_windows(qkv_Nhw: Tensor, bias: Tensor, window: int) -> Tensor:
    """Extends the grid to whole windows with tokens that are the bias."""
    N, h, w, channels = qkv_Nhw.shape
    height, width = h + -h % window, w + -w % window
    if (height, width) == (h, w):
        return qkv_Nhw
    filled = bias.to(qkv_Nhw.dtype).expand(N, height, width, channels).clone()
    filled[:, :h, :w] = qkv_Nhw
    return filled


def _scaled_dot_product(attention: Attention, qkv_Nhw: Tensor) -> Tensor:
    """Softmax attention within each image of the batch; returns (N, h, w, D)."""
    N, h, w, _ = qkv_Nhw.shape
    q, k, v = qkv_Nhw.view(N, h * w, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    bias = _relative_position_bias(attention, q, h, w)
    out_NnSd = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    return out_NnSd.transpose(1, 2).reshape(N, h, w, -1)


def _relative_position_bias(attention: Attention, q_NnSd: Tensor, h: int, w: int) -> Tensor:
    """Query-dependent bias for each pair of tokens, (N, n, S, S): one term a row, one a column."""
    q_Nnhwd = q_NnSd.reshape(*q_NnSd.shape[:2], h, w, -1)
    rows_hhd = get_rel_pos(h, h, attention.rel_pos_h).to(q_NnSd.dtype)
    columns_wwd = get_rel_pos(w, w, attention.rel_pos_w).to(q_NnSd.dtype)
    by_row = torch.einsum("NnhwD,hkD->Nnhwk", q_Nnhwd, rows_hhd)
    by_column = torch.einsum("NnhwD,wkD->Nnhwk", q_Nnhwd, columns_wwd)
    return (by_row[..., :, None] + by_column[..., None, :]).flatten(4, 5).flatten(2, 3)
