"""SAM's attention, exact, on real tokens alone.

Upstream pads the grid of tokens with zeros to whole windows, computes everything on the padding
too, and lets it take part in the softmax. Here nothing is computed for it:

- A zero token's query, key and value are the bias of `qkv`. All padded tokens of a window share
  that key and value; only their positions differ. Their terms of a softmax sum to one term, so a
  window attends to its real tokens and one more, whose logit is the logarithm of that sum.
- The bias of a pair of tokens is one term by its rows and one by its columns. Both are appended to
  the query and picked by a one-hot part of the key: they come out of the same matrix product as
  q · k, and no mask of S × S is made for a fused kernel to read.

Shapes: N images, h w tokens, D embedding, n heads, d channels a head, W windows, S tokens of one,
s its side with padding, E channels of a query with what is appended.
Source: segment_anything/modeling/image_encoder.py, `Block` and `Attention`.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mfnet.model.network.sam_modeling import Attention, get_rel_pos

_LANES = 8
"""Fused kernels take heads whose width is a multiple of this."""

_FEW = 1024
"""Up to so many tokens, two plain products beat the fused kernel on a CPU (docs/measurements)."""


class Region(NamedTuple):
    """A part of the grid, cut into windows that hold equally many real tokens.

    Attributes:
        rows: Of the grid.
        columns: Of the grid.
        height: Rows of real tokens in a window.
        width: Columns of real tokens in a window.
        padded: A window holds padding too.
        picks_ST: Which of the T appended terms belong to a key, one-hot for each axis; with
            padding, the last row is the padding's key.
    """

    rows: slice
    columns: slice
    height: int
    width: int
    padded: bool
    picks_ST: Tensor


class Geometry(NamedTuple):
    """What attention needs of the grid; it depends on the weights and the grid's size alone.

    Attributes:
        rows_ssd: Relative position of each pair of rows of a window, query first, times √d.
        columns_ssd: The same of columns.
        regions: They cover the grid.
    """

    rows_ssd: Tensor
    columns_ssd: Tensor
    regions: tuple[Region, ...]


def grid_geometry(attention: Attention, h: int, w: int, window: int) -> Geometry:
    """The geometry of a grid of h × w tokens.

    Args:
        attention: Holds the positions.
        h: Rows of tokens.
        w: Columns of tokens.
        window: Tokens a side; 0 attends over the whole grid.
    """
    tall, wide = (window, window) if window else (h, w)
    like = attention.rel_pos_h
    regions = tuple(
        _region(rows, columns, (tall, wide), like)
        for rows in _spans(h, tall)
        for columns in _spans(w, wide)
    )
    # Queries come scaled by 1/√d, and upstream takes these products before the scaling.
    scale = like.shape[1] ** 0.5
    return Geometry(
        get_rel_pos(tall, tall, attention.rel_pos_h).to(like.dtype) * scale,
        get_rel_pos(wide, wide, attention.rel_pos_w).to(like.dtype) * scale,
        regions,
    )


def attend(
    attention: Attention, x_MBhwD: Tensor, qkv: Callable[[Tensor], Tensor], geometry: Geometry
) -> Tensor:
    """Multi-head attention with decomposed relative positions, over windows or the whole grid.

    Args:
        attention: Holds the projections; frozen.
        x_MBhwD: The tokens behind the first norm.
        qkv: The projection to queries, keys and values, with what a tuning adds to it; it takes a
            zero token to the projection's bias.
        geometry: Of this grid and attention.

    Returns:
        The projected output, (M, B, h, w, D).
    """
    M, B, h, w, D = x_MBhwD.shape
    n, d = attention.num_heads, D // attention.num_heads
    qkv_Nhw3nd = qkv(x_MBhwD).view(M * B, h, w, 3, n, d)
    padding_3nd = attention.qkv.bias.view(3, n, d).to(qkv_Nhw3nd.dtype)
    out_Nhwnd = torch.empty_like(qkv_Nhw3nd[:, :, :, 0])
    for region in geometry.regions:
        here = (slice(None), region.rows, region.columns)
        query, key, value = _terms(qkv_Nhw3nd[here], padding_3nd, geometry, region)
        attended = _softmax_attention(query, key, value)
        windows = _windows(out_Nhwnd[here], region)
        windows.copy_(attended.view(windows.shape))
    out: Tensor = attention.proj(out_Nhwnd.view(M, B, h, w, D))
    return out


def _windows(x_Nhwnd: Tensor, region: Region) -> Tensor:
    """A view of the region's windows, (N, rows of windows, columns of windows, n, h, w, d)."""
    N, h, w, n, d = x_Nhwnd.shape
    tall, wide = region.height, region.width
    cut = x_Nhwnd.view(N, h // tall, tall, w // wide, wide, n, d)
    return cut.permute(0, 1, 3, 5, 2, 4, 6)


def _terms(
    qkv_Nhw3nd: Tensor, padding_3nd: Tensor, geometry: Geometry, region: Region
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries and keys whose products are the logits, and values, all (…, n, S, channels)."""
    q, k, v = (_windows(x_Nhwnd, region) for x_Nhwnd in qkv_Nhw3nd.unbind(3))
    q = (q * q.shape[-1] ** -0.5).contiguous()
    by_row = torch.einsum("...hwd,hkd->...hwk", q, geometry.rows_ssd[: region.height])
    by_column = torch.einsum("...hwd,wkd->...hwk", q, geometry.columns_ssd[: region.width])
    terms = [q, by_row[..., : region.height], by_column[..., : region.width]]
    key, value = k.flatten(-3, -2), v.flatten(-3, -2)
    if region.padded:
        _, key_nd, value_nd = padding_3nd
        own = torch.einsum("...nhwd,nd->...nhw", q, key_nd)
        terms.append((own + _beyond(by_row, by_column, region))[..., None])
        key = F.pad(key, (0, 0, 0, 1))
        value = torch.cat([value, value_nd[:, None].expand_as(value[..., :1, :])], dim=-2)
    picks = region.picks_ST.expand(*key.shape[:-1], -1)
    return torch.cat(terms, -1).flatten(-3, -2), torch.cat([key, picks], -1), value


def _beyond(by_row: Tensor, by_column: Tensor, region: Region) -> Tensor:
    """log Σ exp(position terms) over a window's padded tokens: below, and right of the real."""
    below = by_row[..., region.height :].logsumexp(-1) + by_column.logsumexp(-1)
    real_rows = by_row[..., : region.height].logsumexp(-1)
    right = real_rows + by_column[..., region.width :].logsumexp(-1)
    return torch.logaddexp(below, right)


def _softmax_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(query · keyᵀ) · value, (…, n, S, d)."""
    if query.device.type == "cpu" and query.shape[-2] <= _FEW:
        return torch.softmax(query @ key.transpose(-2, -1), -1) @ value
    width = query.shape[-1] + -query.shape[-1] % _LANES
    q, k, v = (F.pad(x.flatten(0, -4), (0, width - x.shape[-1])) for x in (query, key, value))
    out_WnSE = F.scaled_dot_product_attention(q, k, v, scale=1)
    return out_WnSE[..., : value.shape[-1]].reshape(*query.shape[:-1], -1)


def _region(rows: slice, columns: slice, window: tuple[int, int], like: Tensor) -> Region:
    height = min(rows.stop - rows.start, window[0])
    width = min(columns.stop - columns.start, window[1])
    row_hh, column_ww = (
        torch.eye(n, dtype=like.dtype, device=like.device) for n in (height, width)
    )
    picks_ST = torch.cat([row_hh.repeat_interleave(width, 0), column_ww.repeat(height, 1)], 1)
    padded = (height, width) != window
    if padded:
        picks_ST = F.pad(picks_ST, (0, 1, 0, 1))
        picks_ST[-1, -1] = 1
    return Region(rows, columns, height, width, padded, picks_ST)


def _spans(length: int, window: int) -> list[slice]:
    """An axis of the grid: its whole windows, then what is left of it."""
    whole = length - length % window
    return [span for span in (slice(0, whole), slice(whole, length)) if span.start < span.stop]
