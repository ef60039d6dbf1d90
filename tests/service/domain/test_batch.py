"""What is told of many maps together."""

import pytest

from mfnet.service.domain.batch import Summary, sum_up
from mfnet.service.domain.job import State

WAITS, RUNS = (State.ACCEPTED, 0), (State.RUNNING, 50)
MADE, FAILED, DISMISSED = (State.SUCCESSFUL, 100), (State.FAILED, 20), (State.DISMISSED, 0)


@pytest.mark.parametrize(
    ("pairs", "jobs", "told"),
    [
        (2, [WAITS, WAITS], (State.RUNNING, 0, "0 of 2 maps are made")),
        (2, [MADE, RUNS], (State.RUNNING, 75, "1 of 2 maps are made")),
        (2, [FAILED, WAITS], (State.RUNNING, 50, "0 of 2 maps are made, 1 failed")),
        (1000, [MADE] * 999 + [WAITS], (State.RUNNING, 99, "999 of 1000 maps are made")),
        (2, [MADE, FAILED], (State.SUCCESSFUL, 100, "1 of 2 maps are made, 1 failed")),
        (2, [FAILED, FAILED], (State.FAILED, 100, "0 of 2 maps are made, 2 failed")),
        (
            2,
            [FAILED, DISMISSED],
            (State.FAILED, 100, "0 of 2 maps are made, 1 failed, 1 dismissed"),
        ),
        (2, [DISMISSED] * 2, (State.DISMISSED, 100, "0 of 2 maps are made, 2 dismissed")),
        (2, [RUNS], (State.RUNNING, 75, "0 of 2 maps are made, 1 removed")),
        (2, [MADE], (State.SUCCESSFUL, 100, "1 of 2 maps are made, 1 removed")),
        (2, [FAILED], (State.FAILED, 100, "0 of 2 maps are made, 1 failed, 1 removed")),
        (2, [], (State.DISMISSED, 100, "0 of 2 maps are made, 2 removed")),
    ],
)
def test_a_batch_is_as_far_as_its_jobs(pairs, jobs, told):
    assert sum_up(pairs, jobs) == Summary(*told)
