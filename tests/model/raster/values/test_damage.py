"""Parts that hold no measurement: one colour, copied and lost lines, noise among the heights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.values.reading_options import ReadingOptions

Make = Callable[..., Path]
SIDE = 192
ROWS, COLUMNS = np.indices((SIDE, SIDE))


def picture() -> np.ndarray:
    """(3, SIDE, SIDE) uint8, from dark to bright, no colour twice to speak of."""
    shares = np.random.default_rng(0).beta(2, 3, (3, SIDE, SIDE))
    return (shares * 230 + 12).astype("uint8")


def metres() -> np.ndarray:
    """Lawn with three houses of 6 to 12 m, and trees."""
    random = np.random.default_rng(1)
    found = np.abs(random.normal(0, 0.05, (SIDE, SIDE)))
    for row, column, height in ((20, 20, 6), (60, 110, 12), (130, 40, 9)):
        found[row : row + 50, column : column + 60] += height
    return (found + 0.3 * random.random((SIDE, SIDE))).astype("float32")


@pytest.fixture
def opened(make_tiff: Make) -> Callable[..., RasterPair]:
    def open_(
        ortho: np.ndarray | None = None, heights: np.ndarray | None = None, **options: Any
    ) -> RasterPair:
        values = picture() if ortho is None else ortho
        height = metres() if heights is None else heights
        return RasterPair.open(
            make_tiff("o.tif", values, photometric="rgb"),
            make_tiff("h.tif", height.astype("float32")),
            options=ReadingOptions(**options),
        )

    return open_


def codes(pair: RasterPair) -> list[str]:
    return [remark.code for remark in pair.report.remarks]


def test_a_pair_without_damage_has_no_remark(opened: Any) -> None:
    with opened() as pair:
        assert codes(pair) == []


# ---- one colour --------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [(128, 128, 128), (229, 227, 223), (1, 1, 1), (128, 0, 128)])
def test_a_hole_of_any_one_colour_holds_no_data(opened: Any, colour: Any) -> None:
    values, hole = picture(), (abs(ROWS - 90) < 12) & (abs(COLUMNS - 70) < 15)
    values[:, hole] = np.reshape(colour, (3, 1))
    with opened(values) as pair:
        assert np.array_equal(pair.read(0, SIDE).valid["ortho"], ~hole)
        assert codes(pair) == ["ortho.hole"]
    with opened(values, collar=False) as pair:
        assert pair.read(0, SIDE).valid["ortho"].all()
        assert codes(pair) == ["ortho.one_colour"]


@pytest.mark.parametrize("colour", [0, 128, 255])
@pytest.mark.parametrize("lost", [ROWS % 16 == 3, (2 * ROWS + COLUMNS) % 64 < 6])
def test_stripes_of_one_colour_are_told(opened: Any, colour: int, lost: np.ndarray) -> None:
    with opened(np.where(lost, np.uint8(colour), picture())) as pair:
        assert pair.read(0, SIDE).valid["ortho"].all()
        assert codes(pair) == ["ortho.one_colour"]
        assert f"({colour}, {colour}, {colour})" in pair.report.remarks[0].message


def test_a_small_black_hole_holds_no_data(opened: Any) -> None:
    values = picture()
    values[:, 60:73, 60:73] = 0
    with opened(values) as pair:
        assert (~pair.read(0, SIDE).valid["ortho"]).sum() == 13 * 13
        assert codes(pair) == ["ortho.hole"]


@pytest.mark.parametrize("end", [0, 255])
def test_clipped_shadows_and_saturated_roofs_are_no_word_worth(opened: Any, end: int) -> None:
    light = np.clip(1.4 * np.sin(ROWS / 9) * np.cos(COLUMNS / 9) * 128 + end, 0, 255)
    with opened(np.clip(light + picture() * 0.1, 0, 255).astype("uint8")) as pair:
        assert "ortho.one_colour" not in codes(pair)
