"""Cameras of all kinds: colour or false colour with near infrared, casts, JPEG blocks."""

import warnings

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from mfnet.training.synthetic.rendering.canvas import Canvas
from mfnet.training.synthetic.rendering.light_and_survey import cast_shadows
from mfnet.training.synthetic.rendering.noise import Field, soften

_SKY = np.asarray((0.62, 0.68, 0.76), np.float32)


def take_picture(
    canvas: Canvas, alive: Field, rng: np.random.Generator, *, infrared: bool
) -> NDArray[np.uint8]:
    """(3, H, W) red, green, blue; or near infrared, red, green.

    Args:
        canvas: What stands there.
        alive: (H, W) share of living leaves, 0 to 1; they reflect near infrared.
        rng: Decides the leaves' brightness and the camera's faults.
        infrared: False colour.
    """
    setting = canvas.setting
    tallest_m = float(np.percentile(canvas.height[::4, ::4], 99.9)) + 2
    shadow = cast_shadows(canvas.height, setting, canvas.gsd_m, tallest_m)[..., None]
    tint = np.asarray((0.9, 1.0, 1.18), np.float32) * np.float32(setting.shade)
    color, sky = canvas.color, _SKY
    if infrared:
        color = _false_color(color, alive, rng)
        tint, sky = tint[[0, 0, 1]] * np.float32(0.92), sky[[0, 0, 1]] * np.float32(0.8)
    picture = color * (1 - shadow * (1 - tint))
    picture *= 1 + np.float32(rng.uniform(0, 0.1)) * canvas.broad[..., None]
    picture = picture * np.float32(1 - setting.haze) + sky * np.float32(setting.haze)
    picture *= np.asarray(setting.white_balance, np.float32) * np.float32(setting.exposure)
    picture = soften(np.ascontiguousarray(picture.transpose(2, 0, 1)), setting.blur_px)
    grey = picture.mean(axis=0, keepdims=True)
    picture = grey + np.float32(rng.uniform(0.6, 1.35)) * (picture - grey)
    picture = np.clip(picture, 0, 1) ** np.float32(1 / rng.uniform(1.0, 1.8))
    picture += rng.normal(0, setting.grain, picture.shape).astype(np.float32)
    digital = (np.clip(picture, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
    return _as_jpeg(digital, int(rng.integers(35, 95))) if rng.random() < 0.5 else digital


def greenness(color: Field) -> Field:
    """(H, W) share of living green in reflectances (H, W, 3), by their excess green."""
    red, green, blue = np.moveaxis(color, -1, 0)
    excess = (2 * green - red - blue) / np.maximum(red + green + blue, np.float32(0.03))
    share: Field = np.clip(excess / np.float32(0.3), 0, 1)
    return share


def _false_color(color: Field, alive: Field, rng: np.random.Generator) -> Field:
    """Near infrared, red, green. Stone and soil are about as bright as in red."""
    grey = color.mean(axis=-1)
    stone = np.maximum(color[..., 0], grey) * np.float32(rng.uniform(0.85, 1.2))
    # Leaves: several times their green, and the brighter the lighter they are.
    leaf = np.float32(rng.uniform(0.2, 0.45)) + color[..., 1] * np.float32(rng.uniform(0.6, 1.6))
    near = stone + (np.maximum(leaf, stone) - stone) * alive
    return np.stack([near, color[..., 0], color[..., 1]], axis=-1).astype(np.float32)


def _as_jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """The picture after a lossy round trip."""
    bands, rows, columns = picture.shape
    profile = {"driver": "JPEG", "count": bands, "height": rows, "width": columns, "dtype": "uint8"}
    with MemoryFile() as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(**profile, quality=quality) as raster:
            raster.write(picture)
        with memory.open() as raster:
            lossy: NDArray[np.uint8] = raster.read()
    return lossy
