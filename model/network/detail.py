"""A small head at the image's own resolution, which corrects the decoder's logits. Ours.

The decoder's last map has a quarter of the image's resolution, so that a roof of 2 m in pixels of
0.4 m is one cell. Heights and colours of single pixels are known, and decide most of them.

Shapes: B batch, C hidden channels, K classes, H W pixels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DetailHead(nn.Module):
    """Adds to the logits what the pixels around each one say.

    Starts as an identity, so that it can be given to a trained network.

    Args:
        bands: Of all modalities together.
        classes: K.
        channels: C.
    """

    def __init__(self, bands: int, classes: int, channels: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(2 * bands + classes, channels, 3, padding=1)
        self.within = nn.Conv2d(channels, channels, 3, padding=2, dilation=2)
        self.head = nn.Conv2d(channels, classes, 1, bias=False)
        nn.init.zeros_(self.head.weight)

    def forward(self, logits_BKHW: Tensor, images: Sequence[Tensor]) -> Tensor:
        """The logits, corrected.

        Args:
            logits_BKHW: Of the decoder.
            images: Of each modality, (B, bands, H, W), normalised.
        """
        pixels = torch.cat(list(images), dim=1)
        # Beside the values themselves those within the range: 3 m and 30 m are no longer alike
        # to a sum that must tell 2 m from 3.
        x = torch.cat([pixels, pixels.clamp(0, 1), logits_BKHW], dim=1)
        x = F.relu(self.within(F.relu(self.enter(x))))
        out: Tensor = logits_BKHW + self.head(x)
        return out
