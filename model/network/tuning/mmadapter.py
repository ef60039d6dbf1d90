"""MMAdapter: adapters whose outputs are mixed across modalities beside the MLP.

Source: the paper, section III-A, equations 3 to 6.
"""

from torch import Tensor

from mfnet.model.network.sam_modeling import MLPBlock
from mfnet.model.network.tuning.adapter import Adapter
from mfnet.model.network.tuning.base import BlockTuning, Mixing, per_modality


class MMAdapter(Adapter):
    """The standard Adapter behind the attention; beside the MLP, λ takes the place of s."""

    def __init__(self, embed_dim: int, mlp_dim: int, modalities: int) -> None:
        super().__init__(embed_dim, mlp_dim, modalities)
        self.mixing = Mixing(modalities)

    def mlp(self, x_MBhwD: Tensor, frozen: MLPBlock) -> Tensor:
        """MLP(x_m) + Σ_n W[m, n] · adapter_n(x_n)."""
        exchanged: Tensor = self.mixing(per_modality(self.mlp_adapters, x_MBhwD))
        return BlockTuning.mlp(self, x_MBhwD, frozen) + exchanged
