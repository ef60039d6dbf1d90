"""What is none of the five classes: water, containers, rubble, playgrounds, trampolines."""

import numpy as np

from mfnet.training.synthetic.rendering.canvas import (
    BUILDING,
    CLUTTER,
    IMPERVIOUS,
    LOW_VEGETATION,
    Canvas,
)
from mfnet.training.synthetic.rendering.palette import RGB, vary

_BOXES: list[RGB] = [
    (0.50, 0.16, 0.12),
    (0.12, 0.25, 0.45),
    (0.18, 0.38, 0.26),
    (0.62, 0.40, 0.12),
    (0.62, 0.63, 0.62),
]


def draw_pool(
    canvas: Canvas, row_m: float, col_m: float, angle: float, rng: np.random.Generator
) -> None:
    """A swimming pool with a bright rim, 6 to 10 m long."""
    length, width = rng.uniform(5, 10), rng.uniform(3, 4.5)
    patch = canvas.patch(row_m, col_m, angle, length + 2, width + 2)
    if patch is None:
        return
    x, y = np.abs(patch.along) * 2 / length, np.abs(patch.across) * 2 / width
    power = float(rng.choice((2, 12)))
    shape = x**power + y**power
    free = canvas.truth[patch.at] != BUILDING
    canvas.paint(patch, free & (shape < 1.35), vary(rng, (0.66, 0.63, 0.58), 0.04), IMPERVIOUS, 0.0)
    water = canvas.textured(patch, vary(rng, (0.18, 0.52, 0.60), 0.05), 0.06)
    canvas.paint(patch, free & (shape < 1), water, CLUTTER, 0.0)


def draw_pond(
    canvas: Canvas, row_m: float, col_m: float, radius_m: float, rng: np.random.Generator
) -> None:
    """Still water, nearly black, with a muddy bank."""
    patch = canvas.patch(row_m, col_m, 0.0, radius_m * 3, radius_m * 3)
    if patch is None:
        return
    share = np.hypot(patch.along, patch.across * rng.uniform(1.0, 1.5)) / radius_m
    share = share - np.float32(0.3) * canvas.broad[patch.at]
    free = canvas.truth[patch.at] == LOW_VEGETATION
    canvas.paint(patch, free & (share < 1.12), canvas.textured(patch, (0.33, 0.29, 0.2), 0.1))
    water = canvas.textured(patch, vary(rng, (0.06, 0.10, 0.10), 0.02), 0.05)
    canvas.paint(patch, free & (share < 1), water, CLUTTER, 0.0)


def draw_container(
    canvas: Canvas, row_m: float, col_m: float, angle: float, rng: np.random.Generator
) -> None:
    """A freight container, 6.06 or 12.2 m by 2.44 m and 2.6 m high, with a corrugated lid."""
    length = float(rng.choice((6.06, 12.2), p=(0.75, 0.25)))
    patch = canvas.patch(row_m, col_m, angle, length + 0.5, 3.0)
    if patch is None:
        return
    inside = (np.abs(patch.along) < length / 2) & (np.abs(patch.across) < 1.22)
    if (canvas.height[patch.at][inside] > 0.3).any():
        return
    ribs = 1 + np.float32(0.12) * np.sign(np.sin(patch.along * np.float32(2 * np.pi / 0.6)))
    color = np.asarray(vary(rng, _BOXES[rng.integers(len(_BOXES))], 0.03), np.float32)
    canvas.paint(patch, inside, color * ribs[..., None], CLUTTER, 2.6)


def draw_rubble(
    canvas: Canvas, row_m: float, col_m: float, radius_m: float, rng: np.random.Generator
) -> None:
    """A heap of earth and broken stone, up to 2.5 m."""
    patch = canvas.patch(row_m, col_m, 0.0, radius_m * 3, radius_m * 3)
    if patch is None:
        return
    share = (
        np.hypot(patch.along, patch.across) / radius_m - np.float32(0.25) * canvas.middle[patch.at]
    )
    heap = rng.uniform(0.25, 0.5) * radius_m * np.clip(1 - share, 0, 1)
    inside = (share < 1) & (canvas.height[patch.at] < 0.3)
    stones = canvas.textured(patch, vary(rng, (0.43, 0.37, 0.30), 0.05), 0.2)
    canvas.paint(
        patch, inside, stones * (1 + 0.3 * canvas.fine[patch.at])[..., None], CLUTTER, heap
    )


def draw_playground(
    canvas: Canvas, row_m: float, col_m: float, angle: float, rng: np.random.Generator
) -> None:
    """A sand pit with a climbing frame and a slide in loud colours."""
    size = rng.uniform(7, 11)
    patch = canvas.patch(row_m, col_m, angle, size + 1, size + 1)
    if patch is None:
        return
    edge = np.maximum(np.abs(patch.along), np.abs(patch.across))
    free = canvas.truth[patch.at] == LOW_VEGETATION
    sand = canvas.textured(patch, (0.66, 0.56, 0.40), 0.06)
    canvas.paint(patch, free & (edge < size / 2), sand, CLUTTER, 0.0)
    canvas.paint(patch, free & (np.abs(edge - size / 2) < 0.15), (0.36, 0.26, 0.18))
    for _ in range(rng.integers(2, 5)):
        along, across = rng.uniform(-0.3, 0.3, 2) * size
        half_long, half_wide = rng.uniform(0.3, 1.8), rng.uniform(0.25, 0.6)
        frame = (np.abs(patch.along - along) < half_long) & (
            np.abs(patch.across - across) < half_wide
        )
        color = ((0.7, 0.12, 0.1), (0.12, 0.3, 0.65), (0.8, 0.65, 0.1))[rng.integers(3)]
        canvas.paint(patch, free & frame, color, height=rng.uniform(0.6, 2.2))


def draw_trampoline(canvas: Canvas, row_m: float, col_m: float, rng: np.random.Generator) -> None:
    """A round trampoline, 0.9 m above the lawn."""
    radius = rng.uniform(1.2, 2.0)
    patch = canvas.patch(row_m, col_m, 0.0, radius * 2.4, radius * 2.4)
    if patch is None:
        return
    share = np.hypot(patch.along, patch.across) / radius
    free = canvas.truth[patch.at] == LOW_VEGETATION
    rim = ((0.15, 0.35, 0.6), (0.2, 0.45, 0.25))[rng.integers(2)]
    canvas.paint(patch, free & (share < 1), rim, CLUTTER, 0.9)
    canvas.paint(patch, free & (share < 0.8), (0.08, 0.08, 0.09))
