"""The running mean of a network's weights, which is what is kept of a training run."""

from copy import deepcopy

import torch

from mfnet.model.network.mfnet import MFNet


class WeightAverage:
    """Exponential moving average of weights and buffers.

    Args:
        net: The network in training; it is copied.
        decay: Share of the old mean that a step leaves; the first steps leave less, so that the
            random start is soon forgotten.
    """

    def __init__(self, net: MFNet, decay: float) -> None:
        self.net = deepcopy(net).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, net: MFNet) -> None:
        """Takes in the weights after a step; those that are not trained stay as they were."""
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 9))
        frozen = {name for name, weight in net.named_parameters() if not weight.requires_grad}
        new = net.state_dict()
        for name, mean in self.net.state_dict().items():
            if name in frozen:
                continue
            if mean.is_floating_point():
                mean.lerp_(new[name], 1 - decay)
            else:
                mean.copy_(new[name])
