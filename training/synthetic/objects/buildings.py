"""Roofs: surfaces in metres over a building's own axes, and buildings painted under them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mfnet.training.synthetic.rendering.canvas import BUILDING, Canvas, Patch, lambert
from mfnet.training.synthetic.rendering.noise import Field
from mfnet.training.synthetic.rendering.palette import RGB, brighten, vary

Surface = Callable[[Field, Field, "House"], Field]


@dataclass(frozen=True)
class House:
    """A building: where it stands, how large it is, how steep and of what its roof is.

    Args:
        row_m: Centre, metres from the upper edge.
        col_m: Centre, metres from the left edge.
        angle: Of the long side, as in `Patch`.
        length_m: Along the ridge.
        width_m: Across the ridge.
        eaves_m: Height of the walls.
        slope: Metres up a metre inwards; 0 for a flat roof.
        shape: A key of `SURFACES`.
        color: Of the roof.
    """

    row_m: float
    col_m: float
    angle: float
    length_m: float
    width_m: float
    eaves_m: float
    slope: float
    shape: str
    color: RGB


def draw_house(canvas: Canvas, house: House, rng: np.random.Generator) -> None:
    """Paints the roof, what stands on it, its height and its class."""
    house = replace(house, eaves_m=canvas.sizes.eaves_m(house.eaves_m, rng))
    patch = canvas.patch(
        house.row_m, house.col_m, house.angle, house.length_m + 1, house.width_m + 1
    )
    if patch is None:
        return
    inside = _footprint(patch, house)
    if not inside.any():
        return
    surface = house.eaves_m + SURFACES[house.shape](patch.along, patch.across, house)
    surface = surface.astype(np.float32)
    color = canvas.textured(patch, house.color, 0.05) * _covering(patch, house, rng)[..., None]
    color *= lambert(canvas.setting, surface, canvas.gsd_m)[..., None]
    canvas.paint(patch, inside, color, BUILDING, surface)
    if house.shape == "flat":
        _flat_fittings(canvas, patch, house, inside, rng)
    else:
        _pitched_fittings(canvas, patch, house, inside, surface, rng)


def _gable(along: Field, across: Field, house: House) -> Field:
    return (np.float32(house.width_m / 2) - np.abs(across)) * np.float32(house.slope)


def _hip(along: Field, across: Field, house: House) -> Field:
    inwards = np.minimum(house.width_m / 2 - np.abs(across), house.length_m / 2 - np.abs(along))
    return inwards * np.float32(house.slope)


def _half_hip(along: Field, across: Field, house: House) -> Field:
    end = (house.length_m / 2 - np.abs(along)) * np.float32(house.slope) + house.width_m * 0.18
    return np.minimum(_gable(along, across, house), end)


def _mono(along: Field, across: Field, house: House) -> Field:
    return (house.width_m / 2 + across) * np.float32(house.slope * 0.4)


def _flat(along: Field, across: Field, house: House) -> Field:
    return np.zeros_like(along)


def _saw(along: Field, across: Field, house: House) -> Field:
    return ((along + house.length_m / 2) % np.float32(6.0)) * np.float32(0.3)


def _angled(along: Field, across: Field, house: House) -> Field:
    """Two gables at a right angle: the wings of an L, whose missing quarter is cut out."""
    wing = house.width_m * 0.46
    main = wing / 2 - np.abs(across + house.width_m / 2 - wing / 2)
    side = wing / 2 - np.abs(along + house.length_m / 2 - wing / 2)
    rise: Field = np.maximum(np.maximum(main, side), 0) * np.float32(house.slope)
    return rise


SURFACES: dict[str, Surface] = {
    "gable": _gable,
    "hip": _hip,
    "half_hip": _half_hip,
    "mono": _mono,
    "flat": _flat,
    "saw": _saw,
    "angled": _angled,
}


def _footprint(patch: Patch, house: House) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (np.abs(patch.along) <= house.length_m / 2) & (
        np.abs(patch.across) <= house.width_m / 2
    )
    if house.shape == "angled":
        wing = house.width_m * 0.46
        yard = (patch.across > wing - house.width_m / 2) & (patch.along > wing - house.length_m / 2)
        inside &= ~yard
    return inside


def _covering(patch: Patch, house: House, rng: np.random.Generator) -> Field:
    """(h, w) tone: courses of tiles, standing seams, or gravel with the seams of its sheets."""
    if house.shape == "flat":
        seams = np.abs(patch.across % np.float32(4.0)) < 0.13
        return np.where(seams, np.float32(0.93), np.float32(1))
    courses = np.sin(np.abs(patch.across) * np.float32(2 * np.pi / rng.uniform(0.3, 0.5)))
    tone = 1 + np.float32(rng.uniform(0.0, 0.07)) * courses
    ridge = (np.abs(patch.across) < 0.12) & (house.shape in ("gable", "half_hip", "hip"))
    return np.where(ridge, np.float32(1.12), tone).astype(np.float32)


def _flat_fittings(
    canvas: Canvas,
    patch: Patch,
    house: House,
    inside: NDArray[np.bool_],
    rng: np.random.Generator,
) -> None:
    """A parapet, skylights in a row, boxes of machinery."""
    to_edge = np.minimum(
        house.length_m / 2 - np.abs(patch.along), house.width_m / 2 - np.abs(patch.across)
    )
    parapet = inside & (to_edge < 0.3)
    canvas.paint(patch, parapet, brighten(house.color, 1.25, 0.04), height=house.eaves_m + 0.4)
    if min(house.length_m, house.width_m) < 8:
        return
    if rng.random() < 0.5:
        domes = (np.abs((patch.along % 5.0) - 2.5) < 0.6) & (np.abs(patch.across) < 0.6)
        canvas.paint(patch, inside & domes & (to_edge > 1.5), (0.7, 0.74, 0.78))
    for _ in range(rng.integers(0, 5)):
        along = rng.uniform(-0.4, 0.4) * house.length_m
        across = rng.uniform(-0.35, 0.35) * house.width_m
        size = rng.uniform(0.5, 1.6)
        box = (np.abs(patch.along - along) < size) & (np.abs(patch.across - across) < size * 0.7)
        tone = float(rng.uniform(0.3, 0.75))
        canvas.paint(
            patch, inside & box, (tone, tone, tone), height=house.eaves_m + rng.uniform(0.8, 2)
        )


def _pitched_fittings(
    canvas: Canvas,
    patch: Patch,
    house: House,
    inside: NDArray[np.bool_],
    surface: Field,
    rng: np.random.Generator,
) -> None:
    """A chimney, roof windows, solar panels on one side."""
    side = float(rng.choice((-1, 1)))
    if rng.random() < 0.22 and house.shape in ("gable", "half_hip", "mono"):
        panels = np.abs(patch.along) < house.length_m * rng.uniform(0.2, 0.4)
        up = side * patch.across
        panels &= (up > 0.7) & (up < house.width_m / 2 - 0.6)
        frames = (patch.along % np.float32(1.0) < 0.1) | (up % np.float32(1.7) < 0.12)
        canvas.paint(patch, inside & panels, (0.07, 0.09, 0.17))
        canvas.paint(patch, inside & panels & frames, (0.3, 0.32, 0.36))
    elif rng.random() < 0.5:
        window = (np.abs(side * patch.across - house.width_m / 4) < 0.5) & (
            np.abs((patch.along % 3.5) - 1.7) < 0.4
        )
        window &= np.abs(patch.along) < house.length_m / 2 - 1.0
        canvas.paint(patch, inside & window, vary(rng, (0.28, 0.33, 0.4), 0.08))
    if rng.random() < 0.75:
        along = rng.uniform(-0.35, 0.35) * house.length_m
        stack = (np.abs(patch.along - along) < 0.4) & (np.abs(patch.across + side * 0.7) < 0.4)
        stack &= inside
        if stack.any():
            canvas.paint(patch, stack, (0.42, 0.3, 0.26), height=float(surface[stack].max()) + 0.9)
