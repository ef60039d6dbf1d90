"""DFC2019, track 1, as its owners name the files: views of places, split by place."""

from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window
from standins.scenes import write

from mfnet.model.errors import DataMissing
from mfnet.training.config.recipe import read_recipe
from mfnet.training.config.recipe_files import recipe_files
from mfnet.training.datasets.sources.open_data import class_scheme, open_data

SIDE = 64
NUMBERS = np.array([2, 5, 6, 9, 17, 65], np.uint8)


@pytest.fixture(scope="module")
def dfc2019(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two views of each of ten places, in the folders of the two archives."""
    folder = tmp_path_factory.mktemp("dfc2019")
    for number in range(20):
        rng = np.random.default_rng(number)
        name = f"{'JAX' if number < 10 else 'OMA'}_{number // 2:03d}_{number:03d}"
        rgb = rng.integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8)
        write(folder / "Track1-RGB" / f"{name}_RGB.tif", rgb)
        heights = np.full((1, SIDE, SIDE), number, np.float32)
        heights[0, 0, 0] = np.nan
        write(folder / "Track1-Truth" / f"{name}_AGL.tif", heights)
        which = np.kron(np.arange(64).reshape(8, 8) % 6, np.ones((8, 8), int))
        write(folder / "Track1-Truth" / f"{name}_CLS.tif", NUMBERS[which][None])
    return folder


def test_views_are_read_and_all_of_a_place_serve_one_end(dfc2019: Path) -> None:
    found = read_recipe(recipe_files()["dfc2019"], [f"data.folder={dfc2019}"])
    data = open_data(found.data, SIDE)
    assert len(data.train) == 16
    assert [a.tile.name for a in data.validation.areas] == ["view OMA_008_016", "view OMA_008_017"]
    assert [a.tile.name for a in data.test()] == ["view OMA_009_018", "view OMA_009_019"]
    sample = data.train.areas[3].tile.read(Window(0, 0, SIDE, SIDE))
    assert np.isnan(sample.rasters["ndsm"][0, 0, 0])
    assert np.nanmax(sample.rasters["ndsm"]) == 3
    which = np.kron(np.arange(64).reshape(8, 8) % 6, np.ones((8, 8), int))
    assert np.array_equal(sample.truth, np.where(which == 5, 255, which))
    assert class_scheme(found.data).names[2] == "building"
    assert "have the number 65, which stands for no class" in data.remarks[0]


def test_too_few_places_say_where_they_are_to_be_had(tmp_path: Path) -> None:
    found = read_recipe(recipe_files()["dfc2019"], [f"data.folder={tmp_path}"])
    with pytest.raises(DataMissing, match=r"views of 0 places; .*mfnet data fetch dfc2019"):
        open_data(found.data, SIDE)
