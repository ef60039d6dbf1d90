"""Places of all kinds: the same from the same seed, and true where they say what stands there."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from mfnet.model.classes import NODATA
from mfnet.training.synthetic.any_town import COARSEST_M, FINEST_M, draw_any_town
from mfnet.training.synthetic.real_heights import RealHeights, draw_over
from mfnet.training.synthetic.rendering.canvas import BUILDING, IMPERVIOUS, LOW_VEGETATION, TREE
from mfnet.training.synthetic.town import Town


def _bytes(town: Town) -> bytes:
    return town.ortho.tobytes() + town.ndsm.tobytes() + town.truth.tobytes()


def _folder(folder: Path, classes: np.ndarray, ndsm: np.ndarray) -> RealHeights:
    folder.mkdir()
    profile = {
        "driver": "GTiff",
        "height": classes.shape[0],
        "width": classes.shape[1],
        "count": 1,
        "crs": "EPSG:25832",
        "transform": from_origin(0, 0, 0.25, 0.25),
    }
    with rasterio.open(folder / "classes.tif", "w", dtype="uint8", **profile) as raster:
        raster.write(classes.astype(np.uint8), 1)
    with rasterio.open(
        folder / "ndsm.tif", "w", dtype="float32", nodata=-9999, **profile
    ) as raster:
        raster.write(ndsm.astype(np.float32), 1)
    return RealHeights.read(folder)


@pytest.fixture
def quarter(tmp_path: Path) -> RealHeights:
    """A house of 8 m, a tree of 12 m, ground, and a corner without points."""
    classes, ndsm = np.full((200, 200), 2), np.zeros((200, 200))
    classes[20:100, 20:100], ndsm[20:100, 20:100] = 6, 8
    classes[120:180, 120:180], ndsm[120:180, 120:180] = 5, 12
    classes[150:, :50], ndsm[150:, :50] = 0, -9999
    return _folder(tmp_path / "quarter", classes, ndsm)


@pytest.mark.parametrize("seed", range(12))
def test_every_seed_gives_a_place(seed: int) -> None:
    place = draw_any_town(seed, 128)
    assert FINEST_M <= place.gsd_m <= COARSEST_M
    assert place.ortho.shape == (3, 128, 128)
    assert set(np.unique(place.truth).tolist()) <= {*range(6), NODATA}
    assert np.isfinite(place.ndsm).mean() > 0.9
    assert np.nanmax(place.ndsm) < 90


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert _bytes(draw_any_town(5, 96)) == _bytes(draw_any_town(5, 96))
    assert _bytes(draw_any_town(5, 96)) != _bytes(draw_any_town(6, 96))


def test_in_infrared_plants_are_brighter_than_in_red() -> None:
    plants, others = [], []
    for seed in range(30, 40):
        place = draw_any_town(seed, 160, 0.2, infrared=True)
        near, red = place.ortho[:2].astype(float)
        index = (near - red) / np.maximum(near + red, 1)
        plants.append(index[np.isin(place.truth, (TREE, LOW_VEGETATION))])
        others.append(index[np.isin(place.truth, (BUILDING, IMPERVIOUS))])
    assert np.median(np.concatenate(plants)) > np.median(np.concatenate(others)) + 0.05


def test_over_real_heights_classes_stay_with_their_heights(quarter: RealHeights) -> None:
    places = [draw_over(quarter, seed, 128) for seed in range(8)]
    heights = np.concatenate([place.ndsm.ravel() for place in places])
    truth = np.concatenate([place.truth.ravel() for place in places])
    assert {BUILDING, TREE, NODATA} < set(np.unique(truth).tolist())
    for value, metres in ((BUILDING, 8), (TREE, 12), (IMPERVIOUS, 0), (LOW_VEGETATION, 0)):
        assert abs(np.nanmedian(heights[truth == value]) - metres) < 0.6
    assert np.isnan(heights[truth == NODATA]).all()


def test_the_same_seed_colours_heights_alike(quarter: RealHeights) -> None:
    assert _bytes(draw_over(quarter, 4, 96)) == _bytes(draw_over(quarter, 4, 96))
