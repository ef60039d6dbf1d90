"""MMAdapter: bottleneck adapters, one a modality, whose outputs the MLP branch mixes.

Source: the paper, section III-B, equations 1 to 6. The released code differs from them, and we
follow it, because its checkpoints must load: the activation is GELU where the equations say ReLU,
and the layer norm of equation 4 is the block's own second norm.
"""

from segment_anything.modeling.common import MLPBlock
from torch import Tensor, nn
from torch.nn import functional as F

from model.network.tuning.base import BlockTuning, Mixing, per_modality

RATIO = 0.25
"""Width of the bottleneck over the embedding's (the paper, section IV-B)."""


class Adapter(nn.Module):
    """Down, GELU, up: D → D/4 → D."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.down = nn.Linear(embed_dim, int(embed_dim * RATIO))
        self.up = nn.Linear(int(embed_dim * RATIO), embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.up(F.gelu(self.down(x)))
        return out


class MMAdapter(BlockTuning):
    """Adapters behind the attention (with a skip) and beside the MLP (mixed across modalities)."""

    def __init__(self, embed_dim: int, mlp_dim: int, modalities: int) -> None:
        super().__init__(embed_dim, mlp_dim, modalities)
        self.attention_adapters = nn.ModuleList(Adapter(embed_dim) for _ in range(modalities))
        self.mlp_adapters = nn.ModuleList(Adapter(embed_dim) for _ in range(modalities))
        self.mixing = Mixing(modalities)

    def attended(self, x_MBhwD: Tensor) -> Tensor:
        """Equations 1 and 2: x + adapter(x), each modality by its own."""
        return x_MBhwD + per_modality(self.attention_adapters, x_MBhwD)

    def mlp(self, x_MBhwD: Tensor, frozen: MLPBlock) -> Tensor:
        """Equations 3 to 6: MLP(x_m) + Σ_n W[m, n] · adapter_n(x_n)."""
        exchanged: Tensor = self.mixing(per_modality(self.mlp_adapters, x_MBhwD))
        return super().mlp(x_MBhwD, frozen) + exchanged
