"""Finished rows as strips: the pixels of the map, each once, whatever the bands are."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mfnet.model.classes import ISPRS, NODATA
from mfnet.model.raster.products.pictures import row_preview
from mfnet.model.raster.products.pictures.row_preview import RowPreview


def shown(folder: Path, rows: int, columns: int) -> NDArray[np.uint8]:
    """The strips of a folder, one below the other, (H, W, 4)."""
    picture = np.zeros((rows, columns, 4), np.uint8)
    for path in folder.glob("*.png"):
        first, count = map(int, path.stem.split("-"))
        assert not picture[first : first + count].any(), "no row twice"
        picture[first : first + count] = np.asarray(Image.open(path))
    return picture


@given(
    cuts=st.sets(st.integers(1, 69), max_size=8), side=st.integers(5, 90), every=st.integers(1, 4)
)
def test_strips_are_the_map(
    tmp_path_factory: pytest.TempPathFactory, cuts: set[int], side: int, every: int
) -> None:
    folder = tmp_path_factory.mktemp("preview")
    rng = np.random.default_rng(side)
    classes = rng.choice([*range(6), NODATA], (70, 50)).astype(np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_preview, "SIDE_PX", side)
        preview = RowPreview(folder, 70, 50, ISPRS)
    for number, (top, stop) in enumerate(zip([0, *sorted(cuts)], [*sorted(cuts), 70], strict=True)):
        preview.add(top, classes[top:stop])
        if number % every == 0:
            preview.flush()
    preview.flush()
    step = -(-70 // side)
    thinned = classes[::step, ::step]
    picture = shown(folder, *thinned.shape)
    for value, each in enumerate(ISPRS.classes):
        assert (picture[thinned == value] == [*bytes.fromhex(each.color[1:]), 255]).all()
    assert not picture[thinned == NODATA].any()
    assert not list(folder.glob("*.part"))


def test_a_strip_is_written_when_its_time_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preview = RowPreview(tmp_path / "new", 40, 40, ISPRS)
    preview.add(0, np.zeros((8, 40), np.uint8))
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(row_preview, "PAUSE_S", -1.0)
    preview.add(8, np.zeros((8, 40), np.uint8))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["0-16.png"]
