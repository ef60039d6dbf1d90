"""SAM's image encoder, run over several modalities at once and fine-tuned in every block.

Shapes: M modality, B batch, H W pixels, h w tokens, D embedding, C output channels.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from mfnet.model.config import EncoderConfig
from mfnet.model.engine_options import require_known
from mfnet.model.network.attention import Geometry, attend, grid_geometry
from mfnet.model.network.sam_modeling import Block, ImageEncoderViT
from mfnet.model.network.tuning import TUNINGS, BlockTuning

MLP_RATIO = 4


class Positions(NamedTuple):
    """All that the encoder computes from its weights and the grid's size alone.

    Attributes:
        embedding_1hwD: Added to the tokens.
        blocks: For the attention of each block.
    """

    embedding_1hwD: Tensor
    blocks: tuple[Geometry, ...]


class MultimodalEncoder(nn.Module):
    """One ViT for all modalities; what sets them apart is in the tuning of each block.

    The weights of `vit` are SAM's, by SAM's names. All modalities pass through a frozen layer as
    one batch; only the tuning sees them apart.

    Args:
        config: The ViT's shape.
        tuning: A key of `TUNINGS`.
        modalities: M.

    Raises:
        BadOption: No mechanism of this name.

    Attributes:
        checkpointing: Keep no activations within a block for the way back, compute them again.
    """

    def __init__(self, config: EncoderConfig, tuning: str, modalities: int) -> None:
        super().__init__()
        self.checkpointing = False
        self.vit = build_vit(config)
        require_known("fine-tuning mechanism", tuning, TUNINGS)
        mechanism = TUNINGS[tuning]
        self.tuning = nn.ModuleList(
            mechanism(config.embed_dim, MLP_RATIO * config.embed_dim, modalities)
            for _ in range(config.depth)
        )

    def forward(self, images_MB3HW: Tensor, positions: Positions | None = None) -> Tensor:
        """Features of each modality behind the neck, (M, B, C, h, w) with h = H / 16.

        Args:
            images_MB3HW: Normalised.
            positions: Of images of this size; gathered on the way if not given.
        """
        M, B, _, H, W = images_MB3HW.shape
        positions = positions or self.positions(H, W)
        x_NhwD = self.vit.patch_embed(images_MB3HW.flatten(0, 1)) + positions.embedding_1hwD
        x_MBhwD = x_NhwD.view(M, B, *x_NhwD.shape[1:])
        for block, tuning, geometry in zip(
            self.vit.blocks, self.tuning, positions.blocks, strict=True
        ):
            step = partial(_run_block, block, tuning, geometry)
            keep = not (self.checkpointing and torch.is_grad_enabled())
            x_MBhwD = step(x_MBhwD) if keep else checkpoint(step, x_MBhwD, use_reentrant=False)
        features_NChw: Tensor = self.vit.neck(x_MBhwD.flatten(0, 1).permute(0, 3, 1, 2))
        return features_NChw.view(M, B, *features_NChw.shape[1:])

    def positions(self, height: int, width: int) -> Positions:
        """Those of images of height × width pixels, in the weights' precision."""
        patch = self.vit.patch_embed.proj.kernel_size[0]
        h, w = height // patch, width // patch
        return Positions(
            self._embedding(h, w),
            tuple(grid_geometry(b.attn, h, w, b.window_size) for b in self.vit.blocks),
        )

    def _embedding(self, h: int, w: int) -> Tensor:
        """The absolute positions at another grid size, (1, h, w, D), as the released code does."""
        positions_1DGG = self.vit.pos_embed.permute(0, 3, 1, 2)
        resized = F.interpolate(positions_1DGG, (h, w), mode="bicubic", align_corners=False)
        return resized.permute(0, 2, 3, 1)


def build_vit(config: EncoderConfig) -> ImageEncoderViT:
    """SAM's encoder of a given shape, with random weights."""
    vit = ImageEncoderViT(
        img_size=config.grid * config.patch_size,
        patch_size=config.patch_size,
        embed_dim=config.embed_dim,
        depth=config.depth,
        num_heads=config.num_heads,
        mlp_ratio=MLP_RATIO,
        out_chans=config.out_chans,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=config.window_size,
        global_attn_indexes=config.global_attn_indexes,
    )
    # Upstream leaves the positions at zero, for a checkpoint to fill; a model that is trained
    # from nothing needs them apart.
    nn.init.trunc_normal_(vit.pos_embed, std=0.02)
    return vit


def _run_block(block: Block, tuning: nn.Module, geometry: Geometry, x_MBhwD: Tensor) -> Tensor:
    """One transformer block with its tuning.

    Source: segment_anything/modeling/image_encoder.py, `Block.forward`; the paper, figure 3.
    """
    assert isinstance(tuning, BlockTuning)
    qkv = partial(tuning.qkv, frozen=block.attn.qkv)
    attended = attend(block.attn, block.norm1(x_MBhwD), qkv, geometry)
    x_MBhwD = x_MBhwD + tuning.attended(attended)
    fed: Tensor = x_MBhwD + tuning.mlp(block.norm2(x_MBhwD), block.mlp)
    return fed


def stack_modalities(images: list[Tensor]) -> Tensor:
    """(M, B, 3, H, W) from tensors of one or three bands; one band is repeated three times."""
    return torch.stack([image.expand(-1, 3, -1, -1) for image in images])
