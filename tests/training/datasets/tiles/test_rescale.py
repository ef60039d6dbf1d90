"""Samples come to the model's pixel size as the engine brings windows there."""

from pathlib import Path

import numpy as np
import pytest

from mfnet.model.classes import NODATA
from mfnet.training.config.data import FolderRecipe
from mfnet.training.datasets.sources.open_data import open_data
from mfnet.training.datasets.sources.synthetic_towns import TownPool
from mfnet.training.datasets.tiles.rescale import to_side
from mfnet.training.datasets.tiles.samples import Sample, of_rasters
from mfnet.training.synthetic.town import draw_town, write_town


def drawn(side: int) -> Sample:
    town = draw_town(3, side)
    return of_rasters(town.ortho, town.ndsm, town.truth)


def test_finer_pixels_are_averaged_and_have_a_class_where_they_agree() -> None:
    fine = drawn(64)
    half = to_side(fine, 32)
    four = fine.truth.reshape(32, 2, 32, 2).transpose(0, 2, 1, 3).reshape(32, 32, 4)
    agree = (four == four[..., :1]).all(-1)
    np.testing.assert_array_equal(half.truth, np.where(agree, four[..., 0], NODATA))
    assert (~agree).any()
    mean = fine.rasters["ortho"].reshape(3, 32, 2, 32, 2).mean((2, 4))
    assert half.rasters["ortho"].dtype == np.uint8
    assert np.abs(half.rasters["ortho"] - mean).max() <= 0.5
    heights = fine.rasters["ndsm"].reshape(1, 32, 2, 32, 2).mean((2, 4))
    np.testing.assert_allclose(half.rasters["ndsm"], heights, rtol=1e-5, atol=1e-5)


def test_coarser_pixels_are_interpolated_and_keep_their_class() -> None:
    coarse = drawn(32)
    wide = to_side(coarse, 128)
    assert wide.rasters["ortho"].shape == (3, 128, 128)
    np.testing.assert_array_equal(wide.truth[::4, ::4], coarse.truth)
    np.testing.assert_array_equal(wide.truth[3::4, 3::4], coarse.truth)


def test_a_gap_of_one_pixel_is_a_gap() -> None:
    holed = np.zeros((64, 64), bool)
    holed[9, 20] = True
    half = to_side(Sample(drawn(64).rasters, drawn(64).truth, no_ortho=holed), 32)
    assert half.no_ortho is not None
    assert np.argwhere(half.no_ortho).tolist() == [[4, 10]]


@pytest.mark.parametrize(("gsd_m", "side"), [(0.05, 128), (0.1, 64), (0.2, 32), (0.4, 16)])
def test_windows_of_all_tiles_show_as_much_ground(gsd_m: float, side: int) -> None:
    pool = TownPool([draw_town(1, 160, gsd_m)], augmentation="none", seen_at_m=0.2)
    (area,) = pool.areas
    assert area.side(32) == side
    sample = pool.sample(0, 32, seed=1)
    assert sample.rasters["ortho"].shape == (3, 32, 32)
    assert len(list(pool.tiles(32))) == (160 // side) ** 2


def test_in_a_tile_that_is_too_small_the_network_sees_finer_pixels() -> None:
    (area,) = TownPool([draw_town(1, 70, 0.05)], seen_at_m=0.2).areas
    assert not area.holds(32)
    assert area.side(32) == 64
    assert area.read(0, 0, 32).truth.shape == (32, 32)


def test_a_folders_tiles_are_seen_at_one_size(tmp_path: Path) -> None:
    for name, gsd_m in (("fine", 0.1), ("coarse", 0.2)):
        write_town(tmp_path / name, draw_town(4, 96, gsd_m))
    ends = {"fine": "train", "coarse": "train", "third": "validation", "fourth": "test"}
    tiles = "".join(
        f'[[tiles]]\nname = "{name}"\northo = "{folder}/ortho.tif"\n'
        f'height = "{folder}/ndsm.tif"\nlabels = "{folder}/truth.tif"\nsplit = "{end}"\n'
        for name, end in ends.items()
        for folder in (name if name == "fine" else "coarse",)
    )
    (tmp_path / "manifest.toml").write_text('classes = "isprs"\n' + tiles)
    recipe = FolderRecipe(kind="folder", folder=tmp_path, gsd_m=0.2)
    assert [area.side(32) for area in open_data(recipe, 32).train.areas] == [32, 32]
    seen = open_data(recipe, 32, seen_at_m=0.2).train.areas
    assert [area.side(32) for area in seen] == [64, 32]
