"""The confusion matrix against sums over single pixels in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfnet.model.classes import ISPRS, NODATA
from mfnet.model.errors import WrongClasses
from mfnet.training.evaluation.class_metrics import Confusion


def oracle(truth: np.ndarray, mapped: np.ndarray, value: int) -> tuple[float, float]:
    """F1 and IoU of a class by precision, recall and sets of pixels."""
    known = (truth != NODATA) & (mapped != NODATA)
    true, said = (truth == value) & known, (mapped == value) & known
    hits = np.float64((true & said).sum())
    precision, recall = hits / said.sum(), hits / true.sum()
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return float(f1), float(hits / (true | said).sum())


@given(st.integers(0, 2**32 - 1))
def test_figures_are_those_of_the_definitions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.array([0, 1, 2, 3, 4, 5, NODATA], np.uint8)
    truth = np.concatenate([values, rng.choice(values, 200)])
    mapped = np.where(rng.random(207) < 0.6, truth, rng.choice(values, 207))
    mapped[:7] = values
    confusion = Confusion(ISPRS)
    confusion.add(truth[:90], mapped[:90])
    confusion.add(truth[90:], mapped[90:])
    summary = confusion.summary()
    expected = [oracle(truth, mapped, value) for value in range(6)]
    found = [(c["f1"], c["iou"]) for c in summary["classes"].values()]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(
        (summary["mf1"], summary["miou"]), np.mean(expected[:5], axis=0), rtol=1e-12
    )
    known = (truth != NODATA) & (mapped != NODATA)
    assert summary["oa"] == pytest.approx((truth == mapped)[known].mean(), rel=1e-12)
    assert summary["pixels"] == known.sum()


@given(st.integers(0, 2**32 - 1))
def test_accuracy_area_and_kappa_are_those_of_the_definitions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.array([0, 1, 2, NODATA], np.uint8)
    truth = rng.choice(values, 60)
    mapped = np.where(rng.random(60) < 0.6, truth, rng.choice(values, 60))
    confusion = Confusion(ISPRS)
    confusion.add(truth[:20], mapped[:20], 0.25)
    confusion.add(truth[20:], mapped[20:], 4.0)
    summary = confusion.summary()
    pixel_m2 = np.where(np.arange(60) < 20, 0.25, 4.0)
    known = (truth != NODATA) & (mapped != NODATA)
    by_chance = 0.0
    for value, name in enumerate(ISPRS.names[:3]):
        true, said = (truth == value) & known, (mapped == value) & known
        by_chance += true.sum() / known.sum() * (said.sum() / known.sum())
        found = summary["classes"][name]
        error_m2 = pixel_m2[said].sum() - pixel_m2[true].sum()
        assert found["area_error_m2"] == pytest.approx(error_m2, abs=1e-9)
        if true.any():
            assert found["accuracy"] == pytest.approx((true & said).sum() / true.sum(), rel=1e-12)
            error = error_m2 / pixel_m2[true].sum()
            assert found["area_error"] == pytest.approx(error, rel=1e-9, abs=1e-12)
        else:
            assert found["accuracy"] is found["area_error"] is None
    agreed = (truth == mapped)[known].mean()
    if by_chance < 1:
        expected = (agreed - by_chance) / (1 - by_chance)
        assert summary["kappa"] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_case_worked_by_hand() -> None:
    """Ten pixels: 5 roads (one mapped as a house), 4 houses (two as roads), one tree (as a house).

    Roads: 4 of 5 found, 6 mapped; houses: 2 of 4 found, 4 mapped. By chance 0.5 · 0.6 + 0.4 · 0.4.
    """
    truth = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 3])
    mapped = np.array([0, 0, 0, 0, 1, 1, 1, 0, 0, 1])
    confusion = Confusion(ISPRS)
    confusion.add(truth, mapped, 0.01)
    summary = confusion.summary()
    road, house, _, tree, *_ = summary["classes"].values()
    assert [road["accuracy"], house["accuracy"], tree["accuracy"]] == [0.8, 0.5, 0]
    assert [road["f1"], house["f1"], tree["f1"]] == [8 / 11, 0.5, 0]
    assert [road["iou"], house["iou"]] == [4 / 7, 2 / 6]
    assert [one["area_error"] for one in (road, house, tree)] == pytest.approx([0.2, 0, -1])
    assert road["area_error_m2"] == pytest.approx(0.01)
    assert summary["oa"] == 0.6
    assert summary["kappa"] == pytest.approx((0.6 - 0.46) / (1 - 0.46))
    assert summary["confusion"][0] == [4, 1, 0, 0, 0, 0]


def test_square_metres_are_unknown_once_some_pixels_are() -> None:
    confusion = Confusion(ISPRS)
    confusion.add(np.array([0]), np.array([0]), 1.0)
    confusion.add(np.array([0]), np.array([1]))
    confusion.add(np.array([0]), np.array([0]), 1.0)
    road = confusion.summary()["classes"]["impervious_surface"]
    assert road["area_error_m2"] is None
    assert road["area_error"] == pytest.approx(-1 / 3)


def test_a_class_that_is_nowhere_has_no_figure_and_counts_in_no_mean() -> None:
    confusion = Confusion(ISPRS)
    confusion.add(np.array([0, 0, 1]), np.array([0, 0, 1]))
    summary = confusion.summary()
    assert summary["classes"]["car"]["iou"] is None
    assert summary["miou"] == 1.0


def test_background_counts_in_the_accuracy_and_not_in_the_means() -> None:
    confusion = Confusion(ISPRS)
    confusion.add(np.array([5, 5, 0, 0]), np.array([5, 0, 0, 0]))
    summary = confusion.summary()
    assert summary["oa"] == 0.75
    assert summary["miou"] == pytest.approx(2 / 3)


def test_no_pixel_gives_no_figure() -> None:
    summary = Confusion(ISPRS).summary()
    assert summary["oa"] is None
    assert summary["kappa"] is None
    assert summary["miou"] is None


def test_a_value_outside_the_scheme_is_refused() -> None:
    with pytest.raises(WrongClasses, match="0 to 5, or 255 for nodata"):
        Confusion(ISPRS).add(np.array([6]), np.array([0]))


def test_counts_do_not_overflow() -> None:
    confusion = Confusion(ISPRS)
    for _ in range(3):
        confusion.counts += np.eye(6, dtype=np.int64) * 2**40
    assert confusion.summary()["pixels"] == 6 * 3 * 2**40
