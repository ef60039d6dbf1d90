"""What is told of a batch: one job that stands for many maps, by how far these are."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from mfnet.service.domain.job import FINAL, State, percent

MOST_PAIRS = 100
"""Each is looked at before the request is answered."""


class Summary(NamedTuple):
    """A batch as a whole.

    Attributes:
        state: Running until each of its jobs has come to its end; successful where a map was made.
        progress: 0 to 100.
        message: For people.
    """

    state: State
    progress: int
    message: str


def sum_up(pairs: int, jobs: Sequence[tuple[State, int]]) -> Summary:
    """The batch by its jobs.

    Args:
        pairs: That it was asked for.
        jobs: State and progress of those that are still there; the others have been removed, and
            nobody can tell any more whether they were made.
    """
    removed = pairs - len(jobs)
    counts = Counter(state for state, _ in jobs)
    done = sum(100 if state in FINAL else progress for state, progress in jobs) + 100 * removed
    made, failed, dismissed = (
        counts[each] for each in (State.SUCCESSFUL, State.FAILED, State.DISMISSED)
    )
    others = {"failed": failed, "dismissed": dismissed, "removed": removed}
    told = [f"{count} {word}" for word, count in others.items() if count]
    message = ", ".join([f"{made} of {pairs} maps are made", *told])
    if made + failed + dismissed < len(jobs):
        return Summary(State.RUNNING, percent(done, 100 * pairs), message)
    left = State.FAILED if failed else State.DISMISSED
    return Summary(State.SUCCESSFUL if made else left, 100, message)
