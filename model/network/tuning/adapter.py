"""Standard Adapter: two bottlenecks a block and modality, behind the attention and beside the MLP.

Source: the paper, section III-A, equations 1 and 2, after Wu et al., "Medical SAM Adapter". The
released code differs from the equations, and we follow it, because its checkpoints must load: the
activation is GELU where they say ReLU, and their layer norm is the block's own second norm.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from mfnet.model.network.sam_modeling import MLPBlock
from mfnet.model.network.tuning.base import BlockTuning, per_modality

RATIO = 0.25
"""Width of the bottleneck over the embedding's (released code)."""

SCALE = 0.5
"""The s of equation 2: weight of the task's knowledge beside the frozen one (released code)."""


class Bottleneck(nn.Module):
    """Down, GELU, up: D → D/4 → D (equation 1)."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.down = nn.Linear(embed_dim, int(embed_dim * RATIO))
        self.up = nn.Linear(int(embed_dim * RATIO), embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.up(F.gelu(self.down(x)))
        return out


class Adapter(BlockTuning):
    """Each modality by its own bottlenecks; nothing is exchanged."""

    def __init__(self, embed_dim: int, mlp_dim: int, modalities: int) -> None:
        super().__init__(embed_dim, mlp_dim, modalities)
        self.attention_adapters = nn.ModuleList(Bottleneck(embed_dim) for _ in range(modalities))
        self.mlp_adapters = nn.ModuleList(Bottleneck(embed_dim) for _ in range(modalities))

    def attended(self, x_MBhwD: Tensor) -> Tensor:
        """x + adapter(x)."""
        return x_MBhwD + per_modality(self.attention_adapters, x_MBhwD)

    def mlp(self, x_MBhwD: Tensor, frozen: MLPBlock) -> Tensor:
        """MLP(x) + s · adapter(x); the block adds its residual (equation 2)."""
        return super().mlp(x_MBhwD, frozen) + SCALE * per_modality(self.mlp_adapters, x_MBhwD)
