"""A block: the land between four streets, addressed along its streets."""

from dataclasses import dataclass

import numpy as np

from mfnet.training.synthetic.layout.streets import StreetGrid
from mfnet.training.synthetic.rendering.canvas import IMPERVIOUS, Canvas, Patch
from mfnet.training.synthetic.rendering.palette import RGB


@dataclass(frozen=True)
class Block:
    """Land from u0 to u1 and v0 to v1, metres in the axes of its grid, pavements left out."""

    canvas: Canvas
    grid: StreetGrid
    u0: float
    u1: float
    v0: float
    v1: float

    @property
    def depth_m(self) -> float:
        """Extent along u."""
        return self.u1 - self.u0

    @property
    def length_m(self) -> float:
        """Extent along v."""
        return self.v1 - self.v0

    def spot(self, u: float, v: float) -> tuple[float, float, float]:
        """Row and column in metres at (u, v), and the heading of v there, radians."""
        row_m, col_m = self.grid.to_ground(u, v)
        return row_m, col_m, self.grid.heading(u, v)

    def anywhere(self, rng: np.random.Generator, margin_m: float = 1.0) -> tuple[float, float]:
        """A random (u, v) inside; in the middle where the margin leaves nothing."""
        margin_m = min(margin_m, 0.49 * self.depth_m, 0.49 * self.length_m)
        return (
            rng.uniform(self.u0 + margin_m, self.u1 - margin_m),
            rng.uniform(self.v0 + margin_m, self.v1 - margin_m),
        )

    def rectangle(self, u: float, v: float, across_m: float, along_m: float) -> Patch | None:
        """The pixels of a rectangle around (u, v): `across_m` along u, `along_m` along v."""
        row_m, col_m, heading = self.spot(u, v)
        return self.canvas.patch(row_m, col_m, heading, along_m, across_m)

    def surface(
        self,
        u: float,
        v: float,
        across_m: float,
        along_m: float,
        color: RGB,
        truth: int = IMPERVIOUS,
    ) -> Patch | None:
        """Covers such a rectangle with a level surface; returns its pixels."""
        patch = self.rectangle(u, v, across_m, along_m)
        if patch is not None:
            inside = (np.abs(patch.along) < along_m / 2) & (np.abs(patch.across) < across_m / 2)
            inside &= self.canvas.height[patch.at] < 0.3
            self.canvas.paint(patch, inside, self.canvas.textured(patch, color, 0.05), truth, 0.0)
        return patch


def blocks_of(canvas: Canvas, grid: StreetGrid) -> list[Block]:
    """The blocks that reach into the canvas."""
    found = []
    for west, east in zip(grid.across_u, grid.across_u[1:], strict=False):
        for north, south in zip(grid.across_v, grid.across_v[1:], strict=False):
            block = Block(
                canvas,
                grid,
                west.at + west.edge_m,
                east.at - east.edge_m,
                north.at + north.edge_m,
                south.at - south.edge_m,
            )
            row_m, col_m = grid.to_ground((block.u0 + block.u1) / 2, (block.v0 + block.v1) / 2)
            reach = np.hypot(block.depth_m, block.length_m) / 2
            if -reach < min(row_m, col_m) and max(row_m, col_m) < canvas.size_m + reach:
                found.append(block)
    return found
