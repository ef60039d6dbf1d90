"""UNetFormer's decoder: global-local attention from the coarsest level up, then refinement.

Shapes: B batch, C decoder channels, H W cells of a level, K classes.
Source: Wang et al., "UNetFormer", ISPRS JPRS 2022, as used by the paper's released code.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = 8
WINDOW = 8
DROPOUT = 0.1


class Decoder(nn.Module):
    """From a pyramid to logits.

    Args:
        in_channels: Channels of each level.
        channels: C.
        classes: K.
        levels: 4 for a pyramid, whose finer levels are merged in on the way up; 1 for a single map
            (the released code's `Decoder_single`, for the ablation without the fusion module).
    """

    def __init__(self, in_channels: int, channels: int, classes: int, levels: int) -> None:
        super().__init__()
        ascent = WeightedMerge if levels > 1 else Ascent
        self.enter = _conv_norm(in_channels, channels, 1)
        self.block_32 = GlobalLocalBlock(channels)
        self.merge_16 = ascent(in_channels, channels)
        self.block_16 = GlobalLocalBlock(channels)
        self.merge_8 = ascent(in_channels, channels)
        self.block_8 = GlobalLocalBlock(channels)
        self.merge_4 = ascent(in_channels, channels)
        self.refine = FeatureRefinement(channels)
        self.head = nn.Sequential(
            _conv_norm(channels, channels, 3),
            nn.ReLU6(),
            nn.Dropout2d(DROPOUT),
            nn.Conv2d(channels, classes, 1, bias=False),
        )

    def forward(self, levels: list[Tensor], height: int) -> Tensor:
        """Logits (B, K, height, width).

        Args:
            levels: Maps (B, in_channels, H, W), each half as fine as the one before.
            height: Of the image, pixels; tells how far to enlarge the last map.
        """
        *finer, coarsest = levels
        quarter, eighth, sixteenth = finer or (None, None, None)
        x = self.merge_16(self.block_32(self.enter(coarsest)), sixteenth)
        x = self.merge_8(self.block_16(x), eighth)
        x = self.merge_4(self.block_8(x), quarter)
        logits = self.head(self.refine(x))
        scale = height // logits.shape[-2]
        return F.interpolate(logits, scale_factor=scale, mode="bilinear", align_corners=False)


class Ascent(nn.Module):
    """Doubles the coarse map; there is no fine one to add."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.smooth = nn.Sequential(_conv_norm(channels, channels, 3), nn.ReLU6())

    def forward(self, coarse: Tensor, fine: None = None) -> Tensor:
        out: Tensor = self.smooth(_doubled(coarse))
        return out


class WeightedMerge(nn.Module):
    """Doubles the coarse map and adds the fine one, in learned shares."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.shares = nn.Parameter(torch.ones(2))  # of the fine map, of the coarse one
        self.smooth = nn.Sequential(_conv_norm(channels, channels, 3), nn.ReLU6())

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        shares = F.relu(self.shares)
        shares = shares / (shares.sum() + 1e-8)
        out: Tensor = self.smooth(shares[0] * self.project(fine) + shares[1] * _doubled(coarse))
        return out


class GlobalLocalBlock(nn.Module):
    """Transformer block on a feature map: attention, then an MLP of 1×1 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.attention = GlobalLocalAttention(channels)
        self.norm2 = nn.BatchNorm2d(channels)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, 4 * channels, 1), nn.ReLU6(), nn.Conv2d(4 * channels, channels, 1)
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = x_BCHW + self.attention(self.norm1(x_BCHW))
        out: Tensor = x_BCHW + self.mlp(self.norm2(x_BCHW))
        return out


class GlobalLocalAttention(nn.Module):
    """Window attention, spread across windows by strip means, beside two convolutions."""

    pair_index: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local_3 = _conv_norm(channels, channels, 3)
        self.local_1 = _conv_norm(channels, channels, 1)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.bias_table = nn.Parameter(torch.empty((2 * WINDOW - 1) ** 2, HEADS))
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        self.register_buffer("pair_index", _pair_index(WINDOW), persistent=False)
        self.project = nn.Sequential(
            nn.Conv2d(channels, channels, WINDOW, padding=3, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, channels, 1, bias=False),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        local = self.local_1(x_BCHW) + self.local_3(x_BCHW)
        within = self._attend(x_BCHW)
        # Means over strips of 8 cells; one reflected cell makes up for the even length.
        down = F.avg_pool2d(_reflect(within, bottom=1), (WINDOW, 1), stride=1, padding=(3, 0))
        across = F.avg_pool2d(_reflect(within, right=1), (1, WINDOW), stride=1, padding=(0, 3))
        out: Tensor = self.project(_reflect(down + across + local, right=1, bottom=1))
        return out

    def _attend(self, x_BCHW: Tensor) -> Tensor:
        """Attention within windows of 8×8 cells of the map, reflected up to whole windows."""
        B, C, H, W = x_BCHW.shape
        x_BCHW = _reflect(x_BCHW, right=-W % WINDOW, bottom=-H % WINDOW)
        rows, columns = x_BCHW.shape[2] // WINDOW, x_BCHW.shape[3] // WINDOW
        split = self.qkv(x_BCHW).view(B, 3, HEADS, C // HEADS, rows, WINDOW, columns, WINDOW)
        q, k, v = split.permute(1, 0, 4, 6, 2, 5, 7, 3).flatten(5, 6).flatten(1, 3)
        bias = self.bias_table[self.pair_index].permute(2, 0, 1)[None]
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        out = out.view(B, rows, columns, HEADS, WINDOW, WINDOW, C // HEADS)
        out = out.permute(0, 3, 6, 1, 4, 2, 5).reshape(B, C, rows * WINDOW, columns * WINDOW)
        return out[:, :, :H, :W]


class FeatureRefinement(nn.Module):
    """Spatial and channel gates on the finest map, with a shortcut around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial_gate = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels), nn.Sigmoid()
        )
        self.channel_gate = nn.Sequential(
            nn.Conv2d(channels, channels // 16, 1, bias=False),
            nn.ReLU6(),
            nn.Conv2d(channels // 16, channels, 1, bias=False),
            nn.Sigmoid(),
        )
        self.shortcut = _conv_norm(channels, channels, 1)
        self.project = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, channels, 1, bias=False),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        by_channel = self.channel_gate(x_BCHW.mean((2, 3), keepdim=True))
        gated = self.spatial_gate(x_BCHW) * x_BCHW + by_channel * x_BCHW
        return F.relu6(self.project(gated) + self.shortcut(x_BCHW))


def _conv_norm(in_channels: int, channels: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels),
    )


def _doubled(x_BCHW: Tensor) -> Tensor:
    return F.interpolate(x_BCHW, scale_factor=2, mode="bilinear", align_corners=False)


def _reflect(x_BCHW: Tensor, right: int = 0, bottom: int = 0) -> Tensor:
    """Extends a map by its mirror image; the width first, then the height."""
    return F.pad(x_BCHW, (0, right, 0, bottom), mode="reflect") if right or bottom else x_BCHW


def _pair_index(window: int) -> Tensor:
    """Row of the bias table for each pair of a window's cells, (S, S): by their offset."""
    cells = torch.arange(window, device="cpu")  # no weights: computed, wherever those come from
    row, column = torch.meshgrid(cells, cells, indexing="ij")
    cells_2S = torch.stack([row.flatten(), column.flatten()])
    offset_2SS = cells_2S[:, :, None] - cells_2S[:, None, :] + window - 1
    return offset_2SS[0] * (2 * window - 1) + offset_2SS[1]
