"""Trees, hedges, bushes and lawns."""

import numpy as np

from mfnet.training.synthetic.rendering.canvas import LOW_VEGETATION, TREE, Canvas, lambert
from mfnet.training.synthetic.rendering.palette import RGB, vary

_NEEDLES: RGB = (0.10, 0.17, 0.10)


def draw_tree(
    canvas: Canvas, row_m: float, col_m: float, radius_m: float, rng: np.random.Generator
) -> None:
    """A crown with a ragged outline; it covers whatever is lower than itself."""
    radius_m *= canvas.sizes.crowns
    patch = canvas.patch(row_m, col_m, 0.0, radius_m * 2.7, radius_m * 2.7)
    if patch is None:
        return
    conifer = rng.random() < 0.2
    bare = canvas.setting.season == "winter" and not conifer
    bearing = np.arctan2(patch.across, patch.along)
    lobes = np.zeros_like(bearing)
    for waves in (3, 5, 8) if not conifer else (9, 13):
        lobes += np.sin(waves * bearing + np.float32(rng.uniform(0, 6))) / np.float32(waves)
    outline = radius_m * (1 + np.float32(0.22) * lobes + np.float32(0.16) * canvas.middle[patch.at])
    share = np.hypot(patch.along, patch.across) / outline  # 0 in the middle, 1 at the rim
    top = (radius_m * rng.uniform(1.6, 2.6) + 2.0) * canvas.sizes.trunks
    dome = 1 - share if conifer else np.sqrt(np.maximum(1 - share * share, 0))
    lumps = canvas.middle[patch.at] * np.float32(0.35) + canvas.fine[patch.at] * np.float32(0.4)
    crown = np.float32(top) * (np.float32(0.45) + np.float32(0.55) * dome)
    crown = (crown + lumps * np.float32(radius_m * 0.3)).astype(np.float32)
    inside = (share < 1) & (crown > canvas.height[patch.at])
    leaves = canvas.setting.leaves
    color = vary(rng, _NEEDLES if conifer else leaves[rng.integers(len(leaves))], 0.02)
    light = lambert(canvas.setting, crown, canvas.gsd_m, 0.35)
    light *= 1 + np.float32(0.45) * lumps
    shaded = np.asarray(color, np.float32) * np.clip(light, 0.3, 1.8)[..., None]
    if bare:  # the ground shows between the twigs, and the survey hits it here and there
        twigs = inside & (canvas.fine[patch.at] + canvas.middle[patch.at] > np.float32(-0.15))
        under = canvas.color[patch.at] * np.float32(0.75)
        canvas.paint(patch, inside & ~twigs, under, TREE, crown * np.float32(0.7))
        inside = twigs
    canvas.paint(patch, inside, shaded, TREE, crown)


def draw_bush(
    canvas: Canvas, row_m: float, col_m: float, radius_m: float, rng: np.random.Generator
) -> None:
    """A bush of at most 1.6 m, which counts as low vegetation."""
    patch = canvas.patch(row_m, col_m, 0.0, radius_m * 2.4, radius_m * 2.4)
    if patch is None:
        return
    share = np.hypot(patch.along, patch.across) / radius_m - np.float32(0.2) * canvas.fine[patch.at]
    surface = radius_m * rng.uniform(0.9, 1.4) * (1 - np.float32(0.5) * share**2)
    inside = (share < 1) & (canvas.truth[patch.at] == LOW_VEGETATION)
    light = lambert(canvas.setting, surface.astype(np.float32), canvas.gsd_m, 0.5)
    color = vary(rng, canvas.setting.leaves[rng.integers(len(canvas.setting.leaves))], 0.03)
    shaded = canvas.textured(patch, color, 0.25) * light[..., None]
    canvas.paint(patch, inside, shaded, LOW_VEGETATION, np.minimum(surface, 1.6))


def draw_hedge(
    canvas: Canvas,
    row_m: float,
    col_m: float,
    angle: float,
    length_m: float,
    rng: np.random.Generator,
) -> None:
    """A clipped hedge of 0.8 to 1.8 m, which counts as low vegetation."""
    patch = canvas.patch(row_m, col_m, angle, length_m + 1, 2.5)
    if patch is None:
        return
    half = rng.uniform(0.35, 0.7) * (1 + np.float32(0.25) * canvas.fine[patch.at])
    inside = (np.abs(patch.across) < half) & (np.abs(patch.along) < length_m / 2)
    inside &= canvas.truth[patch.at] == LOW_VEGETATION
    surface = rng.uniform(0.8, 1.7) * (1 - np.float32(0.25) * (patch.across / half) ** 2)
    light = lambert(canvas.setting, surface.astype(np.float32), canvas.gsd_m, 0.6)
    color = vary(rng, canvas.setting.leaves[0], 0.02)
    shaded = canvas.textured(patch, color, 0.25) * light[..., None]
    canvas.paint(patch, inside, shaded, LOW_VEGETATION, surface)


def draw_lawns(canvas: Canvas) -> None:
    """Grass over the whole canvas, uneven, greener here and drier there."""
    grass = np.asarray(canvas.setting.grass, np.float32)
    dry = np.asarray((0.46, 0.42, 0.27), np.float32)
    mix = np.clip(np.float32(0.3) * canvas.broad + np.float32(0.15) * canvas.middle, 0, 0.6)
    tone = 1 + np.float32(0.16) * canvas.fine + np.float32(0.1) * canvas.middle
    canvas.color[:] = (grass + (dry - grass) * mix[..., None]) * tone[..., None]
