"""Heights that are upside down, mirrored or turned are told, and no others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mfnet.model.raster.pairs.alignment.measure_turn import turn_remarks
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.training.synthetic.town import Town, draw_town, write_town


@pytest.fixture(scope="module")
def town() -> Town:
    return draw_town(510_000, 384)


def told(folder: Path, town: Town, ndsm: np.ndarray) -> list[str]:
    write_town(folder, replace(town, ndsm=np.ascontiguousarray(ndsm)))
    with RasterPair.open(folder / "ortho.tif", folder / "ndsm.tif") as pair:
        return [f"{remark.code}: {remark.message}" for remark in turn_remarks(pair)]


@pytest.mark.parametrize(
    ("turned", "word"),
    [
        (np.flipud, "upside down"),
        (np.fliplr, "mirrored left to right"),
        (lambda ndsm: np.rot90(ndsm, 2), "half a turn"),
        (np.rot90, "a quarter to the left"),
        (lambda ndsm: np.rot90(ndsm, -1), "a quarter to the right"),
        (np.transpose, "mirrored, rows for columns:"),
        (lambda ndsm: np.rot90(ndsm, 2).T, "rows for columns, and turned by half a turn"),
    ],
)
def test_heights_that_are_turned_are_told(
    tmp_path: Path, town: Town, turned: object, word: str
) -> None:
    assert callable(turned)
    (message,) = told(tmp_path, town, turned(town.ndsm))
    assert message.startswith("pair.turned: ndsm.tif")
    assert word in message


def test_heights_that_are_right_or_of_another_place_are_not_told(
    tmp_path: Path, town: Town
) -> None:
    assert told(tmp_path, town, town.ndsm) == []
    assert told(tmp_path, town, draw_town(520_000, 384).ndsm) == []
    assert told(tmp_path, town, np.roll(town.ndsm, 40, axis=0)) == []
