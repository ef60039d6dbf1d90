"""Fills the blocks between the streets, then parks cars and plants trees everywhere."""

from collections.abc import Callable, Mapping

import numpy as np

from mfnet.training.synthetic.layout.city_block import Block, blocks_of
from mfnet.training.synthetic.layout.countryside import (
    draw_field,
    draw_orchard,
    draw_water,
    draw_wood,
)
from mfnet.training.synthetic.layout.estates import draw_flats, draw_park, draw_parking, draw_works
from mfnet.training.synthetic.layout.gardens import draw_gardens
from mfnet.training.synthetic.layout.old_town import draw_courtyards, draw_towers
from mfnet.training.synthetic.layout.streets import Street, StreetGrid
from mfnet.training.synthetic.objects.cars import draw_car
from mfnet.training.synthetic.objects.vegetation import draw_tree
from mfnet.training.synthetic.rendering.canvas import IMPERVIOUS, LOW_VEGETATION, Canvas

_KINDS: dict[str, Callable[[Block, np.random.Generator], None]] = {
    "gardens": draw_gardens,
    "flats": draw_flats,
    "works": draw_works,
    "parking": draw_parking,
    "park": draw_park,
    "courtyards": draw_courtyards,
    "towers": draw_towers,
    "field": draw_field,
    "wood": draw_wood,
    "orchard": draw_orchard,
    "water": draw_water,
}
SUBURB = {"gardens": 0.46, "flats": 0.2, "works": 0.12, "parking": 0.11, "park": 0.11}
"""Shares of the kinds of blocks in a plain town."""

_TREES_PER_M2 = {
    "gardens": 0.016,
    "flats": 0.02,
    "works": 0.01,
    "parking": 0.01,
    "park": 0.026,
    "courtyards": 0.004,
    "towers": 0.012,
}


def draw_shares(rng: np.random.Generator) -> dict[str, float]:
    """Shares of all kinds of blocks for one place: a quarter of one kind, or a mixture."""
    shares = rng.dirichlet(np.full(len(_KINDS), 0.5))
    return dict(zip(_KINDS, shares.tolist(), strict=True))


def draw_blocks(
    canvas: Canvas,
    grid: StreetGrid,
    rng: np.random.Generator,
    shares: Mapping[str, float] = SUBURB,
) -> None:
    """Draws every block as one of the kinds, then the trees of each over what was drawn."""
    kinds = []
    for block in blocks_of(canvas, grid):
        kind = str(rng.choice(tuple(shares), p=tuple(shares.values())))
        _KINDS[kind](block, rng)
        kinds.append((block, kind))
    for block, kind in kinds:
        _plant(block, _TREES_PER_M2.get(kind, 0.0) * rng.uniform(0.4, 1.6), rng)


def draw_street_life(canvas: Canvas, grid: StreetGrid, rng: np.random.Generator) -> None:
    """Cars parked along the kerbs, some in the lanes, and trees in a row along some streets."""
    reach = canvas.size_m * 1.5
    for street in grid.across_u:
        _line(canvas, grid, street, reach, rng, swap=False)
    for street in grid.across_v:
        _line(canvas, grid, street, reach, rng, swap=True)


def _plant(block: Block, per_m2: float, rng: np.random.Generator) -> None:
    """Trees whose trunks stand on open ground, a metre off everything else."""
    for _ in range(rng.poisson(per_m2 * max(block.depth_m * block.length_m, 0))):
        row_m, col_m, _ = block.spot(*block.anywhere(rng))
        radius_m = float(np.clip(rng.lognormal(0.75, 0.42), 0.9, 5.5))
        clear = (0.0, -1.0, 1.0)
        around = {block.canvas.truth_at(row_m + a, col_m + b) for a in clear for b in clear}
        paved = around <= {IMPERVIOUS, LOW_VEGETATION, -1} and rng.random() < 0.04
        if around <= {LOW_VEGETATION, -1} or paved:
            draw_tree(block.canvas, row_m, col_m, radius_m, rng)


def _line(
    canvas: Canvas,
    grid: StreetGrid,
    street: Street,
    reach: float,
    rng: np.random.Generator,
    *,
    swap: bool,
) -> None:
    """One street from end to end: `swap` where it runs along u instead of v."""
    trees = rng.random() < 0.35
    spacing, radius_m = rng.uniform(8, 16), rng.uniform(1.5, 3.2)
    for side in (-1, 1):
        crowded = rng.choice((0.0, 0.35, 0.75)) if street.half_m > 3 else rng.choice((0.0, 0.25))
        at = -reach
        while at < reach:
            at += rng.uniform(5.0, 7.5)
            if rng.random() < crowded:
                off = street.at + side * (street.half_m - 1.0)
                _park(canvas, grid, (at, off) if swap else (off, at), rng, swap=swap)
            elif rng.random() < 0.03:  # on its way
                off = street.at + side * street.half_m * 0.45
                _park(canvas, grid, (at, off) if swap else (off, at), rng, swap=swap)
        for at in np.arange(-reach, reach, spacing) if trees else ():
            off = street.at + side * (street.half_m + 0.9)
            row_m, col_m = grid.to_ground(*((at, off) if swap else (off, at)))
            if _near(canvas, row_m, col_m) and rng.random() < 0.85:
                draw_tree(canvas, row_m, col_m, radius_m * rng.uniform(0.8, 1.2), rng)


def _park(
    canvas: Canvas,
    grid: StreetGrid,
    spot: tuple[float, float],
    rng: np.random.Generator,
    *,
    swap: bool,
) -> None:
    row_m, col_m = grid.to_ground(*spot)
    if _near(canvas, row_m, col_m):
        turn = np.pi / 2 if swap else 0.0
        draw_car(canvas, row_m, col_m, grid.heading(*spot) + turn, rng)


def _near(canvas: Canvas, row_m: float, col_m: float) -> bool:
    return min(row_m, col_m) > -8 and max(row_m, col_m) < canvas.size_m + 8
