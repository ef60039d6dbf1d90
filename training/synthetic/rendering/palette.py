"""What is the same all over one town: the season, the sun, the palette, the camera."""

from dataclasses import dataclass

import numpy as np

RGB = tuple[float, float, float]

SEASONS = ("spring", "summer", "late_summer", "autumn", "winter")

_GRASS: dict[str, list[RGB]] = {
    "spring": [(0.25, 0.40, 0.13), (0.30, 0.44, 0.16)],
    "summer": [(0.22, 0.33, 0.12), (0.28, 0.37, 0.16)],
    "late_summer": [(0.42, 0.41, 0.22), (0.36, 0.39, 0.19), (0.50, 0.46, 0.29)],
    "autumn": [(0.30, 0.35, 0.16), (0.36, 0.37, 0.19)],
    "winter": [(0.31, 0.33, 0.20), (0.37, 0.36, 0.25)],
}

_LEAVES: dict[str, list[RGB]] = {
    "spring": [(0.24, 0.38, 0.10), (0.30, 0.42, 0.12), (0.17, 0.28, 0.09), (0.55, 0.42, 0.45)],
    "summer": [(0.13, 0.24, 0.07), (0.18, 0.28, 0.09), (0.10, 0.19, 0.07), (0.22, 0.30, 0.12)],
    "late_summer": [(0.16, 0.23, 0.08), (0.23, 0.27, 0.11), (0.12, 0.19, 0.07)],
    "autumn": [(0.48, 0.33, 0.09), (0.44, 0.22, 0.08), (0.28, 0.29, 0.10), (0.52, 0.42, 0.13)],
    "winter": [(0.30, 0.26, 0.21), (0.26, 0.22, 0.17), (0.33, 0.29, 0.24)],
}

_STREETS: list[RGB] = [
    (0.30, 0.30, 0.31),
    (0.38, 0.37, 0.36),
    (0.24, 0.25, 0.27),
    (0.43, 0.41, 0.39),
]
_PAVING: list[RGB] = [
    (0.52, 0.50, 0.47),
    (0.46, 0.45, 0.45),
    (0.55, 0.47, 0.41),
    (0.60, 0.58, 0.54),
]
_TILES: list[RGB] = [
    (0.55, 0.24, 0.16),
    (0.62, 0.32, 0.21),
    (0.43, 0.21, 0.15),
    (0.36, 0.25, 0.20),
    (0.30, 0.30, 0.31),
    (0.22, 0.22, 0.24),
    (0.40, 0.38, 0.37),
    (0.50, 0.38, 0.28),
]


@dataclass(frozen=True)
class Setting:
    """Season, sun, palette and camera of one town.

    Colours are linear reflectances, red green blue, 0 to 1. Angles are radians: the azimuth
    clockwise from north, which is up; the elevation above the horizon.
    """

    season: str
    sun_azimuth: float
    sun_elevation: float
    grass: RGB
    leaves: tuple[RGB, ...]
    street: RGB
    paving: RGB
    tiles: tuple[RGB, ...]
    shade: float  # light that is left in a cast shadow, 0 to 1
    haze: float  # share of the sky's own light in the picture
    exposure: float
    white_balance: RGB
    blur_px: float
    grain: float  # standard deviation of the sensor's noise, share of white

    @property
    def to_sun(self) -> tuple[float, float, float]:
        """Unit vector towards the sun: down the rows, along the columns, upwards."""
        flat = np.cos(self.sun_elevation)
        return (
            float(-np.cos(self.sun_azimuth) * flat),
            float(np.sin(self.sun_azimuth) * flat),
            float(np.sin(self.sun_elevation)),
        )


def draw_setting(rng: np.random.Generator) -> Setting:
    """A setting at random."""
    season = SEASONS[rng.choice(len(SEASONS), p=(0.2, 0.3, 0.2, 0.18, 0.12))]
    tiles = rng.choice(len(_TILES), size=rng.integers(2, 6), replace=False)
    return Setting(
        season=season,
        sun_azimuth=np.radians(rng.uniform(95, 265)),
        sun_elevation=np.radians(rng.uniform(28, 62)),
        grass=vary(rng, _pick(rng, _GRASS[season]), 0.04),
        leaves=tuple(vary(rng, c, 0.03) for c in _LEAVES[season]),
        street=vary(rng, _pick(rng, _STREETS), 0.03),
        paving=vary(rng, _pick(rng, _PAVING), 0.03),
        tiles=tuple(_TILES[i] for i in tiles),
        shade=rng.uniform(0.22, 0.5),
        haze=rng.uniform(0.0, 0.12),
        exposure=rng.uniform(0.85, 1.25),
        white_balance=vary(rng, (1.0, 1.0, 1.0), 0.05),
        blur_px=rng.uniform(0.2, 0.75),
        grain=rng.uniform(0.004, 0.02),
    )


def vary(rng: np.random.Generator, color: RGB, spread: float) -> RGB:
    """The colour, a little brighter or darker and a little off its hue."""
    tone = rng.normal(0, spread)
    red, green, blue = (
        float(np.clip(c + tone + rng.normal(0, spread / 3), 0.02, 1.2)) for c in color
    )
    return red, green, blue


def brighten(color: RGB, factor: float, added: float = 0.0) -> RGB:
    """The colour times a factor, and a little white; at most 0.95."""
    red, green, blue = (min(c * factor + added, 0.95) for c in color)
    return red, green, blue


def _pick(rng: np.random.Generator, colors: list[RGB]) -> RGB:
    return colors[rng.integers(len(colors))]
