"""How the modalities' features become one: the Deep Fusion Module, or a plain sum.

A fusion module takes (M, B, C, h, w) and returns some maps, finest first, each half as fine as
the one before; to add one, write its class and name it in `FUSIONS`.

Shapes: M modality, B batch, C channels, h w tokens.
Source: the paper, section III-C.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

REDUCTION = 16
"""Channels over hidden units of squeeze-and-excitation (Hu et al., 2018)."""


class Fusion(nn.Module, ABC):
    """The interface.

    Args:
        channels: C.
        modalities: M.
    """

    maps: ClassVar[int]
    """How many maps it returns: 4, at 1/4 to 1/32 of the image, or 1, at 1/16."""

    @abstractmethod
    def __init__(self, channels: int, modalities: int) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, features_MBChw: Tensor) -> list[Tensor]:
        """The fused maps, finest first, C channels each."""


class SumFusion(Fusion):
    """The sum of the features: the ablation without the Deep Fusion Module (Table V)."""

    maps = 1

    def __init__(self, channels: int, modalities: int) -> None:
        super().__init__(channels, modalities)

    def forward(self, features_MBChw: Tensor) -> list[Tensor]:
        return [features_MBChw.sum(0)]


class DeepFusion(Fusion):
    """A pyramid a modality, fused level by level with squeeze-and-excitation."""

    maps = 4

    def __init__(self, channels: int, modalities: int) -> None:
        super().__init__(channels, modalities)
        # The released code normalises the first modality's finest level by LayerNorm and the
        # height's by BatchNorm; further modalities follow the height's.
        norms = [ChannelNorm(channels)] + [nn.BatchNorm2d(channels) for _ in range(modalities - 1)]
        self.pyramids = nn.ModuleList(Pyramid(channels, norm) for norm in norms)
        self.levels = nn.ModuleList(SEFusion(channels, modalities) for _ in range(4))

    def forward(self, features_MBChw: Tensor) -> list[Tensor]:
        pyramids = [p(x) for p, x in zip(self.pyramids, features_MBChw, strict=True)]
        return [
            fuse(level)
            for fuse, level in zip(self.levels, list(zip(*pyramids, strict=True)), strict=True)
        ]


class Pyramid(nn.Module):
    """Four resolutions from the single one of a plain ViT."""

    def __init__(self, channels: int, norm: nn.Module) -> None:
        super().__init__()
        self.quarter = nn.Sequential(_upsample(channels), norm, nn.GELU(), _upsample(channels))
        self.eighth = _upsample(channels)
        self.half_grid = nn.MaxPool2d(2)

    def forward(self, x_BChw: Tensor) -> list[Tensor]:
        return [self.quarter(x_BChw), self.eighth(x_BChw), x_BChw, self.half_grid(x_BChw)]


class SEFusion(nn.Module):
    """Sum over modalities of each one's channels, weighted by its own squeeze-and-excitation."""

    def __init__(self, channels: int, modalities: int) -> None:
        super().__init__()
        self.excitations = nn.ModuleList(SqueezeExcitation(channels) for _ in range(modalities))

    def forward(self, xs_BChw: tuple[Tensor, ...]) -> Tensor:
        fused: Tensor = sum(e(x) for e, x in zip(self.excitations, xs_BChw, strict=True))
        return fused


class SqueezeExcitation(nn.Module):
    """Channel weights from the channels' means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Conv2d(channels, channels // REDUCTION, 1),
            nn.ReLU(),
            nn.Conv2d(channels // REDUCTION, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x_BChw: Tensor) -> Tensor:
        weights: Tensor = self.weigh(x_BChw.mean((2, 3), keepdim=True))
        return x_BChw * weights


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x_BChw: Tensor) -> Tensor:
        return super().forward(x_BChw.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _upsample(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, kernel_size=2, stride=2)


FUSIONS: dict[str, type[Fusion]] = {"dfm": DeepFusion, "sum": SumFusion}
