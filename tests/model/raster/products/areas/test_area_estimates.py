"""True areas and their intervals: the published example, and samples that come in tiles."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mfnet.model.raster.products.areas.area_estimates import (
    BY_TILE,
    _quantile,
    add_estimates,
    estimate_areas,
    half_widths,
)

MAPPED = np.array([200_000, 150_000, 3_200_000, 6_450_000]) * 0.09  # hectares
SAMPLE = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
"""Olofsson et al. 2014, table 8: points by mapped (row) and true class."""


def one_by_one(sample: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each point as a tile, by true (row) and mapped class."""
    classes = len(sample)
    mapped, true = np.divmod(np.arange(classes**2), classes)
    tiles = np.zeros((classes**2, classes, classes), np.int64)
    tiles[np.arange(classes**2), true, mapped] = 1
    return np.repeat(tiles, sample.ravel(), axis=0)


def test_the_example_of_the_paper() -> None:
    areas, errors = estimate_areas(MAPPED, one_by_one(SAMPLE))
    assert areas.round().tolist() == [21_158, 11_686, 285_770, 581_386]
    assert (1.96 * errors).round().tolist() == [6_158, 3_756, 15_510, 16_282]


def test_estimates_share_out_what_is_mapped() -> None:
    random = np.random.default_rng(2)
    tiles = random.poisson(30, (20, 4, 4)) + 500 * np.eye(4, dtype=int)
    areas, errors = estimate_areas(MAPPED, tiles)
    assert areas.sum() == pytest.approx(MAPPED.sum())
    doubled = estimate_areas(MAPPED, np.repeat(tiles, 100, axis=1)[:, ::100] * 100)
    np.testing.assert_allclose(doubled, (areas, errors))  # finer pixels of the same tiles


def test_the_interval_holds_the_truth_of_another_place_in_19_of_20() -> None:
    """Places of one population, the pixels of each erring together."""
    random = np.random.default_rng(0)
    usual = np.array([[8, 1, 1], [1, 17, 2], [1, 1, 6]]) / [[10], [20], [8]]
    places = np.stack(
        [random.multinomial(5000, random.dirichlet(60 * row, 6000)) for row in usual], axis=2
    )
    hits = []
    for sample in places[:5980].reshape(-1, 26, 3, 3)[:200]:
        there, tiles = sample[0], sample[1:]
        areas, errors = estimate_areas(there.sum(axis=0).astype(float), tiles)
        hits.append(np.abs(areas - there.sum(axis=1)) <= half_widths(errors, len(tiles)))
    assert 0.92 < np.mean(hits) < 0.98


@pytest.mark.parametrize("freedom", [4, 7, 11, 31, 63])
def test_quantiles_are_students(freedom: int) -> None:
    from scipy.stats import t as student  # 0.7 s, for this test alone

    assert _quantile(freedom) == pytest.approx(student.ppf(0.975, freedom), rel=0.003)


def statistics(areas_m2: list[float | None]) -> dict[str, Any]:
    return {"classes": [{"name": str(n), "area_m2": area} for n, area in enumerate(areas_m2)]}


def test_what_a_map_says() -> None:
    tiles = (np.random.default_rng(3).poisson(20, (12, 4, 4)) + 300 * np.eye(4, dtype=int)).tolist()
    metrics = {BY_TILE: tiles, "conditions": {"data": "places", "split": "test", "blend": "hann"}}
    told = statistics(MAPPED.tolist())
    add_estimates(told, metrics, "town")
    where = {"data": "places", "split": "test"}
    assert told["estimates"] == {"level": 0.95, "tiles": len(tiles), "measured_on": where}
    for item in told["classes"]:
        estimate = item["estimate"]
        assert 0 <= estimate["low_m2"] < estimate["area_m2"] < estimate["high_m2"]


@pytest.mark.parametrize(
    ("metrics", "areas_m2", "why"),
    [
        ({}, [1.0, 2.0], "mfnet evaluate --record"),
        ({BY_TILE: [[[9, 1], [1, 9]]] * 4}, [1.0, 2.0], "5 are needed"),
        ({BY_TILE: [[[9, 1], [1, 9]]] * 8}, [None, None], "areas are unknown"),
        ({BY_TILE: [[[9, 0], [1, 0]]] * 8}, [1.0, 2.0], "not measured on enough tiles"),
    ],
)
def test_where_nobody_can_tell_it_says_why(
    metrics: dict[str, Any], areas_m2: list[float | None], why: str
) -> None:
    told = statistics(areas_m2)
    add_estimates(told, metrics, "old")
    assert why in told["estimates"]["missing"]
    assert [item["estimate"] for item in told["classes"]] == [None, None]


def test_a_class_that_is_not_mapped_needs_no_tiles() -> None:
    told = statistics([1.0, 0.0])
    add_estimates(told, {BY_TILE: [[[9, 0], [1, 0]], [[8, 0], [2, 0]]] * 4}, "old")
    assert told["classes"][0]["estimate"]["area_m2"] == pytest.approx(0.85)
    assert told["classes"][1]["estimate"]["area_m2"] == pytest.approx(0.15)
