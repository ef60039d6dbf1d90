"""The interface of a fine-tuning mechanism, and the mixing that multimodal ones share.

Shapes: M modality, B batch, h w tokens, D embedding, H hidden units of the block's MLP.
"""

import torch
from torch import Tensor, nn

from mfnet.model.network.sam_modeling import MLPBlock


class BlockTuning(nn.Module):
    """Where a mechanism may act inside one block; this base changes nothing.

    Every parameter that a mechanism owns is trained; the block that it is given stays frozen.
    A mechanism must map a zero token to the bias of `qkv` (all low-rank updates do), because the
    attention pads windows with zeros behind the first norm.

    Args:
        embed_dim: D.
        mlp_dim: H.
        modalities: M.
    """

    def __init__(self, embed_dim: int, mlp_dim: int, modalities: int) -> None:
        super().__init__()

    def qkv(self, x_MBhwD: Tensor, frozen: nn.Linear) -> Tensor:
        """Queries, keys and values, (M, B, h, w, 3D)."""
        out: Tensor = frozen(x_MBhwD)
        return out

    def attended(self, x_MBhwD: Tensor) -> Tensor:
        """Acts on the attention's output, behind its projection and before the residual."""
        return x_MBhwD

    def mlp(self, x_MBhwD: Tensor, frozen: MLPBlock) -> Tensor:
        """The block's feed-forward part, given the output of its second norm."""
        out: Tensor = frozen(x_MBhwD)
        return out


class Mixing(nn.Module):
    """Exchange between modalities: y_m = Σ_n W[m, n] · x_n with rows of W that sum to one.

    Learned are M − 1 weights a row: of modality m itself, then of m + 1, m + 2, … (cyclic); the
    last gets the rest. For M = 2 that is W = [[λ1, 1 − λ1], [1 − λ2, λ2]], the λ of equations
    5, 6, 9 and 10; for M = 1 nothing is learned and W = [1]. All weights start equal, as the
    paper's λ = 0.5 do. Nothing keeps a weight inside 0..1, as in the released code.
    """

    neighbour_MM: Tensor

    def __init__(self, modalities: int) -> None:
        super().__init__()
        m = torch.arange(modalities, device="cpu")  # no weights: computed, wherever those are
        self.register_buffer("neighbour_MM", (m[None] - m[:, None]) % modalities, persistent=False)
        self.weights = nn.Parameter(torch.full((modalities, modalities - 1), 1 / modalities))

    def forward(self, x_MBhwD: Tensor) -> Tensor:
        rest_M1 = 1 - self.weights.sum(1, keepdim=True)
        W_MM = torch.cat([self.weights, rest_M1], dim=1).gather(1, self.neighbour_MM)
        return torch.einsum("mn,n...->m...", W_MM, x_MBhwD)


def per_modality(modules: nn.ModuleList, x_MBhwD: Tensor) -> Tensor:
    """Applies module m to modality m."""
    return torch.stack([module(x) for module, x in zip(modules, x_MBhwD, strict=True)])
