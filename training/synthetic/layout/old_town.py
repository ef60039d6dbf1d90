"""Dense blocks: closed rows of houses around a yard, sheds inside, towers on an open plot."""

import numpy as np

from mfnet.training.synthetic.layout.city_block import Block
from mfnet.training.synthetic.objects.buildings import House, draw_house
from mfnet.training.synthetic.objects.vegetation import draw_bush
from mfnet.training.synthetic.rendering.palette import RGB, vary

_GREYS: list[RGB] = [(0.62, 0.62, 0.61), (0.45, 0.45, 0.44), (0.30, 0.30, 0.31), (0.20, 0.20, 0.21)]


def draw_courtyards(block: Block, rng: np.random.Generator) -> None:
    """House beside house along the streets, each with its own roof; sheds and walls in the yard."""
    depth = rng.uniform(8, 14)
    yard = vary(rng, block.canvas.setting.paving, 0.06)
    middle_u, middle_v = (block.u0 + block.u1) / 2, (block.v0 + block.v1) / 2
    if rng.random() < 0.6:
        block.surface(middle_u, middle_v, block.depth_m, block.length_m, yard)
    eaves = rng.uniform(5, 16)
    for u in (block.u0 + depth / 2, block.u1 - depth / 2):
        _draw_row(block, rng, u, block.v0, block.v1, depth, eaves)
    if rng.random() < 0.6:
        for v in (block.v0 + depth / 2, block.v1 - depth / 2):
            _draw_end(block, rng, v, depth, eaves)
    for _ in range(rng.integers(2, 12)):
        row_m, col_m, heading = block.spot(*block.anywhere(rng, depth * 0.8))
        length, width = rng.uniform(3, 14), rng.uniform(2.5, 7)
        color = vary(rng, _GREYS[rng.integers(len(_GREYS))], 0.06)
        shape = str(rng.choice(("flat", "mono", "gable")))
        slope = 0.0 if shape == "flat" else rng.uniform(0.2, 0.6)
        turn = float(rng.choice((0, np.pi / 2)))
        shed = House(row_m, col_m, heading + turn, length, width, rng.uniform(2.2, 4), slope, shape,
                     color)  # fmt: skip
        draw_house(block.canvas, shed, rng)
    for _ in range(rng.integers(0, 8)):
        row_m, col_m, _ = block.spot(*block.anywhere(rng, depth))
        draw_bush(block.canvas, row_m, col_m, rng.uniform(0.5, 1.2), rng)


def draw_towers(block: Block, rng: np.random.Generator) -> None:
    """High flat roofs on lawns or paving, a low hall between them."""
    if rng.random() < 0.5:
        middle = (block.u0 + block.u1) / 2, (block.v0 + block.v1) / 2
        paving = vary(rng, block.canvas.setting.paving, 0.05)
        block.surface(*middle, block.depth_m - 4, block.length_m - 4, paving)
    for _ in range(rng.integers(1, 5)):
        row_m, col_m, heading = block.spot(*block.anywhere(rng, 10))
        length, width = rng.uniform(12, 45), rng.uniform(10, 18)
        color = vary(rng, _GREYS[rng.integers(len(_GREYS))], 0.06)
        tower = House(row_m, col_m, heading + float(rng.choice((0, np.pi / 2))), length, width,
                      rng.uniform(12, 45), 0.0, "flat", color)  # fmt: skip
        draw_house(block.canvas, tower, rng)


def _draw_row(
    block: Block,
    rng: np.random.Generator,
    u: float,
    v0: float,
    v1: float,
    depth: float,
    eaves: float,
) -> None:
    v = v0
    while v + 4 < v1:
        front = min(rng.uniform(4.5, 18), v1 - v)
        row_m, col_m, heading = block.spot(u, v + front / 2)
        across = depth * rng.uniform(0.8, 1.15)
        _draw_town_house(block, rng, (row_m, col_m, heading), front, across, eaves)
        v += front if rng.random() < 0.93 else front + rng.uniform(2, 8)


def _draw_end(block: Block, rng: np.random.Generator, v: float, depth: float, eaves: float) -> None:
    u = block.u0 + depth
    while u + 4 < block.u1 - depth:
        front = min(rng.uniform(4.5, 18), block.u1 - depth - u)
        row_m, col_m, heading = block.spot(u + front / 2, v)
        _draw_town_house(block, rng, (row_m, col_m, heading + np.pi / 2), front, depth, eaves)
        u += front


def _draw_town_house(
    block: Block,
    rng: np.random.Generator,
    spot: tuple[float, float, float],
    front: float,
    depth: float,
    eaves: float,
) -> None:
    """A house of its own height and roof, its ridge along the street or across it."""
    row_m, col_m, heading = spot
    shape = str(rng.choice(("gable", "half_hip", "flat", "mono"), p=(0.55, 0.1, 0.25, 0.1)))
    tiles = block.canvas.setting.tiles if shape != "flat" else tuple(_GREYS)
    color = vary(rng, tiles[rng.integers(len(tiles))], 0.06)
    slope = 0.0 if shape == "flat" else rng.uniform(0.4, 1.1)
    across = shape == "gable" and rng.random() < 0.3
    if across:
        heading, front, depth = heading + np.pi / 2, depth, front
    walls = float(np.clip(eaves * np.exp(rng.normal(0, 0.2)), 2.5, 40))
    draw_house(
        block.canvas, House(row_m, col_m, heading, front, depth, walls, slope, shape, color), rng
    )
