"""Heights as the light of a low sun shows them: a hillshade."""

import numpy as np

_TOWARDS_SUN = (0.5, 0.5, 0.5**0.5)
"""From the north-west, 45 degrees high: along falling columns, falling rows, and up."""

_LEAST_M = 0.5
"""Between pixels that are nearer, heights differ by their noise: it would be all that is seen."""


def relief(height_HW: np.ndarray, spacing_m: float) -> np.ndarray:
    """How bright each place is, (H, W) float32, 0 to 1; level ground is 0.71.

    A place's brightness depends on its neighbours alone, so that pictures of parts fit together.

    Args:
        height_HW: Metres; NaN, where unknown, is taken for level ground at 0.
        spacing_m: From one pixel to the next.
    """
    if min(height_HW.shape) < 2:
        return np.full(height_HW.shape, _TOWARDS_SUN[2], np.float32)
    filled_HW = np.where(np.isfinite(height_HW), height_HW, np.float32(0))
    down_HW, right_HW = np.gradient(filled_HW, np.float32(max(spacing_m, _LEAST_M)))
    # The slope's normal is (-right, -down, 1), and the sun stands at (-x, -y).
    light_HW = _TOWARDS_SUN[0] * right_HW + _TOWARDS_SUN[1] * down_HW + _TOWARDS_SUN[2]
    light_HW /= np.sqrt(1 + right_HW**2 + down_HW**2)
    lit: np.ndarray = np.clip(light_HW, 0, 1).astype(np.float32)
    return lit
