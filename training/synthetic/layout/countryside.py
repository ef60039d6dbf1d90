"""Blocks without streets' life: fields, woods, orchards, water."""

import numpy as np

from mfnet.training.synthetic.layout.city_block import Block
from mfnet.training.synthetic.objects.vegetation import draw_hedge, draw_tree
from mfnet.training.synthetic.rendering.canvas import (
    BUILDING,
    CLUTTER,
    IMPERVIOUS,
    LOW_VEGETATION,
)
from mfnet.training.synthetic.rendering.palette import RGB, vary

_SOILS: list[RGB] = [(0.33, 0.26, 0.19), (0.48, 0.40, 0.30), (0.24, 0.19, 0.15), (0.60, 0.52, 0.40)]
_CROPS: list[RGB] = [(0.30, 0.42, 0.14), (0.55, 0.50, 0.24), (0.22, 0.34, 0.12), (0.60, 0.58, 0.20)]


def draw_field(block: Block, rng: np.random.Generator) -> None:
    """Ploughed soil or a crop up to a metre high, with tracks of machines; hedges around."""
    middle_u, middle_v = (block.u0 + block.u1) / 2, (block.v0 + block.v1) / 2
    colors = _SOILS if rng.random() < 0.4 else _CROPS
    color = vary(rng, colors[rng.integers(len(colors))], 0.05)
    patch = block.surface(middle_u, middle_v, block.depth_m, block.length_m, color, LOW_VEGETATION)
    if patch is None:
        return
    canvas = block.canvas
    inside = (np.abs(patch.along) < block.length_m / 2) & (np.abs(patch.across) < block.depth_m / 2)
    inside &= canvas.truth[patch.at] == LOW_VEGETATION
    wave = np.sin(patch.across * np.float32(2 * np.pi / rng.uniform(0.6, 3.0)))
    rows = canvas.color[patch.at] * (1 + np.float32(rng.uniform(0, 0.12)) * wave)[..., None]
    height = rng.uniform(0, 0.9) if colors is _CROPS else 0.0
    grown = np.float32(height) * (1 + np.float32(0.15) * canvas.fine[patch.at])
    canvas.paint(patch, inside, rows, height=grown)
    if rng.random() < 0.5:
        row_m, col_m, heading = block.spot(block.u0 + 1, middle_v)
        draw_hedge(canvas, row_m, col_m, heading, block.length_m, rng)


def draw_wood(block: Block, rng: np.random.Generator) -> None:
    """Crown beside crown, with glades."""
    for _ in range(rng.poisson(min(0.06 * block.depth_m * block.length_m, 700))):
        row_m, col_m, _ = block.spot(*block.anywhere(rng, 0.0))
        if block.canvas.truth_at(row_m, col_m) not in (IMPERVIOUS, BUILDING):
            draw_tree(block.canvas, row_m, col_m, rng.uniform(1.2, 4.5), rng)


def draw_orchard(block: Block, rng: np.random.Generator) -> None:
    """Small trees or vines in rows."""
    step_u, step_v = rng.uniform(2.5, 8), rng.uniform(2.0, 6)
    radius_m = rng.uniform(0.3, 0.55) * min(step_u, step_v)
    for u in np.arange(block.u0 + 2, block.u1 - 1, step_u):
        for v in np.arange(block.v0 + 2, block.v1 - 1, step_v):
            row_m, col_m, _ = block.spot(u + rng.normal(0, 0.15), v + rng.normal(0, 0.15))
            if rng.random() < 0.93 and block.canvas.truth_at(row_m, col_m) == LOW_VEGETATION:
                draw_tree(block.canvas, row_m, col_m, radius_m * rng.uniform(0.8, 1.2), rng)


def draw_water(block: Block, rng: np.random.Generator) -> None:
    """A basin or a reach of river, with a quay, boats, and perhaps a bridge over it."""
    canvas = block.canvas
    middle_u, middle_v = (block.u0 + block.u1) / 2, (block.v0 + block.v1) / 2
    quay = vary(rng, canvas.setting.paving, 0.06)
    block.surface(middle_u, middle_v, block.depth_m, block.length_m, quay)
    colors: list[RGB] = [(0.05, 0.09, 0.10), (0.16, 0.24, 0.22), (0.25, 0.27, 0.20)]
    water = vary(rng, colors[rng.integers(len(colors))], 0.03)
    width, length = block.depth_m - rng.uniform(2, 10), block.length_m - rng.uniform(0, 10)
    block.surface(middle_u, middle_v, width, length, water, CLUTTER)
    for _ in range(rng.integers(0, 8)):
        row_m, col_m, heading = block.spot(*block.anywhere(rng, 5))
        boat = canvas.patch(row_m, col_m, heading, 12, 4)
        if boat is None:
            continue
        long_m, wide_m = rng.uniform(4, 11), rng.uniform(1.6, 3.2)
        hull = (2 * boat.along / long_m) ** 2 + np.abs(2 * boat.across / wide_m) ** 3 < 1
        hull &= canvas.truth[boat.at] == CLUTTER
        canvas.paint(boat, hull, vary(rng, (0.7, 0.7, 0.7), 0.12), height=rng.uniform(0.6, 2.2))
    if rng.random() < 0.4:
        bridge = block.rectangle(middle_u, middle_v, block.depth_m, rng.uniform(4, 10))
        if bridge is not None:
            street = canvas.textured(bridge, canvas.setting.street, 0.05)
            deck = np.ones(bridge.along.shape, bool)
            deck &= np.abs(bridge.along) < rng.uniform(2, 5)
            canvas.paint(bridge, deck, street, IMPERVIOUS, rng.uniform(0.0, 6.0))
