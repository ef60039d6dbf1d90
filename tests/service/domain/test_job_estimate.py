"""What a job is said to take, by what the inspection found and what maps took here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfnet.service.domain.job_estimate import Finished, estimate

REPORT = {
    "ortho": {"height": 3000, "width": 4000},
    "estimate": {"memory_bytes": 5_000, "disk_bytes": 28_000_000, "windows": 300},
}
MINE = {"model_sha256": "a", "blend": "hann", "tta": "none"}


def told(inputs=MINE, finished=(), part_pixels=0):
    return estimate(REPORT, inputs, finished, part_pixels)


def test_seconds_go_by_maps_of_the_same_model_and_options():
    assert told()["seconds"] is None
    known = [
        Finished(MINE, 900, 450.0),
        Finished(MINE, 0, 9.0),  # of before windows were counted
        Finished(MINE | {"tta": "turns"}, 300, 1200.0),
        Finished(MINE | {"model_sha256": "b"}, 300, 5.0),
    ]
    assert told(finished=known)["seconds"] == 150
    assert told(MINE | {"tta": "turns"}, known)["seconds"] == 1200


@given(
    start_s=st.floats(0, 20),
    window_s=st.floats(0.001, 10),
    sizes=st.lists(st.integers(1, 10_000), min_size=2, max_size=20, unique=True),
)
def test_what_each_map_takes_once_is_told_from_what_each_window_takes(start_s, window_s, sizes):
    known = [Finished(MINE, each, start_s + each * window_s) for each in sizes]
    assert told(finished=known)["seconds"] == pytest.approx(start_s + 300 * window_s, 1e-3, 0.1)


def test_large_maps_that_took_less_than_small_ones_are_no_reason_to_expect_nothing():
    known = [Finished(MINE, 100, 300.0), Finished(MINE, 1000, 200.0)]
    assert 60 < told(finished=known)["seconds"] < 900


@pytest.mark.parametrize(
    ("further", "part_pixels", "disk_bytes"),
    [
        ({}, 0, 28_000_000),
        ({}, 1_000_000, 28_000_000 + 12_000_000),
        ({"confidence": True}, 1_000_000, 2 * 28_000_000 + 2 * 12_000_000),
        ({"sieve": 9}, 0, 28_000_000 + 12_000_000),
        ({"quality": True, "polygons": True}, 0, 2 * 28_000_000 + 4 * 12_000_000),
        ({"polygons": True, "outputs": {"classes.tif": None}}, 0, 28_000_000),
    ],
)
def test_disk_counts_all_that_is_asked_for(further, part_pixels, disk_bytes):
    found = told(MINE | further, part_pixels=part_pixels)
    assert found == {
        "pixels": 12_000_000,
        "windows": 300,
        "memory_bytes": 5_000,
        "disk_bytes": disk_bytes,
        "seconds": None,
    }


def test_nothing_is_told_where_the_inspection_does_not():
    assert estimate({}, MINE, (), 0) is None
