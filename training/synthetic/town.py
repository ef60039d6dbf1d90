"""Draws synthetic towns: an orthophoto, heights above ground, and the class of every pixel.

A town is laid out in metres and looks like one from above: bent streets with markings and
pavements, blocks of gardens, flats, works, car parks and parks, roofs of several shapes shaded by
the sun, shadows thrown by everything that stands, parked cars, trees in the season's colours.
Colours are ambiguous on purpose (roofs as grey as streets, roofs of grass, trees as dark as
shadows), so that the heights are worth having; the heights have noise, soft edges and gaps.

    town = draw_town(seed=7, size_px=1024)
    write_town(Path("town"), town)

The same seed gives the same town, byte for byte.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin

from mfnet.training.synthetic.layout.fill_blocks import draw_blocks, draw_street_life
from mfnet.training.synthetic.layout.streets import draw_grid, draw_streets
from mfnet.training.synthetic.objects.vegetation import draw_lawns
from mfnet.training.synthetic.rendering.canvas import Canvas
from mfnet.training.synthetic.rendering.light_and_survey import photograph, survey
from mfnet.training.synthetic.rendering.palette import draw_setting

NDSM_NODATA = -9999.0
_EASTING, _NORTHING = 512_000.0, 5_403_000.0


@dataclass(frozen=True)
class Town:
    """A drawn town.

    Args:
        seed: It was drawn from.
        gsd_m: Size of a pixel, metres.
        ortho: (3, H, W) uint8, red green blue.
        ndsm: (H, W) float32 metres above ground, NaN where the survey found nothing.
        truth: (H, W) uint8, values of `mfnet.model.classes.ISPRS`.
        infrared: The orthophoto has near infrared, red and green instead.
    """

    seed: int
    gsd_m: float
    ortho: NDArray[np.uint8]
    ndsm: NDArray[np.float32]
    truth: NDArray[np.uint8]
    infrared: bool = False


def draw_town(seed: int, size_px: int, gsd_m: float = 0.125) -> Town:
    """Draws the square town of a seed.

    Args:
        seed: Not negative; decides everything.
        size_px: Side of the rasters in pixels, at least 16.
        gsd_m: Size of a pixel in metres.

    Returns:
        The town; about a second of one core for 1024 × 1024 pixels.
    """
    rng = np.random.default_rng(seed)
    canvas = Canvas(size_px, gsd_m, draw_setting(rng), rng)
    grid = draw_grid(rng, canvas.size_m)
    draw_lawns(canvas)
    draw_streets(canvas, grid, rng)
    draw_blocks(canvas, grid, rng)
    draw_street_life(canvas, grid, rng)
    return Town(seed, gsd_m, photograph(canvas, rng), survey(canvas, rng), canvas.truth)


def write_town(folder: Path, town: Town) -> None:
    """Writes ortho.tif, ndsm.tif and truth.tif: tiled GeoTIFFs in EPSG:25832.

    Args:
        folder: Is made if it is missing.
        town: Its gaps in the heights become the nodata value -9999.
    """
    folder.mkdir(parents=True, exist_ok=True)
    heights = np.where(np.isnan(town.ndsm), np.float32(NDSM_NODATA), town.ndsm)
    _write(folder / "ortho.tif", town.ortho, town.gsd_m, photometric="rgb")
    _write(folder / "ndsm.tif", heights[None], town.gsd_m, nodata=NDSM_NODATA, predictor=3)
    _write(folder / "truth.tif", town.truth[None], town.gsd_m, nodata=255)


def _write(path: Path, bands: NDArray[np.generic], gsd_m: float, **options: object) -> None:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=bands.shape[0],
        height=bands.shape[1],
        width=bands.shape[2],
        dtype=bands.dtype.name,
        crs=CRS.from_epsg(25832),
        transform=from_origin(_EASTING, _NORTHING, gsd_m, gsd_m),
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="deflate",
        **options,
    ) as raster:
        raster.write(bands)
