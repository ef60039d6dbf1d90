"""What training makes small.

Shapes: B batch, K classes, H W pixels.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mfnet.model.classes import NODATA
from mfnet.model.errors import BadRecipe
from mfnet.training.config.optimizer_recipe import OptimizerRecipe, require_one_a_class
from mfnet.training.datasets.tiles.interface import Pool

HEAVIEST = 10.0
"""No balanced class weight is above this or below its inverse: a class of a few pixels would
otherwise decide every step that it is in."""


def build_loss(recipe: OptimizerRecipe, pool: Pool) -> "SegmentationLoss":
    """The loss that a recipe asks for.

    Raises:
        BadRecipe: Class weights that are not one a class, or balanced ones without counts.
    """
    weights = recipe.class_weights
    if weights is not None:
        require_one_a_class(weights, pool.scheme)
    if recipe.balanced:
        if pool.census is None:
            raise BadRecipe(
                "optimizer.balanced is true, and this data set's classes are not counted; give "
                "optimizer.class_weights"
            )
        weights = balanced_weights(pool.census.pixels)
    return SegmentationLoss(weights, recipe.dice, recipe.agreement)


def balanced_weights(pixels_K: NDArray[np.int64]) -> tuple[float, ...]:
    """Median frequency balancing: the median class's pixels over each class's.

    Args:
        pixels_K: Labelled pixels of each class; a class without any has weight 1.

    Source: Eigen, Fergus, "Predicting Depth, Surface Normals and Semantic Labels", ICCV 2015,
    section 6.3.2; the bounds are ours.
    """
    present = pixels_K > 0
    weights = np.ones(len(pixels_K))
    weights[present] = np.median(pixels_K[present]) / pixels_K[present]
    return tuple(weights.clip(1 / HEAVIEST, HEAVIEST).tolist())


class SegmentationLoss(nn.Module):
    """Cross entropy plus the Dice loss, over the pixels that have a class.

    Args:
        class_weights: For the cross entropy, one a class; equal ones if not given.
        dice: Weight of the Dice loss, which counts a rare class as much as a common one.
        agreement: Weight of `disagreement`; the second half of a batch are then the twins, with
            gaps, of the first half.
    """

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        dice: float = 0.0,
        agreement: float = 0.0,
    ) -> None:
        super().__init__()
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", weights)
        self.dice = dice
        self.agreement = agreement

    def forward(self, logits_BKHW: Tensor, truth_BHW: Tensor) -> Tensor:
        """A number, differentiable; 0 if no pixel has a class."""
        logits_BKHW = logits_BKHW.float()
        loss = cross_entropy(logits_BKHW, truth_BHW, self.class_weights)
        if self.dice:
            loss = loss + self.dice * dice_loss(logits_BKHW, truth_BHW)
        if self.agreement:
            whole_BKHW, gappy_BKHW = logits_BKHW.chunk(2)
            known_BHW = truth_BHW.chunk(2)[1] != NODATA
            loss = loss + self.agreement * disagreement(gappy_BKHW, whole_BKHW, known_BHW)
        return loss


def cross_entropy(
    logits_BKHW: Tensor, truth_BHW: Tensor, weights_K: Tensor | None = None
) -> Tensor:
    """Mean over labelled pixels, weighted by their classes."""
    if not bool((truth_BHW != NODATA).any()):
        return logits_BKHW.sum() * 0.0
    return F.cross_entropy(logits_BKHW, truth_BHW, weights_K, ignore_index=NODATA)


def disagreement(gappy_BKHW: Tensor, whole_BKHW: Tensor, known_BHW: Tensor) -> Tensor:
    """How far windows with gaps are told apart from the same windows without, in nats a pixel.

    The Kullback-Leibler divergence of the first's class probabilities from the second's, which are
    taken as they are: the whole window teaches, and learns nothing from the gaps.

    Args:
        gappy_BKHW: Logits of windows with gaps.
        whole_BKHW: Of the same windows without.
        known_BHW: Pixels that count: neither missing nor without a class.
    """
    wanted_BKHW = whole_BKHW.detach().log_softmax(1)
    said_BKHW = gappy_BKHW.log_softmax(1)
    apart_BHW = F.kl_div(said_BKHW, wanted_BKHW, reduction="none", log_target=True).sum(1)
    return (apart_BHW * known_BHW).sum() / known_BHW.sum().clamp(min=1)


def dice_loss(logits_BKHW: Tensor, truth_BHW: Tensor) -> Tensor:
    """1 minus the mean, over the classes in the batch, of 2 |P∩T| / (|P| + |T|), P being soft."""
    labelled_B1HW = (truth_BHW != NODATA).unsqueeze(1)
    share_BKHW = logits_BKHW.softmax(1) * labelled_B1HW
    classes = logits_BKHW.shape[1]
    truth_B1HW = truth_BHW.clamp(max=classes - 1).unsqueeze(1)
    hit_B1HW = share_BKHW.gather(1, truth_B1HW)
    flat = truth_B1HW.flatten()
    none_K = torch.zeros(classes, device=logits_BKHW.device)
    both_K = none_K.index_add(0, flat, hit_B1HW.flatten())
    true_K = none_K.index_add(0, flat, labelled_B1HW.flatten().float())
    said_K = share_BKHW.sum((0, 2, 3))
    present_K = true_K > 0
    dice_K = 2 * both_K / (said_K + true_K).clamp(min=1)
    return 1 - dice_K[present_K].mean() if bool(present_K.any()) else share_BKHW.sum() * 0.0
