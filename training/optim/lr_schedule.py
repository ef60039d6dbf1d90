"""The learning rate over the steps of a run."""

import math
from bisect import bisect_right

from mfnet.training.config.optimizer_recipe import OptimizerRecipe


def rate_factor(step: int, recipe: OptimizerRecipe) -> float:
    """Share of the learning rate at a step: a linear rise, then what `recipe.schedule` says."""
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    if recipe.schedule == "steps":
        return recipe.milestone_factor ** bisect_right(recipe.milestones, step)
    left = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(left, 1.0)))
