"""Blocks of houses with gardens: lots in a row along each street."""

import numpy as np

from mfnet.training.synthetic.layout.city_block import Block
from mfnet.training.synthetic.objects.buildings import House, draw_house
from mfnet.training.synthetic.objects.cars import draw_car
from mfnet.training.synthetic.objects.clutter import draw_pool, draw_rubble, draw_trampoline
from mfnet.training.synthetic.objects.vegetation import draw_bush, draw_hedge
from mfnet.training.synthetic.rendering.canvas import LOW_VEGETATION
from mfnet.training.synthetic.rendering.palette import RGB, vary

_FLAT: list[RGB] = [(0.30, 0.30, 0.31), (0.55, 0.54, 0.51), (0.42, 0.40, 0.37), (0.24, 0.31, 0.14)]


def draw_gardens(block: Block, rng: np.random.Generator) -> None:
    """Lots along the streets at u0 and, where there is room, at u1."""
    sides = (1, -1) if block.depth_m > 27 else (1,)
    depth = block.depth_m / len(sides)
    for side in sides:
        street = block.u0 if side > 0 else block.u1
        v = block.v0 + rng.uniform(0, 3)
        while v + 12 < block.v1:
            frontage = min(rng.uniform(13, 20), block.v1 - v)
            _draw_lot(block, rng, street, side, v, frontage, depth)
            v += frontage


def _draw_lot(
    block: Block,
    rng: np.random.Generator,
    street: float,
    side: int,
    v: float,
    frontage: float,
    depth: float,
) -> None:
    """One lot: from its street at u = `street` inwards (`side` is the sign of inwards)."""
    setback = rng.uniform(3.0, 6.0)
    width = rng.uniform(7.0, min(10.5, max(depth - 8, 7.5)))
    length = rng.uniform(8.0, max(frontage - 4.5, 8.5))
    u_house = street + side * (setback + width / 2)
    v_house = v + 1.2 + length / 2
    _draw_borders(block, rng, street, side, v, frontage, depth)
    if depth > 15:
        _draw_garden(block, rng, street + side * (setback + width), side, v, frontage, depth)
    _draw_drive(block, rng, street, side, v + frontage - 2.0, setback, width)
    turned = rng.random() < 0.3 and length < width * 1.3
    row_m, col_m, heading = block.spot(u_house, v_house)
    shape = str(
        rng.choice(("gable", "hip", "half_hip", "flat", "mono"), p=(0.48, 0.2, 0.1, 0.16, 0.06))
    )
    draw_house(
        block.canvas,
        House(
            row_m,
            col_m,
            heading + (np.pi / 2 if turned else 0) + (np.pi if rng.random() < 0.5 else 0),
            width if turned else length,
            length if turned else width,
            eaves_m=rng.uniform(2.8, 6.5),
            slope=0.0 if shape == "flat" else rng.uniform(0.45, 1.0),
            shape=shape,
            color=_roof_color(block, rng, flat=shape == "flat"),
        ),
        rng,
    )


def _draw_borders(
    block: Block,
    rng: np.random.Generator,
    street: float,
    side: int,
    v: float,
    frontage: float,
    depth: float,
) -> None:
    """Another shade of grass a lot, perhaps mown in stripes, and hedges around."""
    u = street + side * depth / 2
    patch = block.rectangle(u, v + frontage / 2, depth, frontage)
    if patch is not None:
        inside = (np.abs(patch.along) < frontage / 2) & (np.abs(patch.across) < depth / 2)
        tone = np.float32(rng.uniform(0.85, 1.15)) * np.ones_like(patch.along)
        if rng.random() < 0.3:
            tone += np.float32(0.05) * np.sign(np.sin(patch.along * np.float32(2 * np.pi / 1.4)))
        tint = np.asarray(vary(rng, (1.0, 1.0, 1.0), 0.05), np.float32)
        inside &= block.canvas.truth[patch.at] == LOW_VEGETATION
        painted = block.canvas.color[patch.at] * tone[..., None] * tint
        block.canvas.paint(patch, inside, painted)
    if rng.random() < 0.6:
        row_m, col_m, heading = block.spot(u, v + frontage)
        draw_hedge(block.canvas, row_m, col_m, heading + np.pi / 2, depth, rng)
    if rng.random() < 0.4:
        row_m, col_m, heading = block.spot(street + side * 0.8, v + frontage / 2)
        draw_hedge(block.canvas, row_m, col_m, heading, frontage - 4.5, rng)


def _draw_drive(
    block: Block,
    rng: np.random.Generator,
    street: float,
    side: int,
    v: float,
    setback: float,
    width: float,
) -> None:
    """A paved drive beside the house, often with a garage at its end or a car on it."""
    reach = setback + width * rng.uniform(0.4, 1.0)
    paving = vary(rng, block.canvas.setting.paving, 0.05)
    block.surface(street + side * (reach / 2 - 0.2), v, reach + 0.4, 3.0, paving)
    if rng.random() < 0.7:
        draw_car(block.canvas, *_aside(block, street + side * 3.0, v), rng)
    if rng.random() < 0.55:
        row_m, col_m, heading = block.spot(street + side * (reach + 1.0), v)
        roof = _roof_color(block, rng, flat=True)
        garage = House(row_m, col_m, heading + np.pi / 2, 6.0, 3.1, 2.6, 0.0, "flat", roof)
        draw_house(block.canvas, garage, rng)


def _draw_garden(
    block: Block,
    rng: np.random.Generator,
    back: float,
    side: int,
    v: float,
    frontage: float,
    depth: float,
) -> None:
    """Behind the house, whose back wall is at u = `back`: terrace, pool, beds, shed, bushes."""
    canvas = block.canvas
    terrace = rng.uniform(2.5, 4.5)
    paving = vary(rng, canvas.setting.paving, 0.06)
    block.surface(back + side * terrace / 2, v + frontage * 0.4, terrace, frontage * 0.4, paving)
    centre = v + frontage * rng.uniform(0.35, 0.65)
    if (kind := rng.random()) < 0.2:
        draw_pool(canvas, *block.spot(back + side * (terrace + 4.5), centre), rng)
    elif kind < 0.32:
        row_m, col_m, _ = block.spot(back + side * (terrace + 2.5), centre)
        draw_trampoline(canvas, row_m, col_m, rng)
    elif kind < 0.38:
        row_m, col_m, _ = block.spot(back + side * (terrace + 3.0), centre)
        draw_rubble(canvas, row_m, col_m, rng.uniform(1.5, 3.0), rng)
    elif kind < 0.62:
        _draw_bed(block, rng, back + side * (terrace + 3.5), centre)
    if rng.random() < 0.5:
        row_m, col_m, heading = block.spot(back + side * (depth * 0.35), v + 2.5)
        shed = House(
            row_m, col_m, heading, rng.uniform(2.5, 4), 2.4, 2.2, 0.25, "gable", (0.4, 0.33, 0.27)
        )
        draw_house(canvas, shed, rng)
    for _ in range(rng.integers(0, 7)):
        u = back + side * rng.uniform(0, depth * 0.5)
        row_m, col_m, _ = block.spot(u, v + rng.uniform(0.5, frontage - 0.5))
        draw_bush(canvas, row_m, col_m, rng.uniform(0.4, 1.1), rng)


def _draw_bed(block: Block, rng: np.random.Generator, u: float, v: float) -> None:
    """A kitchen garden: rows of green on bare soil, which is low vegetation all the same."""
    size = rng.uniform(3, 6)
    patch = block.surface(u, v, size, size, vary(rng, (0.33, 0.26, 0.19), 0.04), LOW_VEGETATION)
    if patch is None or rng.random() < 0.25:
        return
    rows = (patch.along % np.float32(0.9) < 0.4) & (np.abs(patch.across) < size / 2 - 0.3)
    rows &= np.abs(patch.along) < size / 2 - 0.3
    rows &= block.canvas.truth[patch.at] == LOW_VEGETATION
    green = block.canvas.textured(patch, block.canvas.setting.leaves[0], 0.25)
    block.canvas.paint(patch, rows, green)


def _aside(block: Block, u: float, v: float) -> tuple[float, float, float]:
    """A place and the direction across the street there."""
    row_m, col_m, heading = block.spot(u, v)
    return row_m, col_m, heading + np.pi / 2


def _roof_color(block: Block, rng: np.random.Generator, *, flat: bool) -> RGB:
    """The town's tiles; flat roofs of bitumen, gravel or grass; at times the street's own grey."""
    if rng.random() < 0.1:
        return vary(rng, block.canvas.setting.street, 0.02)
    if flat:
        return vary(rng, _FLAT[rng.integers(len(_FLAT))], 0.04)
    tiles = block.canvas.setting.tiles
    return vary(rng, tiles[rng.integers(len(tiles))], 0.04)
