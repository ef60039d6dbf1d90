"""The street grid: lines in a turned and gently bent pair of axes, and the roads along them.

The axes are (u, v) in metres. A street is the set of points near u = constant or v = constant, so
that its surface, kerbs, pavements and markings are bands of one distance.
"""

from dataclasses import dataclass

import numpy as np

from mfnet.training.synthetic.rendering.canvas import IMPERVIOUS, LOW_VEGETATION, Canvas
from mfnet.training.synthetic.rendering.noise import Field
from mfnet.training.synthetic.rendering.palette import brighten

PAVEMENT_M = 2.0


@dataclass(frozen=True)
class Street:
    """One line of the grid: where it lies on its axis and half of its carriageway's width."""

    at: float
    half_m: float

    @property
    def edge_m(self) -> float:
        """From the middle to the outer edge of the pavement."""
        return self.half_m + PAVEMENT_M


@dataclass(frozen=True)
class StreetGrid:
    """Streets across u and across v, and the bend between the ground and those axes."""

    angle: float
    bend_m: tuple[float, float]
    wave: tuple[float, float]  # radians a metre
    phase: tuple[float, float]
    across_u: tuple[Street, ...]
    across_v: tuple[Street, ...]

    def to_axes(self, row_m: Field, col_m: Field) -> tuple[Field, Field]:
        """Ground to (u, v)."""
        c, s = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        straight_u, straight_v = col_m * c + row_m * s, row_m * c - col_m * s
        return (
            straight_u + np.float32(self.bend_m[0]) * self._wave(0, straight_v),
            straight_v + np.float32(self.bend_m[1]) * self._wave(1, straight_u),
        )

    def to_ground(self, u: float, v: float) -> tuple[float, float]:
        """(u, v) to (row, col) in metres, by iterating on the bend."""
        straight_u, straight_v = u, v
        for _ in range(12):
            straight_u, straight_v = (
                u - self.bend_m[0] * float(self._wave(0, straight_v)),
                v - self.bend_m[1] * float(self._wave(1, straight_u)),
            )
        c, s = np.cos(self.angle), np.sin(self.angle)
        return float(straight_u * s + straight_v * c), float(straight_u * c - straight_v * s)

    def heading(self, u: float, v: float) -> float:
        """Direction of growing v at this place, as the angle of a `Patch`."""
        row_0, col_0 = self.to_ground(u, v - 0.5)
        row_1, col_1 = self.to_ground(u, v + 0.5)
        return float(np.arctan2(row_1 - row_0, col_1 - col_0))

    def _wave(self, axis: int, at: Field | float) -> Field:
        return np.sin(np.float32(self.wave[axis]) * at + np.float32(self.phase[axis]))


def draw_grid(rng: np.random.Generator, size_m: float) -> StreetGrid:
    """A grid at random that reaches over a square of this size, whatever its turn."""
    reach = max(size_m * 1.5, 110.0)  # at least one street, however small the town
    return StreetGrid(
        angle=rng.uniform(0, np.pi / 2),
        bend_m=(rng.uniform(0, 5), rng.uniform(0, 3)),
        wave=(2 * np.pi / rng.uniform(110, 220), 2 * np.pi / rng.uniform(110, 220)),
        phase=(rng.uniform(0, 6), rng.uniform(0, 6)),
        across_u=_lines(rng, reach, 38, 62),
        across_v=_lines(rng, reach, 55, 100),
    )


def draw_streets(canvas: Canvas, grid: StreetGrid, rng: np.random.Generator) -> None:
    """Roads, kerbs, pavements and markings over the whole canvas."""
    u, v = grid.to_axes(canvas.row_m, canvas.col_m)
    from_u, near_u = _distance(u, grid.across_u)
    from_v, near_v = _distance(v, grid.across_v)
    outside_u, outside_v = from_u - near_u, from_v - near_v  # metres beyond the carriageway
    outside = np.minimum(outside_u, outside_v)
    _pave(canvas, rng, outside)
    _wear(canvas, rng, outside, from_u, from_v)
    _mark(canvas, rng, from_u, near_u, v, crossing=outside_v)
    _mark(canvas, rng, from_v, near_v, u, crossing=outside_u)


def _lines(
    rng: np.random.Generator, reach: float, narrowest: float, widest: float
) -> tuple[Street, ...]:
    lines, at = [], -reach + rng.uniform(0, widest)
    while at < reach:
        lines.append(Street(at, float(rng.choice((2.6, 3.2, 3.8, 4.6)))))
        at += rng.uniform(narrowest, widest)
    return tuple(lines)


def _distance(axis: Field, streets: tuple[Street, ...]) -> tuple[Field, Field]:
    """Metres to the middle of the nearest street, and half of that street's width."""
    middles = np.asarray([s.at for s in streets], np.float32)
    halves = np.asarray([s.half_m for s in streets], np.float32)
    nearest = np.searchsorted((middles[1:] + middles[:-1]) / 2, axis)
    return np.abs(axis - middles[nearest]), halves[nearest]


def _pave(canvas: Canvas, rng: np.random.Generator, outside: Field) -> None:
    setting = canvas.setting
    speckle = np.float32(0.06) * canvas.fine + np.float32(0.05) * canvas.middle
    road, pavement = outside < 0, (outside >= 0) & (outside < PAVEMENT_M)
    kerb = np.abs(outside) < np.float32(0.1)
    slabs = 1 + np.float32(0.03) * np.sign(np.sin(outside * np.float32(2 * np.pi / 0.9)))
    for mask, color, tone in (
        (road, setting.street, 1 + speckle),
        (pavement, setting.paving, slabs + speckle),
        (kerb, brighten(setting.paving, 1.15), np.ones_like(outside)),
    ):
        canvas.color[mask] = np.asarray(color, np.float32) * tone[mask][:, None]
    canvas.truth[road | pavement] = IMPERVIOUS
    if rng.random() < 0.45:  # a green strip between the carriageway and the walkers
        verge = (outside > np.float32(0.15)) & (outside < np.float32(0.8))
        canvas.color[verge] = (
            np.asarray(setting.grass, np.float32)
            * (1 + np.float32(0.2) * canvas.fine[verge])[:, None]
        )
        canvas.truth[verge] = LOW_VEGETATION


def _wear(
    canvas: Canvas, rng: np.random.Generator, outside: Field, from_u: Field, from_v: Field
) -> None:
    """Wheel tracks, repaired patches and cracks."""
    road = outside < np.float32(-0.1)
    for distance in (from_u, from_v):
        tracks = np.exp(-(((distance - np.float32(1.7)) / np.float32(0.45)) ** 2))
        canvas.color[road] *= (1 - np.float32(0.07) * tracks[road])[:, None]
    patched = road & (canvas.broad > np.float32(rng.uniform(0.35, 0.8)))
    canvas.color[patched] *= np.float32(rng.uniform(0.72, 1.2))
    cracks = road & (np.abs(canvas.middle) < np.float32(0.012))
    canvas.color[cracks] *= np.float32(0.75)


def _mark(
    canvas: Canvas,
    rng: np.random.Generator,
    distance: Field,
    half_m: Field,
    along: Field,
    crossing: Field,
) -> None:
    """Dashes in the middle, an edge line, stop lines and zebra crossings of one set of streets."""
    free = crossing > 1.5
    dashes = (distance < 0.09) & (along % np.float32(6) < 3) & free & (half_m > 3)
    worn = canvas.fine > np.float32(-0.7)
    canvas.color[dashes & worn] = (0.78, 0.78, 0.76)
    if rng.random() < 0.5:
        edge = (np.abs(distance - half_m + np.float32(0.35)) < 0.08) & free
        canvas.color[edge & worn] = (0.72, 0.72, 0.7)
    if rng.random() < 0.6:
        zebra = (crossing > 2.2) & (crossing < 5.2) & (distance < half_m - np.float32(0.3))
        zebra &= distance % np.float32(1.0) < 0.5
        canvas.color[zebra & worn] = (0.8, 0.8, 0.78)
