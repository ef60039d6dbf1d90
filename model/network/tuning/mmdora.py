"""MMDoRA: MMLoRA whose updated weights keep a learned length; direction and length train apart.

Source: Liu et al., "DoRA: Weight-Decomposed Low-Rank Adaptation", ICML 2024, equation 5, which the
paper names as future work. Ours is the exchange between modalities, as in MMLoRA, and that the
learned length is a factor of the frozen weight's (1 at the start) rather than the length itself:
the same function, and it needs no look at the frozen weights when it is built.
"""

import torch
from torch import Tensor, nn

from mfnet.model.network.sam_modeling import MLPBlock
from mfnet.model.network.tuning.lora import ALPHA, RANK, LowRank
from mfnet.model.network.tuning.mmlora import MMLoRA


class MMDoRA(MMLoRA):
    """Low-rank updates of q, v and the MLP, renormalised output by output."""

    def __init__(self, embed_dim: int, mlp_dim: int, modalities: int) -> None:
        super().__init__(embed_dim, mlp_dim, modalities)
        self.length_qkv = nn.Parameter(torch.ones(modalities, 3 * embed_dim))
        self.length1 = nn.Parameter(torch.ones(modalities, mlp_dim))
        self.length2 = nn.Parameter(torch.ones(modalities, embed_dim))

    def qkv(self, x_MBhwD: Tensor, frozen: nn.Linear) -> Tensor:
        """Length · (W + ΔW) x / ‖W + ΔW‖ + bias; ΔW of k is zero."""
        query, value = (_product(part) * (ALPHA / RANK) for part in (self.q, self.v))
        delta_MOI = torch.cat([query, torch.zeros_like(query), value], dim=1)
        return _renormalized(super().qkv(x_MBhwD, frozen), frozen, delta_MOI, self.length_qkv)

    def mlp(self, x_MBhwD: Tensor, frozen: MLPBlock) -> Tensor:
        """Both layers; what other modalities add is renormalised along."""
        hidden = frozen.lin1(x_MBhwD) + self.mixing1(self.lin1(x_MBhwD))
        hidden = _renormalized(hidden, frozen.lin1, _product(self.lin1), self.length1)
        hidden = frozen.act(hidden)
        out = frozen.lin2(hidden) + self.mixing2(self.lin2(hidden))
        return _renormalized(out, frozen.lin2, _product(self.lin2), self.length2)


def _product(low_rank: LowRank) -> Tensor:
    """ΔW of each modality, (M, O, I)."""
    return low_rank.B_MOr @ low_rank.A_MrI


def _renormalized(
    y_MBhwO: Tensor, frozen: nn.Linear, delta_MOI: Tensor, length_MO: Tensor
) -> Tensor:
    """Scales outputs, less their bias, by length · ‖W‖ / ‖W + ΔW‖.

    The norm of W + ΔW is detached, as the source does (its section 4.3), to save memory.
    """
    before_O: Tensor = frozen.weight.norm(dim=1)
    after_MO = (frozen.weight + delta_MOI).norm(dim=2).detach()
    factor_MO = length_MO * before_O / after_MO
    out: Tensor = (y_MBhwO - frozen.bias) * factor_MO[:, None, None, None] + frozen.bias
    return out
