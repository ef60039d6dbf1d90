"""Blocks of a tile: what each is for, with few labels, of ground labelled twice, as tiles come."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from standins.folder import CRS, manifest, place, write_tile
from standins.scenes import write

from mfnet.model.errors import BadLabels, BadManifest
from mfnet.training.config.data import FolderRecipe
from mfnet.training.datasets.sources.open_data import open_data
from mfnet.training.datasets.splitting.spatial_blocks import FEWEST, ends_by_key
from mfnet.training.datasets.tiles.interface import Area, Splits

SHARES = (0.15, 0.0)
SPLIT = '[split]\nby = "block"\nblock_px = 80\nmargin_px = 16\ntest = 0\n'
BLOCKS = 20  # of a tile of 320 × 400


def drawn(keys: Sequence[str], shares: tuple[float, float] = SHARES, seed: int = 0) -> list[str]:
    return list(ends_by_key(keys, [None] * len(keys), shares, seed))


def keys_of(count: int) -> list[str]:
    return [f"ortho.tif {number} 0" for number in range(count)]


def opened(folder: Path, tiles: Sequence[str], split: str = SPLIT, extra: str = "") -> Splits:
    (folder / "manifest.toml").write_text(manifest(tiles, tail=split) + extra)
    return open_data(FolderRecipe(kind="folder", folder=folder), 32)


def label(folder: Path, name: str, corners: Sequence[tuple[int, int]], size: int = 16) -> None:
    """Leaves squares of a tile's labels, by their upper left pixels, two classes in each."""
    truth = np.full((320, 400), 255, np.uint8)
    for row, col in corners:
        truth[row : row + size, col : col + size] = 1
        truth[row : row + size, col : col + size // 2] = 2
    write(folder / f"{name}_labels.tif", truth[None], crs=CRS, transform=place(name))


def spots(areas: Sequence[Area]) -> set[tuple[str, int, int]]:
    return {(area.tile.name, area.window.row_off, area.window.col_off) for area in areas}


# ---- the draw --------------------------------------------------------------------------------


def test_on_average_each_end_gets_its_share() -> None:
    ends = drawn(keys_of(4000), (0.2, 0.1))
    assert abs(ends.count("validation") / 4000 - 0.2) < 0.03
    assert abs(ends.count("test") / 4000 - 0.1) < 0.03
    assert drawn(keys_of(4000), (0.2, 0.1), seed=1) != ends


@pytest.mark.parametrize("shares", [(0.15, 0.15), (0.15, 0.0), (0.9, 0.9), (0.9, 0.0)])
@pytest.mark.parametrize("count", [FEWEST, 5, 12])
def test_no_end_with_a_share_goes_without(count: int, shares: tuple[float, float]) -> None:
    wanted = {"train", "validation", *(["test"] if shares[1] else [])}
    for seed in range(100):
        assert set(drawn(keys_of(count), shares, seed)) == wanted


def test_fewer_grounds_are_all_for_training() -> None:
    assert drawn(keys_of(3)) == ["train"] * 3
    assert drawn(keys_of(3) * 4) == ["train"] * 12
    assert drawn([]) == []
    with pytest.raises(BadManifest, match=r"none is left for test; .*4 blocks.*split\.test = 0"):
        drawn(keys_of(3), (0.15, 0.15))


@pytest.mark.parametrize("shares", [SHARES, (0.15, 0.15)])
def test_what_was_for_training_stays_so_as_blocks_come(shares: tuple[float, float]) -> None:
    for seed in range(50):
        trained: set[int] = set()
        for count in range(FEWEST, 40):
            ends = drawn(keys_of(count), shares, seed)
            assert trained <= {n for n, end in enumerate(ends) if end == "train"}
            trained |= {n for n, end in enumerate(ends) if end == "train"}


def test_order_says_nothing_and_pins_stay() -> None:
    keys = keys_of(30)
    assert drawn(keys[::-1]) == drawn(keys)[::-1]
    pinned = ends_by_key(keys, ["train", "validation"] * 15, SHARES, 0)
    assert pinned == ["train", "validation"] * 15
    with pytest.raises(BadManifest, match="none is left for train"):
        ends_by_key(keys, ["validation"] * 30, SHARES, 0)


# ---- of folders ------------------------------------------------------------------------------


MARGIN = (72, 20)  # a square between two blocks


@pytest.mark.parametrize("corners", [[MARGIN], [(20, 20), (180, 100), (260, 340), MARGIN]])
def test_a_few_corrected_patches_are_all_learned_from(
    tmp_path: Path, corners: list[tuple[int, int]]
) -> None:
    write_tile(tmp_path, "0", 320, 400)
    label(tmp_path, "0", corners)
    data = opened(tmp_path, "0")
    assert (spots(data.train.areas), len(data.validation), data.test()) == ({("0", 0, 0)}, 0, ())
    assert data.train.census is not None
    assert data.train.census.pixels.sum() == 256 * len(corners)
    assert any("nothing is kept for validation, which takes 4" in r for r in data.remarks)


def test_with_more_of_them_one_that_has_labels_is_kept_for_validation(tmp_path: Path) -> None:
    write_tile(tmp_path, "0", 320, 400)
    for seed in range(10):
        label(tmp_path, "0", [(20, 20), (180, 100), (260, 340), (20, 340)])
        data = opened(tmp_path, "0", SPLIT + f"seed = {seed}\n")
        assert len(data.train) + len(data.validation) == 4
        assert len(data.validation) >= 1
        for area in (*data.train.areas, *data.validation.areas):
            assert (area.tile.truth(area.window) != 255).any()


def test_a_tile_smaller_than_a_block_is_one(tmp_path: Path) -> None:
    write_tile(tmp_path, "0")
    whole = opened(tmp_path, "0", SPLIT.replace("80", "128"))
    assert spots(whole.train.areas) == {("0", 0, 0)}
    assert not whole.validation.areas


def test_without_one_labelled_block_there_is_nothing_to_learn(tmp_path: Path) -> None:
    write_tile(tmp_path, "0", 320, 400)
    label(tmp_path, "0", [])
    with pytest.raises(BadLabels, match="not one pixel of the tiles is labelled"):
        opened(tmp_path, "0")


def test_ground_that_is_labelled_twice_serves_one_end(tmp_path: Path) -> None:
    write_tile(tmp_path, "0", 320, 400)
    twin = manifest("0").split("\n", 1)[1].replace('name = "0"', 'name = "twin"')
    data = opened(tmp_path, "0", extra=twin)
    learned, looked_at = (
        {spot[1:] for spot in spots(p.areas)} for p in (data.train, data.validation)
    )
    assert len(data.train) + len(data.validation) == 2 * BLOCKS
    assert not learned & looked_at
    assert len(learned) + len(looked_at) == BLOCKS


def test_a_tile_known_by_its_sha256_is_drawn_wherever_it_lies(tmp_path: Path) -> None:
    from mfnet.model.weights.file_hash import sha256_of

    write_tile(tmp_path, "0", 320, 400)
    digest = sha256_of(tmp_path / "0_ortho.tif")
    told = f'sha256 = {{ ortho = "{digest}" }}\n'
    first = opened(tmp_path, "0", told + SPLIT)
    (tmp_path / "0_ortho.tif").rename(tmp_path / "other.tif")
    text = manifest("0", tail=told + SPLIT).replace("0_ortho", "other")
    (tmp_path / "manifest.toml").write_text(text)
    again = open_data(FolderRecipe(kind="folder", folder=tmp_path), 32)
    assert spots(again.validation.areas) == spots(first.validation.areas)


def test_a_tile_more_leaves_the_blocks_of_the_others_where_they_are(tmp_path: Path) -> None:
    for name in "012":
        write_tile(tmp_path, name, 320, 400)
    before, after = opened(tmp_path, "01"), opened(tmp_path, "201")
    assert len(after.validation) + len(after.train) == 3 * BLOCKS
    assert spots(before.validation.areas) <= spots(after.validation.areas)
    assert spots(before.train.areas) <= spots(after.train.areas)
