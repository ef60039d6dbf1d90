"""Tiles and blocks that show the same ground: each two for different ends are told, once."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window
from standins.folder import CRS as UTM
from standins.folder import GSD_M, manifest, place, write_tile
from standins.scenes import write

from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.training.config.data import FolderRecipe
from mfnet.training.datasets.sources.open_data import open_data
from mfnet.training.datasets.splitting.leakage import Ground, overlaps
from mfnet.training.datasets.splitting.spatial_blocks import End

WORDS = " overlap: what is learned from one is known of the other, and accuracy looks too good"
WHOLE = Window(0, 0, 80, 64)


def ground(
    tile: int, end: End, east: float = 0, window: Window = WHOLE, *, epsg: int = 25832
) -> Ground:
    """A tile of 16 m by 12.8 m."""
    transform = Affine(GSD_M, 0, 512_000 + east, 0, -GSD_M, 5_403_000)
    return Ground(tile, f"t{tile}", end, Grid(64, 80, transform, CRS.from_epsg(epsg)), window)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (ground(2, "test"), True),  # the same extent
        (ground(2, "test", window=Window(8, 8, 32, 32)), True),  # inside
        (ground(2, "test", 15.8), True),  # a column
        (ground(2, "test", 16.0), False),  # side by side
        (ground(2, "test", 16.0 - 1e-7), False),  # the same, as rounding leaves it
        (ground(2, "train"), False),  # for the same
        (ground(1, "test"), False),  # parts of one tile lie apart
        (ground(2, "test", epsg=25833), False),
    ],
)
def test_tiles_of_the_same_ground_are_told(other: Ground, told: bool) -> None:
    expected = [f"tiles t1 (train) and t2 (test){WORDS}"] if told else []
    assert overlaps([ground(1, "train"), other]) == expected


def test_a_rotated_tile_is_where_its_corners_are() -> None:
    east, north = 512_016.0, 5_403_000.0
    diagonal = Affine.translation(east, north) * Affine.rotation(-45) * Affine.scale(GSD_M, -GSD_M)
    turned = Grid(64, 80, diagonal, CRS.from_epsg(25832))
    one = ground(1, "train", -3.0, Window(0, 0, 80, 8))
    assert overlaps([one, Ground(2, "t2", "test", turned, WHOLE)]) == []
    whole = ground(1, "train")
    assert len(overlaps([whole, Ground(2, "t2", "test", turned, WHOLE)])) == 1


def test_two_tiles_are_told_once_with_all_that_their_blocks_are_for() -> None:
    halves = Window(0, 0, 40, 64), Window(40, 0, 40, 64)
    parts = [
        ground(1, "train", window=halves[0]),
        ground(1, "test", window=halves[1]),
        ground(2, "validation", window=halves[0]),
        ground(2, "test", window=halves[1]),
        ground(3, "train", 8, window=halves[0]),
    ]
    assert overlaps(parts) == [
        f"tiles t1 (train) and t2 (validation){WORDS}",
        f"tiles t1 (test) and t3 (train){WORDS}",
        f"tiles t2 (test) and t3 (train){WORDS}",
    ]


def test_of_many_pairs_one_line_is_told() -> None:
    tiles = [ground(number, "train") for number in range(4)] + [ground(9, "test")]
    (told,) = overlaps([*tiles, ground(10, "train", 8)])
    assert told == (
        "tiles t0 (train) and t9 (test), t1 (train) and t9 (test), t2 (train) and t9 (test), and "
        f"2 more pairs{WORDS}"
    )


def test_folders_are_compared_with_each_other(tmp_path: Path) -> None:
    """The same files, drawn for different ends in two folders."""
    names = ("0", "1", "2")
    ends = {"a": ("train", "validation", "test"), "b": ("test", "validation", "train")}
    for folder, pinned in ends.items():
        text = manifest(names)
        for name, end in zip(names, pinned, strict=True):
            write_tile(tmp_path / folder, name)
            text = text.replace(f'name = "{name}"', f'name = "{name}"\nsplit = "{end}"')
        (tmp_path / folder / "manifest.toml").write_text(text)
    data = FolderRecipe(kind="folder", folder=tmp_path / "a", also=(tmp_path / "b",))
    assert [r for r in open_data(data, 32).remarks if "overlap" in r] == [
        f"tiles 0 (train) and 0 (test){WORDS}",
        f"tiles 2 (test) and 2 (train){WORDS}",
    ]


def test_blocks_of_tiles_that_overlap_are_told(tmp_path: Path) -> None:
    for name in ("0", "1"):
        tile = write_tile(tmp_path, name, 320, 400)
        where = {"crs": UTM, "transform": place("0", east=20 * GSD_M * int(name))}
        truth = tile.truth
        write(tmp_path / f"{name}_ortho.tif", np.stack([truth + 1] * 3), **where)
        write(tmp_path / f"{name}_height.tif", truth[None].astype(np.float32), **where)
        write(tmp_path / f"{name}_labels.tif", truth[None], **where)
    split = '[split]\nby = "block"\nblock_px = 80\nmargin_px = 16\nvalidation = 0.3\ntest = 0.3\n'
    (tmp_path / "manifest.toml").write_text(manifest(("0", "1"), tail=split))
    remarks = open_data(FolderRecipe(kind="folder", folder=tmp_path), 32).remarks
    told = [remark for remark in remarks if "overlap" in remark]
    assert len(told) == 1
    assert told[0].startswith("tiles 0 (")
    assert " and 1 (" in told[0]
