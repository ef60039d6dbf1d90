"""What a map rests on, pixel by pixel, against masks that are known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
import shapely

from mfnet.model.raster.pairs.area_of_interest import AreaOfInterest
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.pairs.quality import QUALITY, UNSURE_PERCENT, write_quality

Make = Callable[..., Path]
SIDE = 600  # more than a block of rows


def test_each_pixel_has_its_reason(photo: Make, make_tiff: Make, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    heights = (20 * random.random((SIDE, SIDE)) ** 3).astype("float32")
    no_height = random.random((SIDE, SIDE)) < 0.1
    heights[no_height] = -9999
    ndsm = make_tiff("ndsm.tif", heights, nodata=-9999)
    percent = random.integers(0, 100, (SIDE, SIDE)).astype("uint8")
    confidence = make_tiff("confidence.tif", percent, nodata=255)
    ortho = photo(side=SIDE, nodata=0)
    with rasterio.open(ortho, "r+") as raster:
        values = raster.read()
        values[:, 100:120, 200:] = 0
        raster.write(values)
    no_ortho = (values == 0).all(axis=0)

    out = tmp_path / "quality.tif"
    with RasterPair.open(ortho, ndsm) as pair:
        wanted = AreaOfInterest(shapely.box(50, 0, SIDE, SIDE - 30), pair.grid, [])
        found = write_quality(pair, out, confidence=confidence, wanted=wanted)
        plain = write_quality(pair, tmp_path / "plain.tif")
    expected = np.where(percent < UNSURE_PERCENT, 1, 0)
    expected[no_height] = 2
    expected[no_ortho] = 3
    expected[:, :50] = 4
    expected[SIDE - 30 :] = 4
    with rasterio.open(out) as raster:
        assert np.array_equal(raster.read(1), expected)
        assert raster.colormap(1)[2][:3] == QUALITY.classes[2].rgb
    for value, name in enumerate(QUALITY.names):
        assert found[name]["pixels"] == (expected == value).sum() > 0
        assert found[name]["area_m2"] == found[name]["pixels"] / 4
    assert plain["unsure"]["pixels"] == plain["outside"]["pixels"] == 0
    assert plain["colour_and_height"]["pixels"] == (~no_height & ~no_ortho).sum()
