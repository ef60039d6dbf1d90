"""Seconds that are left: by the pace of this attempt, whatever was done before it."""

import pytest

from mfnet.service.domain.forecast import Forecast


def test_what_is_left_follows_from_the_pace_since_the_attempt_began() -> None:
    now = 100.0
    forecast = Forecast(clock=lambda: now)
    assert forecast.left_s(0, 0) is None  # the model is being loaded
    assert forecast.left_s(50, 100) is None  # gone on with: half of it was done before
    now = 110.0
    assert forecast.left_s(51, 100) is None  # too little to tell
    assert forecast.left_s(60, 100) == pytest.approx(40)
    slow = Forecast(clock=lambda: now)
    assert slow.left_s(0, 1000) is None
    now = 125.0
    assert slow.left_s(0, 1000) is None
    assert slow.left_s(5, 1000) == pytest.approx(2985)
    now = 115.0
    assert forecast.left_s(80, 100) == pytest.approx(10)
    assert forecast.left_s(100, 100) is None  # what is made of the map is not counted in steps
