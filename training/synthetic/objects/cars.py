"""Parked cars: bodies with rounded corners, glass, a bonnet and a higher cabin."""

from dataclasses import dataclass

import numpy as np

from mfnet.training.synthetic.rendering.canvas import CAR, IMPERVIOUS, Canvas
from mfnet.training.synthetic.rendering.palette import RGB, brighten, vary

_PAINTS: list[RGB] = [
    (0.82, 0.82, 0.82),
    (0.62, 0.63, 0.65),
    (0.10, 0.10, 0.11),
    (0.28, 0.29, 0.31),
    (0.45, 0.46, 0.48),
    (0.55, 0.09, 0.08),
    (0.10, 0.17, 0.42),
    (0.20, 0.33, 0.45),
    (0.14, 0.26, 0.16),
    (0.60, 0.50, 0.35),
    (0.75, 0.55, 0.10),
]
_SHARES = np.asarray((0.2, 0.17, 0.16, 0.13, 0.1, 0.07, 0.06, 0.04, 0.02, 0.03, 0.02))
_GLASS: RGB = (0.09, 0.11, 0.14)


@dataclass(frozen=True)
class Body:
    """Size of a vehicle in metres; the cabin reaches from `rear` to `front` of the length."""

    length_m: float
    width_m: float
    bonnet_m: float
    cabin_m: float
    rear: float
    front: float


SALOON = Body(4.6, 1.82, 1.1, 1.5, -0.42, 0.2)
HATCHBACK = Body(4.0, 1.75, 1.15, 1.52, -0.49, 0.2)
VAN = Body(5.2, 2.0, 1.5, 2.1, -0.5, 0.36)


def draw_car(
    canvas: Canvas, row_m: float, col_m: float, angle: float, rng: np.random.Generator
) -> bool:
    """Paints one car where there is level paved ground for it; says whether there was."""
    body = (SALOON, HATCHBACK, VAN)[rng.choice(3, p=(0.46, 0.44, 0.1))]
    length, width = body.length_m * rng.uniform(0.94, 1.06), body.width_m
    angle += rng.normal(0, 0.03) + (np.pi if rng.random() < 0.5 else 0)
    patch = canvas.patch(row_m, col_m, angle, length + 0.3, width + 0.3)
    if patch is None:
        return False
    x, y = patch.along / np.float32(length), patch.across / np.float32(width)  # -0.5 to 0.5
    inside = (2 * np.abs(x)) ** 5 + (2 * np.abs(y)) ** 5 < 1
    if (canvas.truth[patch.at][inside] != IMPERVIOUS).any():
        return False
    paint = vary(rng, _PAINTS[rng.choice(len(_PAINTS), p=_SHARES)], 0.03)
    cabin = inside & (x > body.rear) & (x < body.front) & (np.abs(y) < 0.46)
    gloss = 1 - np.float32(0.25) * np.abs(y) + np.float32(0.08) * np.sin(x * 9)
    canvas.paint(
        patch, inside, np.asarray(paint, np.float32) * gloss[..., None], CAR, body.bonnet_m
    )
    canvas.paint(patch, cabin, _GLASS, height=body.cabin_m)
    roof = cabin & (x > body.rear + 0.08) & (x < body.front - 0.11) & (np.abs(y) < 0.4)
    canvas.paint(patch, roof, brighten(paint, 1.08))
    return True
