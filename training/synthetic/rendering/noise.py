"""Smooth random fields and soft filters, in numpy alone and the same on every machine.

Everything here is elementwise arithmetic: no matrix product whose sums depend on the number of
threads, so that the same seed gives the same bytes.
"""

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def smooth_noise(rng: np.random.Generator, height: int, width: int, cell_px: float) -> Field:
    """Value noise, (height, width) float32 from -1 to 1, with bumps of about `cell_px` pixels."""
    rows, cols = int(height / cell_px) + 3, int(width / cell_px) + 3
    knots = rng.uniform(-1, 1, (rows, cols)).astype(np.float32)
    start_row, start_col = rng.uniform(0, 1, 2)
    return _stretch(_stretch(knots, height, cell_px, start_row).T, width, cell_px, start_col).T


def layered_noise(
    rng: np.random.Generator, height: int, width: int, coarsest_px: float, layers: int = 4
) -> Field:
    """Several layers of `smooth_noise`, each half as coarse, 0.6 times as strong; about -1..1."""
    total = np.zeros((height, width), np.float32)
    for layer in range(layers):
        cell_px = max(coarsest_px / 2**layer, 1.5)
        total += np.float32(0.6**layer) * smooth_noise(rng, height, width, cell_px)
    return total / np.float32(1.3)


def soften(image: Field, sigma_px: float) -> Field:
    """Gaussian-like blur of the last two axes by repeated [1 2 1] / 4; a constant stays.

    One pass has a variance of half a square pixel; a part of a pass is mixed in for what is left.
    """
    passes, rest = divmod(2 * sigma_px**2, 1.0)
    for _ in range(int(passes)):
        image = _binomial(image)
    if rest > 0:
        image = image + np.float32(rest) * (_binomial(image) - image)
    return image


def _stretch(knots: Field, length: int, cell_px: float, start: float) -> Field:
    """Interpolates the first axis to `length` samples with a smooth step between knots."""
    position = start + np.arange(length) / cell_px
    below = position.astype(np.intp)
    t = (position - below).astype(np.float32)[:, None]
    t = t * t * (3 - 2 * t)
    return knots[below] * (1 - t) + knots[below + 1] * t


def _binomial(image: Field) -> Field:
    rows = np.concatenate([image[..., :1, :], image, image[..., -1:, :]], axis=-2)
    image = (rows[..., :-2, :] + 2 * rows[..., 1:-1, :] + rows[..., 2:, :]) / 4
    cols = np.concatenate([image[..., :1], image, image[..., -1:]], axis=-1)
    blurred: Field = (cols[..., :-2] + 2 * cols[..., 1:-1] + cols[..., 2:]) / 4
    return blurred
