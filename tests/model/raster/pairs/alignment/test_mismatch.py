"""Heights of small places that match their orthophoto elsewhere, or nowhere, are told."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mfnet.model.raster.pairs import inspection
from mfnet.model.raster.pairs.alignment.measure_shift import correlations
from mfnet.model.raster.pairs.alignment.mismatch import mismatch_remarks
from mfnet.model.raster.pairs.inspection import inspect_pair
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.training.synthetic.town import Town, draw_town, write_town

SIDE = 256


@pytest.fixture(scope="module")
def drawn() -> Town:
    return draw_town(510_001, SIDE + 60)


def told(folder: Path, drawn: Town, right: int, down: int, ndsm: np.ndarray) -> dict[str, str]:
    """What is told of a part of a town whose heights have been moved."""
    ortho = drawn.ortho[:, 30 : 30 + SIDE, 30 : 30 + SIDE]
    ndsm = ndsm[30 - down : 30 - down + SIDE, 30 - right : 30 - right + SIDE]
    cut = replace(drawn, ortho=ortho.copy(), ndsm=ndsm.copy(), truth=drawn.truth[:SIDE, :SIDE])
    write_town(folder, cut)
    with RasterPair.open(folder / "ortho.tif", folder / "ndsm.tif") as pair:
        remarks = mismatch_remarks(pair, correlations(pair))
    return {remark.code: remark.message for remark in remarks}


def test_right_heights_are_not_told(tmp_path: Path, drawn: Town) -> None:
    assert told(tmp_path, drawn, 0, 0, drawn.ndsm) == {}


def test_moved_heights_are_told_with_what_moves_them(tmp_path: Path, drawn: Town) -> None:
    found = told(tmp_path, drawn, 12, -7, drawn.ndsm)
    assert list(found) == ["pair.shifted"]
    option = found["pair.shifted"].split("--height-shift ")[1].split()[0]
    assert np.allclose([float(part) for part in option.split(",")], (12, -7), atol=1.5)


def test_heights_of_another_place_are_told(tmp_path: Path, drawn: Town) -> None:
    other = draw_town(510_003, SIDE + 60).ndsm
    assert list(told(tmp_path, drawn, 0, 0, other)) == ["pair.unlike"]


def test_a_quick_inspection_tells_as_much(tmp_path: Path, drawn: Town) -> None:
    told(tmp_path, drawn, 12, -7, drawn.ndsm)
    quick = inspect_pair(tmp_path / "ortho.tif", tmp_path / "ndsm.tif", quick=True)
    assert "pair.shifted" in [remark.code for remark in quick.remarks]
    assert not quick.scanned


def test_a_quick_inspection_does_not_decode_wide_strips_by_the_hundred(
    tmp_path: Path, drawn: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(tmp_path, drawn, 12, -7, drawn.ndsm)
    monkeypatch.setattr(inspection, "_QUICK_BYTES", 1 << 20)
    quick = inspect_pair(tmp_path / "ortho.tif", tmp_path / "ndsm.tif", quick=True)
    assert "pair.shifted" not in [remark.code for remark in quick.remarks]
