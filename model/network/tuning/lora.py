"""Standard LoRA: low-rank updates of q, v and both layers of the MLP, each modality its own.

Source: the paper, section III-B, equations 7 and 8, after Hu et al., "LoRA"; where it acts and how
it is scaled are the released code's.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mfnet.model.network.sam_modeling import MLPBlock
from mfnet.model.network.tuning.base import BlockTuning

RANK = 4
ALPHA = 1
"""Updates are scaled by alpha / rank."""


class LowRank(nn.Module):
    """B_m A_m x_m for each modality m.

    Args:
        inputs: Width of x.
        outputs: Width of the update.
        modalities: M.
    """

    def __init__(self, inputs: int, outputs: int, modalities: int) -> None:
        super().__init__()
        self.A_MrI = nn.Parameter(torch.empty(modalities, RANK, inputs))
        self.B_MOr = nn.Parameter(torch.zeros(modalities, outputs, RANK))
        for A_rI in self.A_MrI:
            nn.init.kaiming_uniform_(A_rI, a=math.sqrt(5))

    def forward(self, x_MBhwI: Tensor) -> Tensor:
        low_MBhwr = torch.einsum("mbhwi,mri->mbhwr", x_MBhwI, self.A_MrI)
        return torch.einsum("mbhwr,mor->mbhwo", low_MBhwr, self.B_MOr)


class LoRA(BlockTuning):
    """Nothing is exchanged between modalities."""

    def __init__(self, embed_dim: int, mlp_dim: int, modalities: int) -> None:
        super().__init__(embed_dim, mlp_dim, modalities)
        self.q = LowRank(embed_dim, embed_dim, modalities)
        self.v = LowRank(embed_dim, embed_dim, modalities)
        self.lin1 = LowRank(embed_dim, mlp_dim, modalities)
        self.lin2 = LowRank(mlp_dim, embed_dim, modalities)

    def qkv(self, x_MBhwD: Tensor, frozen: nn.Linear) -> Tensor:
        """W x + (q update, 0, v update)."""
        D = x_MBhwD.shape[-1]
        q = F.pad(self.q(x_MBhwD), (0, 2 * D))
        v = F.pad(self.v(x_MBhwD), (2 * D, 0))
        return super().qkv(x_MBhwD, frozen) + (q + v) * (ALPHA / RANK)

    def mlp(self, x_MBhwD: Tensor, frozen: MLPBlock) -> Tensor:
        """Both layers, each W x + update."""
        hidden = frozen.act(frozen.lin1(x_MBhwD) + self._scaled(self.lin1, x_MBhwD))
        out: Tensor = frozen.lin2(hidden) + self._scaled(self.lin2, hidden)
        return out

    def _scaled(self, low_rank: LowRank, x: Tensor) -> Tensor:
        update: Tensor = low_rank(x)
        return update * (ALPHA / RANK)
