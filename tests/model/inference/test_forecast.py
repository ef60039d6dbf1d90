"""How long a map will take: counted windows, and seconds that are measured once and kept."""

import json
from pathlib import Path

import pytest

from mfnet.model.inference import forecast as module
from mfnet.model.inference.forecast import Stopwatch, forecast
from mfnet.model.inference.runtimes.choose import CACHE_VARIABLE, open_runtime
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.inference.windows import WindowPlan


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_LEAST_S", 0.01)
    return tmp_path / "cache" / "seconds_a_window.json"


def test_windows_are_counted_and_a_window_is_measured_once(cache: Path) -> None:
    rule = open_runtime("rule")
    first = forecast(rule, 900, 1700, 0.2)
    config = rule.config
    plan = WindowPlan(900, 1700, config.window_px, config.stride_px)
    assert first.windows == len(plan) > 1
    (kept,) = json.loads(cache.read_text()).values()
    assert first.seconds == pytest.approx(first.windows * kept["seconds"])
    again = forecast(rule, 1800, 1700, 0.2)
    assert again.seconds / again.windows == pytest.approx(first.seconds / first.windows)
    assert again.measured == first.measured


def test_other_options_are_measured_for_themselves(cache: Path) -> None:
    rule = open_runtime("rule")
    forecast(rule, 300, 300, 0.2)
    forecast(rule, 300, 300, 0.2, SegmentOptions(stride=64))
    assert len(json.loads(cache.read_text())) == 2


def test_a_long_run_replaces_what_was_measured_and_a_short_one_does_not(cache: Path) -> None:
    rule, how, shown = open_runtime("rule"), SegmentOptions(), []
    before = forecast(rule, 300, 300, 0.2)
    for windows in (49, 5000):
        clock = Stopwatch(lambda done, total: shown.append((done, total)))
        clock(windows, windows)
        clock.keep(rule, 0.2, how)
        after = forecast(rule, 300, 300, 0.2)
        assert (after.seconds == before.seconds) == (windows == 49)
    assert shown == [(49, 49), (5000, 5000)]


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": {"seconds": "much"}}'])
def test_a_damaged_cache_is_written_anew(cache: Path, text: str) -> None:
    cache.parent.mkdir()
    cache.write_text(text)
    assert forecast(open_runtime("rule"), 300, 300, 0.2).seconds > 0
    assert len(json.loads(cache.read_text())) == 1


def test_a_cache_that_cannot_be_written_is_none(cache: Path) -> None:
    cache.parent.write_text("a file where a folder should be")
    assert forecast(open_runtime("rule"), 300, 300, 0.2).seconds > 0
