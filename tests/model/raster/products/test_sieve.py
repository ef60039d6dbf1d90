"""Islands that take the class of their largest neighbour, against plain loops and GDAL."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from rasterio.features import sieve as gdal_sieve

from mfnet.model.classes import NODATA
from mfnet.model.errors import OutputNotWritable
from mfnet.model.raster.products.sieve import Sieved, beyond_sieve, sieve

Classes = NDArray[np.uint8]
OUT = Path("/tmp/classes.tif")


def sieved(values: Classes, under: int, strip_rows: int = 100, cut: int = 3) -> Classes:
    rows = ((row, values[row : row + cut]) for row in range(0, len(values), cut))
    width = values.shape[1]
    passed = list(sieve(rows, width, under, OUT, strip_pixels=strip_rows * width))
    assert [row for row, _ in passed] == list(range(0, len(values), strip_rows))
    return np.concatenate([part for _, part in passed])


def areas_of(values: Classes) -> dict[int, set[int]]:
    """Pixels of each area of one class, by the number of its first one."""
    height, width = values.shape
    flat, area = values.ravel(), {}
    for start in range(flat.size):
        if start in area or flat[start] == NODATA:
            continue
        area[start], waiting = start, [start]
        while waiting:
            for other in beside(waiting.pop(), height, width):
                if other not in area and flat[other] == flat[start]:
                    area[other] = start
                    waiting.append(other)
    found: dict[int, set[int]] = {}
    for pixel, start in area.items():
        found.setdefault(start, set()).add(pixel)
    return found


def beside(pixel: int, height: int, width: int) -> list[int]:
    row, column = divmod(pixel, width)
    near = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    return [r * width + c for r, c in near if 0 <= r < height and 0 <= c < width]


def by_loops(values: Classes, under: int) -> tuple[Classes, bool]:
    """The same, area by area; and whether GDAL must come to the same."""
    groups, clear = areas_of(values), True
    while True:
        owner = {pixel: start for start, pixels in groups.items() for pixel in pixels}
        target = {}
        for start, pixels in groups.items():
            near = {owner.get(b, start) for p in pixels for b in beside(p, *values.shape)}
            near -= {start}
            if len(pixels) < under and near:
                ranked = sorted(near, key=lambda other: (-len(groups[other]), other))
                target[start] = ranked[0]
                clear &= len(near) == 1 or len(groups[ranked[0]]) > len(groups[ranked[1]])
        if not target:
            break
        for one in list(target):
            if one in target and target.get(target[one]) == one:
                clear = False
                larger = min(one, target[one], key=lambda each: (-len(groups[each]), each))
                del target[larger]
        joined: dict[int, set[int]] = {}
        for start, pixels in groups.items():
            end = start
            while end in target:
                end = target[end]
            joined.setdefault(end, set()).update(pixels)
        groups = joined
    out = values.copy().ravel()
    for start, pixels in groups.items():
        out[list(pixels)] = values.ravel()[start]
    return out.reshape(values.shape), clear


@given(
    values=arrays(np.uint8, (11, 8), elements=st.sampled_from([0, 0, 0, 1, 1, 2, NODATA])),
    under=st.integers(1, 30),
    strip_rows=st.integers(1, 11),
)
@settings(max_examples=150)
def test_strips_give_what_loops_over_the_whole_give(
    values: Classes, under: int, strip_rows: int
) -> None:
    expected, clear = by_loops(values, under)
    found = sieved(values, under, strip_rows)
    np.testing.assert_array_equal(found, expected)
    assert ((found == NODATA) == (values == NODATA)).all()
    if clear:
        theirs = gdal_sieve(values + 1, under, mask=values != NODATA) - 1
        np.testing.assert_array_equal(found, np.where(values == NODATA, NODATA, theirs))


@pytest.mark.parametrize("seed", range(4))
def test_gdal_says_the_same_of_a_map(seed: int) -> None:
    """But for ties, which are one island in hundreds."""
    random = np.random.default_rng(seed)
    values = np.kron(random.integers(0, 5, (8, 9)), np.ones((40, 37))).astype(np.uint8)
    noisy = random.random(values.shape) < 0.02
    values[noisy] = random.integers(0, 5, noisy.sum())
    values[50:90, 20:200] = NODATA
    found = sieved(values, 12, strip_rows=70, cut=33)
    theirs = gdal_sieve(values + 1, 12, mask=values != NODATA) - 1
    assert (found != values).sum() > 1000
    assert (found != np.where(values == NODATA, NODATA, theirs)).mean() < 2e-4
    again = sieved(found, 12)
    assert (again == found).all()  # nothing is left


def test_what_was_done_is_told() -> None:
    values = np.zeros((20, 30), np.uint8)
    values[3:5, 3:6] = 1
    values[10, 10] = 2
    values[12:20, 12:20] = 4
    done, calls = Sieved(), []
    rows = iter([(0, values)])
    parts = sieve(rows, 30, 9, OUT, strip_pixels=90, working=lambda: calls.append(1), done=done)
    assert np.unique(np.concatenate([part for _, part in parts])).tolist() == [0, 4]
    assert done == Sieved(islands=2, pixels=7)
    assert len(calls) == 3 * 7


def test_an_island_amid_nodata_stays() -> None:
    values = np.full((9, 9), NODATA, np.uint8)
    values[4, 3:6] = 2
    values[4, 5] = 1
    expected = np.where(values == 1, 2, values)
    np.testing.assert_array_equal(sieved(values, 10), expected)


def test_what_a_sieve_cannot_change_is_known_from_some_rows() -> None:
    random = np.random.default_rng(5)
    values = (random.random((60, 40)) < 0.3).astype(np.uint8)
    values[:, 35:] = NODATA
    whole = sieved(values, 15)
    part = values[20:40]
    stays = beyond_sieve(part, 15)
    assert 0.3 < stays.mean() < 0.9
    assert (whole[20:40] == part)[stays].all()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputNotWritable):
        list(sieve([(0, np.zeros((2, 2), np.uint8))], 2, 2, tmp_path / "none" / "c.tif"))
