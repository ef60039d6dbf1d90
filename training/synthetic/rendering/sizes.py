"""How tall the houses and trees of a town are, beside the sizes that its layout gives them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sizes:
    """Factors on what the layout draws.

    Args:
        walls: Median factor on the height of a building's walls.
        walls_spread: Standard deviation of the logarithm of that factor from house to house.
        crowns: Factor on the radius of crowns.
        trunks: Factor on the height of trees.
    """

    walls: float = 1.0
    walls_spread: float = 0.0
    crowns: float = 1.0
    trunks: float = 1.0

    def eaves_m(self, drawn_m: float, rng: np.random.Generator) -> float:
        """Height of a building's walls in metres, at least 2 and at most 60."""
        if self.walls == 1.0 and not self.walls_spread:
            return drawn_m
        factor = self.walls * float(np.exp(rng.normal(0, self.walls_spread)))
        return float(np.clip(drawn_m * factor, 2.0, 60.0))


AS_DRAWN = Sizes()


def draw_sizes(rng: np.random.Generator) -> Sizes:
    """From villages to towers, from young trees to old ones."""
    return Sizes(
        walls=float(np.exp(rng.normal(0.1, 0.45))),
        walls_spread=rng.uniform(0.0, 0.5),
        crowns=float(np.exp(rng.uniform(-0.4, 0.7))),
        trunks=float(np.exp(rng.uniform(-0.7, 0.6))),
    )
