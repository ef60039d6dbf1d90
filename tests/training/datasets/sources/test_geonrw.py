"""GeoNRW as TorchGeo's reader describes it: JPEG 2000, elevation, places."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window
from standins.scenes import write

from mfnet.model.errors import DataMissing
from mfnet.training.config.recipe import read_recipe
from mfnet.training.config.recipe_files import recipe_files
from mfnet.training.datasets.sources.geonrw import TRAINING, VALIDATION
from mfnet.training.datasets.sources.open_data import class_scheme, open_data

CITIES = ("aachen", "bonn", "dueren", "neuss")
SIDE = 64


@pytest.fixture(scope="module")
def geonrw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("geonrw")
    for seed, city in enumerate(CITIES):
        rng = np.random.default_rng(seed)
        place = {"crs": "EPSG:25832", "transform": Affine(1, 0, 288_000, 0, -1, 5_623_000)}
        stem = folder / city / f"{288 + seed}_5622"
        stem.parent.mkdir()
        rgb = np.kron(rng.integers(0, 256, (3, 8, 8)), np.ones((8, 8), int)).astype(np.uint8)
        with rasterio.open(
            f"{stem}_rgb.jp2", "w", driver="JP2OpenJPEG", count=3, height=SIDE, width=SIDE,
            dtype="uint8", QUALITY="100", REVERSIBLE="YES", **place,
        ) as raster:  # fmt: skip
            raster.write(rgb)
        np.save(f"{stem}_rgb.npy", rgb)
        dem = np.linspace(150, 180, SIDE, dtype=np.float32) + np.zeros((SIDE, 1), np.float32)
        write(Path(f"{stem}_dem.tif"), dem[None], **place)
        seg = np.kron(np.arange(64).reshape(8, 8) % 11, np.ones((8, 8), int)).astype(np.uint8)
        write(Path(f"{stem}_seg.tif"), seg[None], **place)
    return folder


def test_patches_are_read_and_split_by_place(geonrw: Path) -> None:
    found = read_recipe(recipe_files()["geonrw"], [f"data.folder={geonrw}"])
    data = open_data(found.data, SIDE)
    names = [area.tile.name for area in data.train.areas]
    assert names == ["patch 288_5622 of aachen", "patch 289_5622 of bonn"]
    assert [area.tile.name for area in data.validation.areas] == ["patch 290_5622 of dueren"]
    assert [area.tile.name for area in data.test()] == ["patch 291_5622 of neuss"]
    sample = data.train.areas[0].tile.read(Window(0, 0, SIDE, SIDE))
    rgb = np.load(geonrw / "aachen/288_5622_rgb.npy")
    assert np.array_equal(sample.rasters["ortho"], rgb)
    assert sample.rasters["ndsm"].min() == 0
    assert sample.rasters["ndsm"].max() == pytest.approx(30)
    stored = np.kron(np.arange(64).reshape(8, 8) % 11, np.ones((8, 8), int))
    assert np.array_equal(sample.truth, np.where(stored == 0, 255, stored - 1))
    assert class_scheme(found.data).names[-1] == "buildings"


def test_every_tenth_place_is_for_validation() -> None:
    assert len(TRAINING) == 40
    assert VALIDATION == ("dueren", "heinsberg", "moenchengladbach", "wuppertal")


def test_a_folder_without_them_says_where_they_are_to_be_had(tmp_path: Path) -> None:
    found = read_recipe(recipe_files()["geonrw"], [f"data.folder={tmp_path}"])
    with pytest.raises(DataMissing, match=r"0 patches for training.*mfnet data fetch geonrw"):
        open_data(found.data, SIDE)
