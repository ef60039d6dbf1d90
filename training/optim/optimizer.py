"""How the weights are changed: what a recipe may say of it, the optimizer, what decays."""

from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from mfnet.model.network.tuning.lora import LowRank
from mfnet.training.config.optimizer_recipe import OptimizerRecipe

MATRICES = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, LowRank)
"""Modules whose matrices and kernels decay where `decayed` is "matrices"."""


def build_optimizer(net: nn.Module, recipe: OptimizerRecipe) -> Optimizer:
    """The optimizer of all parameters of a network that have a gradient."""
    groups = _decay_groups(net, recipe)
    if recipe.name == "sgd":
        return SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    return AdamW(groups, lr=recipe.learning_rate)


def decaying(net: nn.Module) -> set[str]:
    """Names of the parameters that decay where `decayed` is "matrices".

    Spared are biases and norms; the encoder's positions and relative positions; the decoder's
    table of biases by distance and its shares; the modalities' mixing weights; MMDoRA's lengths.
    For none of them is 0 a plainer value than another.
    """
    return {
        f"{path}.{name}" if path else name
        for path, module in net.named_modules()
        if isinstance(module, MATRICES)
        for name, weight in module.named_parameters(recurse=False)
        if weight.ndim > 1
    }


def _decay_groups(net: nn.Module, recipe: OptimizerRecipe) -> list[dict[str, Any]]:
    trained = {name: p for name, p in net.named_parameters() if p.requires_grad}
    decayed = trained.keys() if recipe.decayed == "all" else decaying(net)
    return [
        {
            "params": [p for name, p in trained.items() if (name in decayed) is decays],
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for decays in (True, False)
    ]
