"""Settings far beyond one town's: any roof, any season's green, any sun, any camera."""

import colorsys
from dataclasses import replace

import numpy as np

from mfnet.training.synthetic.rendering.palette import RGB, Setting, draw_setting, vary


def draw_any_setting(rng: np.random.Generator) -> Setting:
    """A setting of a place that nobody has told us anything about."""
    setting = draw_setting(rng)
    return replace(
        setting,
        sun_azimuth=rng.uniform(0, 2 * np.pi),
        sun_elevation=np.radians(rng.uniform(22, 75)),
        grass=_any_green(rng, setting.grass),
        leaves=tuple(_any_green(rng, leaf) for leaf in setting.leaves),
        street=_any_grey(rng),
        paving=_any_grey(rng),
        tiles=tuple(_any_roof(rng) for _ in range(rng.integers(2, 7))),
        shade=rng.uniform(0.12, 0.6),
        haze=rng.uniform(0.0, 0.25),
        exposure=float(np.exp(rng.normal(0.0, 0.25))),
        white_balance=vary(rng, (1.0, 1.0, 1.0), 0.12),
        blur_px=rng.uniform(0.2, 1.3),
        grain=rng.uniform(0.003, 0.03),
    )


def _any_green(rng: np.random.Generator, color: RGB) -> RGB:
    """The season's colour, or another plant's: yellow and grey greens, reds, nearly black ones."""
    if rng.random() < 0.5:
        return vary(rng, color, 0.06)
    hue = rng.normal(0.25, 0.06) if rng.random() < 0.9 else rng.uniform(-0.08, 0.12)
    value = float(np.exp(rng.uniform(np.log(0.06), np.log(0.5))))
    return _rgb(hue, rng.uniform(0.12, 0.65), value)


def _any_grey(rng: np.random.Generator) -> RGB:
    """Asphalt, concrete, sand, red and yellow paving."""
    return _rgb(rng.normal(0.08, 0.05), rng.uniform(0, 0.25), rng.uniform(0.12, 0.75))


def _any_roof(rng: np.random.Generator) -> RGB:
    """Clay, slate, metal, paint of any hue."""
    kind = rng.random()
    if kind < 0.4:
        return _rgb(rng.normal(0.045, 0.02), rng.uniform(0.25, 0.75), rng.uniform(0.25, 0.8))
    if kind < 0.8:
        return _rgb(rng.uniform(0, 1), rng.uniform(0, 0.15), rng.uniform(0.1, 0.9))
    return _rgb(rng.uniform(0, 1), rng.uniform(0.1, 0.6), rng.uniform(0.15, 0.75))


def _rgb(hue: float, saturation: float, value: float) -> RGB:
    return colorsys.hsv_to_rgb(hue % 1.0, float(np.clip(saturation, 0, 1)), value)
