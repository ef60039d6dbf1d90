"""The sun's shadows, the air and the camera; and what a height survey makes of the town."""

import numpy as np

from mfnet.training.synthetic.rendering.canvas import Canvas
from mfnet.training.synthetic.rendering.noise import Field, layered_noise, smooth_noise, soften
from mfnet.training.synthetic.rendering.palette import Setting

TALLEST_M = 26.0
"""Shadows are followed as far as an object of this height throws them."""


def cast_shadows(
    height: Field, setting: Setting, gsd_m: float, tallest_m: float = TALLEST_M
) -> Field:
    """(H, W) share of sunlight that is blocked, 0 to 1, with a soft edge.

    A pixel lies in shadow if, k pixels towards the sun, something stands higher than the pixel by
    more than the ray has climbed. The maximum over k is found by doubling: what shades k steps,
    shifted by k steps, shades 2k.
    """
    sun_row, sun_col, sun_up = setting.to_sun
    flat = np.hypot(sun_row, sun_col)
    climb = np.float32(gsd_m * sun_up / flat)  # metres a ray gains over one pixel
    reach = int(np.ceil(tallest_m / climb))
    rays = height.copy()
    step = 1
    while step <= reach:
        down, right = round(step * sun_row / flat), round(step * sun_col / flat)
        rays = np.maximum(rays, moved(rays, down, right) - climb * np.float32(step))
        step *= 2
    return soften((rays > height + np.float32(0.15)).astype(np.float32), 0.7)


def photograph(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """(3, H, W) uint8: the canvas in sun and shadow, through haze, lens and sensor."""
    setting = canvas.setting
    shadow = cast_shadows(canvas.height, setting, canvas.gsd_m)[..., None]
    shade_tint = np.asarray((0.9, 1.0, 1.18), np.float32) * np.float32(setting.shade)
    light = 1 - shadow * (1 - shade_tint)
    picture = canvas.color * light
    picture *= 1 + np.float32(0.04) * canvas.broad[..., None]
    sky = np.asarray((0.62, 0.68, 0.76), np.float32)
    picture = picture * np.float32(1 - setting.haze) + sky * np.float32(setting.haze)
    picture *= np.asarray(setting.white_balance, np.float32) * np.float32(setting.exposure)
    picture = soften(np.ascontiguousarray(picture.transpose(2, 0, 1)), setting.blur_px)
    picture = np.clip(picture, 0, 1) ** np.float32(1 / 1.35)
    picture += rng.normal(0, setting.grain, picture.shape).astype(np.float32)
    digital: np.ndarray = (np.clip(picture, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
    return digital


def survey(canvas: Canvas, rng: np.random.Generator) -> Field:
    """(H, W) metres above ground as image matching or laser scanning finds them, with NaN gaps.

    Edges are soft, flat ground is uneven by centimetres to decimetres, the raster is a pixel or
    so off, and patches are missing, mostly along the steep edges.
    """
    size = canvas.size_px
    heights = soften(canvas.height, rng.uniform(0.3, 1.3))
    down, right = rng.integers(-1, 2, 2)
    heights = moved(heights, int(down), int(right))
    heights = heights + rng.normal(0, rng.uniform(0.02, 0.1), heights.shape).astype(np.float32)
    heights += np.float32(rng.uniform(0.02, 0.12)) * layered_noise(rng, size, size, 40, 3)
    heights += np.float32(rng.uniform(0.0, 0.25)) * smooth_noise(rng, size, size, 260)
    slope_down, slope_right = np.gradient(canvas.height)
    steep = soften(np.minimum(np.abs(slope_down) + np.abs(slope_right), 2).astype(np.float32), 2)
    doubt = layered_noise(rng, size, size, 24, 4) + np.float32(0.25) * steep
    gaps = doubt > np.quantile(doubt[::4, ::4], 1 - rng.uniform(0.002, 0.03))
    return np.where(gaps, np.float32(np.nan), heights)


def moved(field: Field, down: int, right: int) -> Field:
    """Each pixel's neighbour `down` rows and `right` columns further; the rim is repeated."""
    rows = np.clip(np.arange(field.shape[0]) + down, 0, field.shape[0] - 1)
    cols = np.clip(np.arange(field.shape[1]) + right, 0, field.shape[1] - 1)
    return field[rows][:, cols]
