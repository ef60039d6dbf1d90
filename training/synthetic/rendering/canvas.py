"""The sheet that a town is drawn on: colour, height above ground and class of every pixel."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfnet.model.classes import ISPRS
from mfnet.training.synthetic.rendering.noise import Field, layered_noise
from mfnet.training.synthetic.rendering.palette import RGB, Setting
from mfnet.training.synthetic.rendering.sizes import AS_DRAWN, Sizes

IMPERVIOUS, BUILDING, LOW_VEGETATION, TREE, CAR, CLUTTER = map(
    ISPRS.names.index,
    ("impervious_surface", "building", "low_vegetation", "tree", "car", "clutter"),
)


@dataclass(frozen=True)
class Patch:
    """The pixels around one object, in the object's own axes.

    Args:
        rows: Slice of the canvas.
        cols: Slice of the canvas.
        along: (h, w) metres from the object's centre along its length.
        across: (h, w) metres from the centre, a quarter turn clockwise from `along`.
        angle: Radians from the columns' direction towards the rows' direction.
    """

    rows: slice
    cols: slice
    along: Field
    across: Field
    angle: float

    @property
    def at(self) -> tuple[slice, slice]:
        """Index into an (H, W) array of the canvas."""
        return self.rows, self.cols


class Canvas:
    """Colour (H, W, 3) linear reflectance, height (H, W) metres, truth (H, W) class values."""

    def __init__(
        self,
        size_px: int,
        gsd_m: float,
        setting: Setting,
        rng: np.random.Generator,
        sizes: Sizes = AS_DRAWN,
    ) -> None:
        self.sizes = sizes
        self.size_px = size_px
        self.gsd_m = gsd_m
        self.size_m = size_px * gsd_m
        self.setting = setting
        self.color = np.zeros((size_px, size_px, 3), np.float32)
        self.height = np.zeros((size_px, size_px), np.float32)
        self.truth = np.full((size_px, size_px), LOW_VEGETATION, np.uint8)
        centres = (np.arange(size_px, dtype=np.float32) + 0.5) * np.float32(gsd_m)
        self.row_m, self.col_m = centres[:, None], centres[None, :]
        self.broad = self._noise(rng, 9.0)
        self.middle = self._noise(rng, 1.6)
        self.fine = self._noise(rng, 0.45)

    def patch(
        self, row_m: float, col_m: float, angle: float, length_m: float, width_m: float
    ) -> Patch | None:
        """The pixels around a rectangle of this size; None where it lies outside the canvas."""
        cos, sin = abs(np.cos(angle)), abs(np.sin(angle))
        half_rows = (length_m * sin + width_m * cos) / 2
        half_cols = (length_m * cos + width_m * sin) / 2
        rows, cols = self._span(row_m, half_rows), self._span(col_m, half_cols)
        if rows.start >= rows.stop or cols.start >= cols.stop:
            return None
        down = self.row_m[rows] - np.float32(row_m)
        right = self.col_m[:, cols] - np.float32(col_m)
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        return Patch(rows, cols, right * c + down * s, down * c - right * s, angle)

    def paint(
        self,
        patch: Patch,
        mask: NDArray[np.bool_],
        color: RGB | Field,
        truth: int | None = None,
        height: float | Field | None = None,
    ) -> None:
        """Covers the masked pixels of the patch; what is not given stays as it was."""
        tint = np.asarray(color, np.float32)
        self.color[patch.at][mask] = tint[mask] if tint.ndim == 3 else tint
        if truth is not None:
            self.truth[patch.at][mask] = truth
        if height is not None:
            metres = np.asarray(height, np.float32)
            self.height[patch.at][mask] = metres[mask] if metres.ndim else metres

    def textured(self, patch: Patch, color: RGB, grain: float) -> Field:
        """(h, w, 3): the colour, made uneven by the canvas's noise at three sizes."""
        uneven = self.broad[patch.at] + self.middle[patch.at] + self.fine[patch.at]
        tone = 1 + np.float32(grain) * uneven
        return np.asarray(color, np.float32) * tone[..., None]

    def truth_at(self, row_m: float, col_m: float) -> int:
        """Class of the pixel at this place; -1 outside the canvas."""
        row, col = int(row_m // self.gsd_m), int(col_m // self.gsd_m)
        if not (0 <= row < self.size_px and 0 <= col < self.size_px):
            return -1
        return int(self.truth[row, col])

    def _span(self, centre_m: float, half_m: float) -> slice:
        first = int(np.floor((centre_m - half_m) / self.gsd_m)) - 1
        last = int(np.ceil((centre_m + half_m) / self.gsd_m)) + 1
        return slice(min(max(first, 0), self.size_px), min(max(last, 0), self.size_px))

    def _noise(self, rng: np.random.Generator, coarsest_m: float) -> Field:
        return layered_noise(rng, self.size_px, self.size_px, coarsest_m / self.gsd_m, layers=3)


def lambert(setting: Setting, surface: Field, gsd_m: float, angle_steepness: float = 1.0) -> Field:
    """(h, w) brightness of a surface of heights in metres; 1 where it is level.

    Args:
        setting: Whose sun shines.
        surface: (h, w) metres, without the walls of the object: they would shade its rim.
        gsd_m: Size of a pixel.
        angle_steepness: Below 1 for surfaces that scatter light, such as crowns.
    """
    if min(surface.shape) < 2:
        return np.ones_like(surface)
    down, right = np.gradient(surface, np.float32(gsd_m))
    sun_row, sun_col, sun_up = setting.to_sun
    down, right = down * np.float32(angle_steepness), right * np.float32(angle_steepness)
    normal = np.sqrt(1 + down * down + right * right)
    lit = (np.float32(sun_up) - down * np.float32(sun_row) - right * np.float32(sun_col)) / normal
    shade = np.float32(setting.shade)
    brightness: Field = shade + (1 - shade) * np.maximum(lit, 0) / np.float32(sun_up)
    return np.minimum(brightness, np.float32(1.6))
