"""Blocks of one owner: blocks of flats, halls with their yards, car parks, parks."""

import numpy as np

from mfnet.training.synthetic.layout.city_block import Block
from mfnet.training.synthetic.objects.buildings import House, draw_house
from mfnet.training.synthetic.objects.cars import draw_car
from mfnet.training.synthetic.objects.clutter import (
    draw_container,
    draw_playground,
    draw_pond,
    draw_rubble,
)
from mfnet.training.synthetic.objects.vegetation import draw_bush, draw_hedge
from mfnet.training.synthetic.rendering.canvas import IMPERVIOUS
from mfnet.training.synthetic.rendering.palette import RGB, vary

_HALLS: list[RGB] = [
    (0.66, 0.67, 0.68),
    (0.48, 0.50, 0.53),
    (0.30, 0.30, 0.31),
    (0.42, 0.41, 0.38),
    (0.35, 0.43, 0.40),
    (0.23, 0.31, 0.14),
]


def draw_flats(block: Block, rng: np.random.Generator) -> None:
    """Long buildings along both streets, lawns and paths between them, a car park or playground."""
    width = rng.uniform(10, 13)
    sides = (block.u0 + 4 + width / 2, block.u1 - 4 - width / 2)
    for u in sides if block.depth_m > 2 * width + 14 else sides[:1]:
        v = block.v0 + rng.uniform(2, 6)
        while v + 16 < block.v1:
            length = min(rng.uniform(16, 34), block.v1 - v - 1)
            _draw_slab(block, rng, u, v + length / 2, length, width)
            v += length + rng.uniform(5, 12)
    middle_u, middle_v = (block.u0 + block.u1) / 2, (block.v0 + block.v1) / 2
    block.surface(middle_u, middle_v, 1.8, block.length_m, block.canvas.setting.paving)
    if rng.random() < 0.6:
        _draw_car_park(block, rng, middle_u, middle_v, 17.0, min(30.0, block.length_m * 0.6))
    else:
        draw_playground(block.canvas, *block.spot(middle_u, middle_v), rng)
    for _ in range(rng.integers(4, 14)):
        row_m, col_m, _ = block.spot(*block.anywhere(rng))
        draw_bush(block.canvas, row_m, col_m, rng.uniform(0.5, 1.2), rng)


def draw_works(block: Block, rng: np.random.Generator) -> None:
    """A hall in a paved yard, with containers, heaps and parked cars."""
    canvas = block.canvas
    yard = vary(rng, canvas.setting.street if rng.random() < 0.5 else canvas.setting.paving, 0.04)
    middle_u, middle_v = (block.u0 + block.u1) / 2, (block.v0 + block.v1) / 2
    block.surface(middle_u, middle_v, block.depth_m - 2, block.length_m - 2, yard)
    along = rng.uniform(0.35, 0.5) * block.length_m
    across = min(rng.uniform(14, 24), block.depth_m - 12)
    u, v = block.u0 + 4 + across / 2, block.v0 + 4 + along / 2
    row_m, col_m, heading = block.spot(u, v)
    shape = str(rng.choice(("flat", "saw", "gable"), p=(0.6, 0.15, 0.25)))
    color = vary(rng, _HALLS[rng.integers(len(_HALLS))], 0.04)
    slope = rng.uniform(0.1, 0.25)
    draw_house(
        canvas,
        House(row_m, col_m, heading, along, across, rng.uniform(5, 10), slope, shape, color),
        rng,
    )
    _draw_car_park(block, rng, middle_u, block.v1 - 12, block.depth_m - 8, 17.0, turned=True)
    for _ in range(rng.integers(2, 8)):
        row_m, col_m, heading = block.spot(*block.anywhere(rng, 5))
        turn = float(rng.choice((0, np.pi / 2))) + rng.normal(0, 0.05)
        draw_container(canvas, row_m, col_m, heading + turn, rng)
    for _ in range(rng.integers(0, 3)):
        row_m, col_m, _ = block.spot(*block.anywhere(rng, 4))
        draw_rubble(canvas, row_m, col_m, rng.uniform(2, 4.5), rng)
    for _ in range(rng.integers(4, 12)):
        row_m, col_m, heading = block.spot(*block.anywhere(rng, 3))
        draw_car(canvas, row_m, col_m, heading + float(rng.choice((0, np.pi / 2))), rng)


def draw_parking(block: Block, rng: np.random.Generator) -> None:
    """A supermarket: one large flat roof, the rest stalls."""
    canvas = block.canvas
    middle_u, middle_v = (block.u0 + block.u1) / 2, (block.v0 + block.v1) / 2
    yard = vary(rng, canvas.setting.street, 0.03)
    block.surface(middle_u, middle_v, block.depth_m - 3, block.length_m - 3, yard)
    along = block.length_m * rng.uniform(0.3, 0.42)
    row_m, col_m, heading = block.spot(middle_u, block.v0 + 4 + along / 2)
    color = vary(rng, _HALLS[rng.integers(len(_HALLS))], 0.04)
    shape = str(rng.choice(("flat", "hip", "angled"), p=(0.6, 0.2, 0.2)))
    store = House(
        row_m, col_m, heading, along, block.depth_m - 9, rng.uniform(4.5, 8), 0.25, shape, color
    )
    draw_house(canvas, store, rng)
    v = block.v0 + along + 15
    while v + 9 < block.v1:
        _draw_car_park(block, rng, middle_u, v, block.depth_m - 8, 17.0, turned=True)
        v += 18


def draw_park(block: Block, rng: np.random.Generator) -> None:
    """Lawn with paths, a pond, a playground, a pavilion."""
    canvas = block.canvas
    middle_u, middle_v = (block.u0 + block.u1) / 2, (block.v0 + block.v1) / 2
    gravel = vary(rng, (0.60, 0.54, 0.44), 0.04)
    block.surface(middle_u, middle_v, block.depth_m, 2.2, gravel)
    block.surface(middle_u + rng.uniform(-6, 6), middle_v, 2.2, block.length_m, gravel)
    if rng.random() < 0.7:
        row_m, col_m, _ = block.spot(*block.anywhere(rng, 8))
        draw_pond(canvas, row_m, col_m, rng.uniform(4, 9), rng)
    if rng.random() < 0.7:
        draw_playground(canvas, *block.spot(*block.anywhere(rng, 7)), rng)
    row_m, col_m, heading = block.spot(*block.anywhere(rng, 7))
    size = rng.uniform(4, 8)
    tiles = canvas.setting.tiles[0]
    draw_house(canvas, House(row_m, col_m, heading, size, size, 3.0, 0.5, "hip", tiles), rng)
    for _ in range(rng.integers(10, 30)):
        row_m, col_m, _ = block.spot(*block.anywhere(rng))
        draw_bush(canvas, row_m, col_m, rng.uniform(0.4, 1.3), rng)
    row_m, col_m, heading = block.spot(block.u0 + 1, middle_v)
    draw_hedge(canvas, row_m, col_m, heading, block.length_m, rng)


def _draw_slab(
    block: Block, rng: np.random.Generator, u: float, v: float, length: float, width: float
) -> None:
    shape = str(rng.choice(("flat", "gable", "hip", "angled"), p=(0.45, 0.2, 0.2, 0.15)))
    if shape == "angled":
        width = min(width * 1.9, block.depth_m - 8)
    flat = shape == "flat"
    colors = _HALLS if flat else list(block.canvas.setting.tiles)
    row_m, col_m, heading = block.spot(u, v)
    color = vary(rng, colors[rng.integers(len(colors))], 0.04)
    slope = 0.0 if flat else rng.uniform(0.35, 0.7)
    house = House(row_m, col_m, heading, length, width, rng.uniform(7, 15), slope, shape, color)
    draw_house(block.canvas, house, rng)


def _draw_car_park(
    block: Block,
    rng: np.random.Generator,
    u: float,
    v: float,
    across_m: float,
    along_m: float,
    *,
    turned: bool = False,
) -> None:
    """Two rows of stalls of 2.5 × 5 m on either side of a lane that runs along v (turned: u)."""
    canvas = block.canvas
    color = vary(rng, canvas.setting.street, 0.04)
    patch = block.surface(u, v, across_m, along_m, color)
    if patch is None:
        return
    lane, reach = (patch.across, across_m) if turned else (patch.along, along_m)
    side = patch.along if turned else patch.across
    lines = (lane % np.float32(2.5) < 0.11) & (np.abs(lane) < reach / 2)
    lines &= (np.abs(side) > 3.2) & (np.abs(side) < 8.2)
    lines &= (canvas.truth[patch.at] == IMPERVIOUS) & (canvas.height[patch.at] < 0.3)
    canvas.paint(patch, lines, (0.75, 0.75, 0.73))
    full = rng.uniform(0.3, 0.9)
    centre_row, centre_col, heading = block.spot(u, v)
    lane_angle, side_angle = (
        (heading + np.pi / 2, heading) if turned else (heading, heading + np.pi / 2)
    )
    stalls = int(reach / 5)
    for stall in range(-stalls, stalls):
        for edge in (-5.7, 5.7):
            if rng.random() > full:
                continue
            at, off = stall * 2.5 + 1.3 + rng.normal(0, 0.08), edge + rng.normal(0, 0.2)
            row_m = centre_row + at * np.sin(lane_angle) + off * np.sin(side_angle)
            col_m = centre_col + at * np.cos(lane_angle) + off * np.cos(side_angle)
            draw_car(canvas, row_m, col_m, side_angle, rng)
