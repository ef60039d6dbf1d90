"""Another truth of a town: where one thing ends and the next begins, whatever they are."""

import numpy as np
from numpy.typing import NDArray

from model.classes import ClassScheme, LandClass

BOUNDARIES = ClassScheme(
    name="boundaries",
    classes=(
        LandClass(name="inside", title="Inside a thing", color="#ffffff", foreground=False),
        LandClass(name="boundary", title="Boundary", color="#000000"),
    ),
)

REACH_PX = 2
"""A pixel lies on a boundary when one so near to it in its row or column is of another class."""


def boundaries(truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Values of `BOUNDARIES`, (H, W), from those of any scheme."""
    found = np.zeros_like(truth)
    for truth_HW, found_HW in ((truth, found), (truth.T, found.T)):
        for reach in range(1, REACH_PX + 1):
            differs = truth_HW[reach:] != truth_HW[:-reach]
            found_HW[reach:] |= differs
            found_HW[:-reach] |= differs
    return found
