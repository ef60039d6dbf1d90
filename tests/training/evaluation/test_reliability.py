"""The expected calibration error against its definition, pixel by pixel."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfnet.model.classes import NODATA
from mfnet.training.evaluation.reliability import Reliability


def reliability(truth: np.ndarray, mapped: np.ndarray, percent: np.ndarray) -> dict[str, Any]:
    found = Reliability()
    half = len(truth) // 2
    for part in (slice(half), slice(half, None)):
        found.add(truth[part], mapped[part], percent[part] / 100)
    return found.summary()


@given(st.integers(0, 2**32 - 1))
def test_the_error_is_the_gap_between_sure_and_right_over_twenty_bins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, mapped = rng.choice(np.array([0, 1, NODATA], np.uint8), (2, 300))
    percent = np.where(mapped == NODATA, NODATA, rng.integers(0, 101, 300)).astype(np.uint8)
    known = (truth != NODATA) & (mapped != NODATA)
    bins = np.maximum(np.ceil(percent[known] / 5), 1)
    right, sure = (truth == mapped)[known], percent[known] / 100
    expected = sum(
        abs(right[bins == m].mean() - sure[bins == m].mean()) * (bins == m).sum()
        for m in np.unique(bins)
    )
    found = reliability(truth, mapped, percent)
    assert found["ece"] == pytest.approx(expected / known.sum(), rel=1e-9, abs=1e-12)
    assert sum(b["pixels"] for b in found["reliability"]) == known.sum()


def test_a_case_worked_by_hand() -> None:
    """Four pixels 90 % sure, two of them right; six at 50 %, three right; one without truth."""
    truth = np.array([0] * 4 + [1] * 6 + [NODATA], np.uint8)
    mapped = np.array([0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0], np.uint8)
    percent = np.array([90] * 4 + [50] * 6 + [99], np.uint8)
    found = reliability(truth, mapped, percent)
    assert found["ece"] == pytest.approx(0.4 * 0.4)
    assert found["reliability"] == [
        {"confidence": 0.5, "accuracy": 0.5, "pixels": 6},
        {"confidence": 0.9, "accuracy": 0.5, "pixels": 4},
    ]


def test_without_pixels_there_is_no_error() -> None:
    nothing = np.full(3, NODATA, np.uint8)
    assert reliability(nothing, nothing, nothing) == {"ece": None, "reliability": []}
