"""The window plan covers every pixel and visits none twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfnet.model.errors import BadOption
from mfnet.model.inference.windows import WindowPlan, count_windows

sizes = st.integers(1, 400)


@st.composite
def plans(draw: st.DrawFn) -> WindowPlan:
    window = draw(st.integers(1, 64))
    return WindowPlan(draw(sizes), draw(sizes), window, draw(st.integers(1, window)))


@given(plans())
def test_every_row_and_column_is_covered_and_no_window_visited_twice(plan: WindowPlan) -> None:
    for offsets, size in ((plan.tops, plan.height), (plan.lefts, plan.width)):
        covered = {pixel for o in offsets for pixel in range(o, o + plan.window)}
        assert covered >= set(range(size))
        assert list(offsets) == sorted(set(offsets))
        assert (
            max(covered) == max(size, plan.window) - 1
        )  # nothing beyond the rim but in a small one
    assert len(plan) == len({(top, left) for top in plan.tops for left in plan.lefts})


@given(plans())
def test_steps_read_and_finish_each_row_once_and_in_time(plan: WindowPlan) -> None:
    read = finished = 0
    steps = list(plan.steps())
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        assert step.read == read
        read += step.read_rows
        assert read == min(step.top + plan.window, plan.height)  # all that its windows need
        assert step.top == finished
        assert step.wanted == range(step.top, step.final)
        finished = step.final
        assert following is None or following.top >= step.final  # no later window touches it
    assert read == finished == plan.height


def test_the_example_of_the_paper() -> None:
    plan = WindowPlan(1000, 1000, 256, 32)
    assert len(plan) == 625  # the released loop visits 1,024
    assert plan.tops[:2] == (0, 32)
    assert plan.tops[-1] == 744


@pytest.mark.parametrize("stride", [0, -1, 257])
def test_a_stride_that_leaves_gaps_is_refused(stride: int) -> None:
    with pytest.raises(BadOption, match=f"the stride is {stride}; expected 1 to 256"):
        WindowPlan(10, 10, 256, stride)


@given(plans(), st.data())
def test_the_windows_of_a_part_are_those_that_touch_it(
    plan: WindowPlan, data: st.DataObject
) -> None:
    def within(size: int) -> range:
        first = data.draw(st.integers(0, size - 1))
        return range(first, data.draw(st.integers(first + 1, size)))

    rows, columns = within(plan.height), within(plan.width)
    touching = [
        (top, left)
        for top in plan.tops
        for left in plan.lefts
        if top < rows.stop and top + plan.window > rows.start
        if left < columns.stop and left + plan.window > columns.start
    ]
    assert count_windows(plan, rows, columns) == len(touching)
    assert count_windows(plan) == len(plan)
