"""A share of the training tiles."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standins.folder import manifest, write_tile
from standins.isprs import write_vaihingen

from mfnet.training.config.data import DataRecipe, FolderRecipe, TownRecipe, VaihingenRecipe
from mfnet.training.datasets.sources.open_data import open_data
from mfnet.training.datasets.splitting.subset import share_of


@given(st.integers(1, 40), st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 9))
def test_a_larger_share_has_all_of_a_smaller_one_in_order(
    count: int, one: float, other: float, seed: int
) -> None:
    less, more = (share_of(range(count), share, seed) for share in sorted((one, other)))
    assert {*less} <= {*more}
    assert less == sorted(less)
    assert abs(len(less) - min(one, other) * count) <= 0.5 or len(less) == 1


def test_the_seed_says_which() -> None:
    assert len({tuple(share_of(range(20), 0.25, seed)) for seed in range(5)}) == 5
    assert share_of(range(20), 1.0, 3) == [*range(20)]
    assert [len(share_of(range(10), share, 0)) for share in (0.25, 0.5, 0.75)] == [3, 5, 8]


def folder(path: Path) -> DataRecipe:
    for name in "0123456789":
        write_tile(path, name)
    (path / "manifest.toml").write_text(manifest("0123456789"))
    return FolderRecipe(kind="folder", folder=path)


def vaihingen(path: Path) -> DataRecipe:
    write_vaihingen(path)
    return VaihingenRecipe(kind="vaihingen", folder=path)


def towns(path: Path) -> DataRecipe:
    return TownRecipe(size_px=256, towns=8, validation_towns=1, held_out_towns=1)


@pytest.mark.parametrize("kind", [folder, vaihingen, towns])
def test_less_is_learned_from_and_as_much_is_measured(tmp_path: Path, kind: object) -> None:
    assert callable(kind)
    data = kind(tmp_path)
    whole, half = (
        open_data(data.model_copy(update={"share": share, "share_seed": 1}), 32)
        for share in (1.0, 0.5)
    )
    names = [{area.tile.name for area in splits.train.areas} for splits in (whole, half)]
    assert names[1] < names[0]
    assert len(half.train) == round(len(whole.train) / 2)
    assert len(half.validation) == len(whole.validation)
    assert len(half.test()) == len(whole.test())
    assert half.train.census is not None
    assert whole.train.census is not None
    assert np.all(half.train.census.pixels <= whole.train.census.pixels)
