"""Draws places of any kind, for a model that has to map places which it has never seen.

A plain town (`town.py`) has one pixel size, one kind of suburb, one camera. Here everything that
can differ does: 6 to 60 cm a pixel, sheds to towers, old towns, fields and woods, seasons, sun,
haze, colour or near infrared, laser scans or image matching.

Vegetation from a metre upwards counts as tree, as laser surveys and foresters count it; a plain
town's hedges are low vegetation, as in ISPRS's benchmark.
"""

import numpy as np

from mfnet.model.classes import NODATA
from mfnet.training.synthetic.layout.fill_blocks import (
    draw_blocks,
    draw_shares,
    draw_street_life,
)
from mfnet.training.synthetic.layout.streets import draw_grid, draw_streets
from mfnet.training.synthetic.objects.vegetation import draw_lawns
from mfnet.training.synthetic.rendering.any_setting import draw_any_setting
from mfnet.training.synthetic.rendering.camera import greenness, take_picture
from mfnet.training.synthetic.rendering.canvas import LOW_VEGETATION, TREE, Canvas
from mfnet.training.synthetic.rendering.noise import Field
from mfnet.training.synthetic.rendering.sizes import draw_sizes
from mfnet.training.synthetic.rendering.survey_faults import hits_below_crowns, survey_badly
from mfnet.training.synthetic.town import Town

SHRUB_M = 1.0
"""Vegetation of this height and more is tree."""

FINEST_M, COARSEST_M = 0.08, 0.6
"""Sizes of a pixel."""


def draw_any_town(
    seed: int, size_px: int, gsd_m: float | None = None, *, infrared: bool | None = None
) -> Town:
    """Draws the square place of a seed.

    Args:
        seed: Not negative; decides what is not given.
        size_px: Side of the rasters in pixels, at least 16.
        gsd_m: Size of a pixel in metres.
        infrared: The orthophoto shows near infrared, red and green.

    Returns:
        The place; 255 in its truth where nobody could tell the class.
    """
    rng = np.random.default_rng((seed, 2))
    drawn_gsd_m = float(np.exp(rng.uniform(np.log(FINEST_M), np.log(COARSEST_M))))
    drawn_infrared = bool(rng.random() < 0.5)
    gsd_m = drawn_gsd_m if gsd_m is None else gsd_m
    infrared = drawn_infrared if infrared is None else infrared
    canvas = Canvas(size_px, gsd_m, draw_any_setting(rng), rng, draw_sizes(rng))
    grid = draw_grid(rng, canvas.size_m)
    draw_lawns(canvas)
    draw_streets(canvas, grid, rng)
    draw_blocks(canvas, grid, rng, draw_shares(rng))
    draw_street_life(canvas, grid, rng)
    shrubs = (canvas.truth == LOW_VEGETATION) & (canvas.height >= np.float32(SHRUB_M))
    canvas.truth[shrubs] = TREE
    ortho = take_picture(canvas, _alive(canvas), rng, infrared=infrared)
    through = hits_below_crowns(canvas.height, canvas.truth == TREE, gsd_m, rng)
    low = np.float32(rng.uniform(0, 0.5)) * canvas.height
    hit = np.where(through, low, canvas.height)
    truth = np.where(through & (hit < np.float32(SHRUB_M)), np.uint8(NODATA), canvas.truth)
    return Town(seed, gsd_m, ortho, survey_badly(hit, gsd_m, rng, real=False), truth, infrared)


def _alive(canvas: Canvas) -> Field:
    """Share of living leaves: what is green, and crowns and lawns of any colour but in winter."""
    plants = np.isin(canvas.truth, (TREE, LOW_VEGETATION))
    least = np.float32(0.25 if canvas.setting.season == "winter" else 0.6)
    green = greenness(canvas.color)
    return np.where(plants, np.maximum(green, least), green * np.float32(0.15)).astype(np.float32)
