"""What the gate has against a retrained model, and what not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfnet.training.retraining.promotion_gate import judge


def summary(**classes: tuple[float | None, int]) -> dict[str, Any]:
    """Of each class IoU, and pixels in the truth."""
    figures = {name: {"iou": iou, "pixels": pixels} for name, (iou, pixels) in classes.items()}
    return {"pixels": sum(pixels for _, pixels in classes.values()), "classes": figures}


def test_a_fall_is_named_with_its_figures_and_where():
    before = {"scenes": summary(car=(0.8, 9), tree=(0.5, 9)), "tiles": summary(car=(0.7, 9))}
    after = {"scenes": summary(car=(0.7, 9), tree=(0.9, 9)), "tiles": summary(car=(0.7, 9))}
    verdict = judge(before, after, 0.02)
    assert not verdict.passed
    assert verdict.reason == (
        "car falls from 80.0 to 70.0 % IoU on the scenes (allowed are 2 points)"
    )
    assert verdict.to_dict()["falls"] == [
        {"on": "scenes", "name": "car", "before": 0.8, "after": 0.7}
    ]


def test_a_fall_on_either_set_is_enough():
    high, low = summary(car=(0.8, 9)), summary(car=(0.1, 9))
    assert not judge({"a": high, "b": high}, {"a": high, "b": low}, 0.5).passed
    assert not judge({"a": high, "b": high}, {"a": low, "b": high}, 0.5).passed
    assert judge({"a": high, "b": low}, {"a": high, "b": high}, 0.5).passed


def test_a_class_that_the_truth_does_not_hold_has_no_say():
    before, after = summary(car=(None, 0), tree=(0.5, 9)), summary(car=(0.0, 0), tree=(0.5, 9))
    assert judge({"a": before}, {"a": after}, 0.0).passed
    assert judge({"a": summary(car=(0.9, 0), tree=(0.5, 9))}, {"a": after}, 0.0).passed


def test_what_was_not_measured_is_not_passed():
    nothing, something = summary(car=(None, 0)), summary(car=(0.5, 9))
    verdict = judge({"a": nothing, "b": something}, {"a": nothing, "b": something}, 0.02)
    assert not verdict.passed
    assert "no pixel of the a" in verdict.reason


SHARE = st.floats(0, 1)


@given(st.lists(st.tuples(SHARE, SHARE), min_size=1, max_size=6), SHARE)
def test_it_passes_if_and_only_if_no_class_falls_by_more_than_the_margin(
    pairs: list[tuple[float, float]], margin: float
):
    before = summary(**{f"c{n}": (old, 1) for n, (old, _) in enumerate(pairs)})
    after = summary(**{f"c{n}": (new, 1) for n, (_, new) in enumerate(pairs)})
    allowed = all(old - new <= margin for old, new in pairs)
    assert judge({"a": before}, {"a": after}, margin).passed == allowed


@pytest.mark.parametrize("margin", [0.02, 0.025])
def test_the_margin_is_told_in_points(margin: float):
    one = {"a": summary(car=(0.5, 9))}
    assert judge(one, one, margin).reason == (
        f"no class falls by more than {100 * margin:g} points of IoU"
    )
