"""MMLoRA: low-rank updates that the MLP's layers mix across modalities.

Source: the paper, section III-B, equations 9 to 12. As in the released code, the attention's
updates are scaled and not mixed, the MLP's are mixed and not scaled.
"""

from torch import Tensor

from mfnet.model.network.sam_modeling import MLPBlock
from mfnet.model.network.tuning.base import Mixing
from mfnet.model.network.tuning.lora import LoRA


class MMLoRA(LoRA):
    """LoRA on q and v; on both layers of the MLP, with an exchange of their updates."""

    def __init__(self, embed_dim: int, mlp_dim: int, modalities: int) -> None:
        super().__init__(embed_dim, mlp_dim, modalities)
        self.mixing1 = Mixing(modalities)
        self.mixing2 = Mixing(modalities)

    def mlp(self, x_MBhwD: Tensor, frozen: MLPBlock) -> Tensor:
        """Both layers, each W x_m + Σ_n W[m, n] · B_n A_n x_n."""
        hidden = frozen.act(frozen.lin1(x_MBhwD) + self.mixing1(self.lin1(x_MBhwD)))
        out: Tensor = frozen.lin2(hidden) + self.mixing2(self.lin2(hidden))
        return out
