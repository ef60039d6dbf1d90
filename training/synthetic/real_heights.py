"""Colours drawn over real heights: roofs, courtyards, crowns and noise as lasers found them.

A folder of real heights has `ndsm.tif` (metres above ground) and `classes.tif` (ASPRS laser
classes) of the same grid, in square pixels of a projected CRS.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from mfnet.model.classes import NODATA
from mfnet.training.synthetic.rendering.any_setting import draw_any_setting
from mfnet.training.synthetic.rendering.camera import take_picture
from mfnet.training.synthetic.rendering.canvas import (
    BUILDING,
    CLUTTER,
    IMPERVIOUS,
    LOW_VEGETATION,
    TREE,
    Canvas,
    lambert,
)
from mfnet.training.synthetic.rendering.noise import Field, layered_noise, soften
from mfnet.training.synthetic.rendering.palette import RGB, vary
from mfnet.training.synthetic.rendering.survey_faults import survey_badly
from mfnet.training.synthetic.town import Town

UNCLASSIFIED, GROUND, LOW, MEDIUM, HIGH, ROOF, WATER, BRIDGE = 1, 2, 3, 4, 5, 6, 9, 17
"""ASPRS classes of laser points; 26 is used for bridges, too."""


@dataclass(frozen=True)
class RealHeights:
    """A laser survey's heights and classes.

    Args:
        name: Of its folder.
        gsd_m: Side of a pixel in metres.
        ndsm: (H, W) metres above ground, NaN where no point is near.
        classes: (H, W) laser classes, 0 for none.
    """

    name: str
    gsd_m: float
    ndsm: Field
    classes: NDArray[np.uint8]

    @classmethod
    def read(cls, folder: Path) -> "RealHeights":
        """The survey in a folder.

        Raises:
            RasterioIOError: A file is missing or unreadable.
        """
        with rasterio.open(folder / "ndsm.tif") as raster:
            ndsm, nodata, gsd_m = raster.read(1), raster.nodata, raster.res[0]
        with rasterio.open(folder / "classes.tif") as raster:
            classes = raster.read(1)
        ndsm = np.where(ndsm == nodata, np.float32(np.nan), ndsm).astype(np.float32)
        return cls(folder.name, gsd_m, ndsm, classes)


def draw_over(real: RealHeights, seed: int, size_px: int, *, infrared: bool | None = None) -> Town:
    """A piece of real heights, of random place, turn and pixel size, with drawn colours.

    Args:
        real: The heights.
        seed: Not negative; decides everything else.
        size_px: Side of the rasters in pixels.
        infrared: The orthophoto shows near infrared, red and green; at random if not given.
    """
    rng = np.random.default_rng((seed, 3))
    drawn_infrared = bool(rng.random() < 0.5)
    infrared = drawn_infrared if infrared is None else infrared
    gsd_m = real.gsd_m * float(np.exp(rng.uniform(np.log(0.4), np.log(1.8))))
    ndsm, classes = _piece(real, size_px, gsd_m, rng)
    canvas = Canvas(size_px, gsd_m, draw_any_setting(rng), rng)
    known = ~np.isnan(ndsm)
    canvas.height[:] = np.where(known, ndsm, 0)
    _color_ground(canvas, classes, rng)
    _color_roofs(canvas, classes == ROOF, rng)
    alive = (canvas.truth == LOW_VEGETATION).astype(np.float32)
    alive = np.maximum(alive, _color_crowns(canvas, np.isin(classes, (MEDIUM, HIGH)), rng))
    ortho = take_picture(canvas, alive * np.float32(rng.uniform(0.5, 1)), rng, infrared=infrared)
    heights = survey_badly(canvas.height, gsd_m, rng, real=True)
    heights = np.where(known, heights, np.float32(np.nan))
    return Town(seed, gsd_m, ortho, heights, canvas.truth, infrared)


def _piece(
    real: RealHeights, size_px: int, gsd_m: float, rng: np.random.Generator
) -> tuple[Field, NDArray[np.uint8]]:
    """Heights and classes at random points, by the nearest pixel; mirrored beyond the rim."""
    rows, columns = real.ndsm.shape
    row0, col0 = rng.uniform(0, rows), rng.uniform(0, columns)
    angle, flip = rng.uniform(0, 2 * np.pi), float(rng.choice((-1, 1)))
    offsets = (np.arange(size_px) - size_px / 2) * gsd_m / real.gsd_m
    down, right = offsets[:, None], flip * offsets[None, :]
    at_row = _mirrored(row0 + down * np.cos(angle) - right * np.sin(angle), rows)
    at_col = _mirrored(col0 + down * np.sin(angle) + right * np.cos(angle), columns)
    return real.ndsm[at_row, at_col], real.classes[at_row, at_col]


def _mirrored(at: NDArray[np.float64], length: int) -> NDArray[np.intp]:
    folded = np.floor(at).astype(np.intp) % (2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)


def _color_ground(canvas: Canvas, classes: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Lawns, soil and paving in patches; water and bridges; a tone for what has no class."""
    setting, size = canvas.setting, canvas.size_px
    plots = _plots(canvas, rng, rng.uniform(4, 25))
    moist = layered_noise(rng, size, size, 12 / canvas.gsd_m, 3)
    moist += np.float32(0.6) * _value_of(plots, rng)
    green = moist > np.float32(rng.normal(0, 0.35))
    soft = vary(rng, setting.grass, 0.03)
    hard = np.where(_value_of(plots, rng)[..., None] > 0, setting.street, setting.paving)
    tone = 1 + np.float32(0.12) * _value_of(plots, rng) + np.float32(0.1) * canvas.fine
    tone += np.float32(0.08) * canvas.middle
    color = np.where(green[..., None], np.asarray(soft, np.float32), hard.astype(np.float32))
    canvas.color[:] = color * tone[..., None]
    canvas.truth[:] = np.where(green, LOW_VEGETATION, IMPERVIOUS)
    canvas.truth[classes == LOW] = LOW_VEGETATION
    water = classes == WATER
    canvas.truth[water] = CLUTTER
    canvas.color[water] = vary(rng, (0.08, 0.12, 0.12), 0.04)
    # Cars, walls, boats: something stands there, and nobody says what.
    unknown = (classes == UNCLASSIFIED) & (canvas.height > 0.4)
    things = rng.uniform(0.05, 0.9) + np.float32(0.2) * _value_of(plots, rng)
    canvas.color[unknown] = np.clip(things, 0, 1)[unknown][:, None]
    canvas.truth[unknown | (classes == 0)] = NODATA
    canvas.truth[np.isin(classes, (BRIDGE, 26))] = IMPERVIOUS


def _color_roofs(canvas: Canvas, roofs: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """One colour a plot; sunlit and shaded sides by the heights, which are smoothed for it."""
    plots = _plots(canvas, rng, rng.uniform(5, 40))
    tiles = np.asarray([vary(rng, _pick(rng, canvas.setting.tiles), 0.05) for _ in range(64)])
    color = tiles.astype(np.float32)[plots % 64]
    surface = soften(canvas.height, min(0.5 / canvas.gsd_m, 3.0))
    light = np.clip(lambert(canvas.setting, surface, canvas.gsd_m, 0.7), 0.4, 1.5)
    tone = light * (1 + np.float32(0.06) * canvas.fine + np.float32(0.05) * canvas.broad)
    canvas.color[roofs] = (color * tone[..., None])[roofs]
    canvas.truth[roofs] = BUILDING


def _color_crowns(canvas: Canvas, crowns: NDArray[np.bool_], rng: np.random.Generator) -> Field:
    """Leaves where crowns are and in the gaps between their points; returns where, 0 to 1."""
    cover = soften(crowns.astype(np.float32), min(0.4 / canvas.gsd_m, 3.0))
    roofs = canvas.truth == BUILDING
    leafy = (cover > np.float32(rng.uniform(0.3, 0.5))) & (~roofs | crowns)
    shift = rng.integers(-1, 2, 2)
    leafy = np.roll(leafy, tuple(shift.tolist()), axis=(0, 1))
    trees = _plots(canvas, rng, rng.uniform(3, 8))
    leaves = np.asarray([vary(rng, _pick(rng, canvas.setting.leaves), 0.03) for _ in range(64)])
    color = leaves.astype(np.float32)[trees % 64]
    surface = soften(canvas.height, min(0.6 / canvas.gsd_m, 4.0))
    light = np.clip(lambert(canvas.setting, surface, canvas.gsd_m, 0.35), 0.3, 1.6)
    lumps = np.float32(0.3) * canvas.middle + np.float32(0.35) * canvas.fine
    canvas.color[leafy] = (color * (light * (1 + lumps))[..., None])[leafy]
    canvas.truth[crowns] = TREE
    share: Field = leafy.astype(np.float32)
    return share


def _plots(canvas: Canvas, rng: np.random.Generator, side_m: float) -> NDArray[np.intp]:
    """(H, W) numbers of plots: cells of a turned grid whose lines are a little crooked."""
    angle = rng.uniform(0, np.pi / 2)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    bend = np.float32(0.15 * side_m) * canvas.broad
    u = (canvas.col_m * c + canvas.row_m * s + bend) / np.float32(side_m)
    v = (canvas.row_m * c - canvas.col_m * s + bend) / np.float32(side_m * rng.uniform(0.4, 2.0))
    start = rng.uniform(0, 1000, 2)
    row, column = (np.floor(at).astype(np.int64) for at in (u + start[0], v + start[1]))
    plots: NDArray[np.intp] = ((row * 7919 + column) * 2654435761) % 65521
    return plots


def _value_of(plots: NDArray[np.intp], rng: np.random.Generator) -> Field:
    """(H, W) a value from -1 to 1 for each plot."""
    values: Field = np.take(rng.uniform(-1, 1, 251).astype(np.float32), plots % 251)
    return values


def _pick(rng: np.random.Generator, colors: tuple[RGB, ...]) -> RGB:
    return colors[rng.integers(len(colors))]
