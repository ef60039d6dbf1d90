"""A job's life, as pure facts: no SQL, no HTTP, no queue.

    accepted ──claim──> running ──publish──> successful
       ^  │                │ │ └──fail─────> failed
       │  └──cancel──┐     │ └────cancel───> dismissed
       └─hand back───┼─────┘                     ^
                     └───────────────────────────┘

A claim raises the job's *epoch* and grants a *lease*. Whoever holds the newest epoch of a running
job may write to it; every other worker's writes find no row. An expired lease changes nothing by
itself: it only allows the next claim. So a worker that was stopped and comes back can do no harm,
and a job that is delivered ten times has one effect.

The job of a large raster is cut into *parts*. Whoever has claimed it is its *leader*: he and any
worker without other work claim its parts, with a token and a lease of their own; when all are
finished the leader joins them and publishes. A leader that vanishes leaves the finished parts to
the next one; a helper that vanishes leaves one part to be done again. A part whose last attempt
fails, fails the job. An attempt in which a part was finished does not count against the job: a job
is given up that ends its workers without getting on.
"""

from collections.abc import Iterable
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple

SEGMENT = "segment"
RETRAIN = "retrain"
ECHO = "echo"
BATCH = "batch"
"""Processes: what a job may be of."""


class State(StrEnum):
    """Where a job stands; the words are those of OGC API - Processes."""

    ACCEPTED = "accepted"
    """Nobody works on it; a worker may claim it."""
    RUNNING = "running"
    """The worker of the newest epoch works on it, for as long as it renews its lease."""
    SUCCESSFUL = "successful"
    """The files of `result_epoch` are its result, for ever."""
    FAILED = "failed"
    """It will not be tried again; `error` says why."""
    DISMISSED = "dismissed"
    """Its owner cancelled it; a worker that still computes finds out with its next heartbeat."""


TRANSITIONS: dict[State, frozenset[State]] = {
    State.ACCEPTED: frozenset({State.RUNNING, State.FAILED, State.DISMISSED}),
    State.RUNNING: frozenset(State),  # to itself: the claim of an expired lease
    State.SUCCESSFUL: frozenset(),
    State.FAILED: frozenset(),
    State.DISMISSED: frozenset(),
}
"""The states that may follow a state."""

FINAL = frozenset(state for state, after in TRANSITIONS.items() if not after)
"""The states that nothing follows."""


ROW_BLOCK = 512
"""Rows that a tile of most rasters divides: who starts there decodes none that another needs."""
LEAST_ROWS = 4 * ROW_BLOCK
"""Of a part."""


class Failure(NamedTuple):
    """Why an attempt failed.

    Attributes:
        code: Stable word for programs, as in `model/errors.py`.
        message: What was found, what was expected, what to do.
        params: The numbers and names behind the message, as JSON values.
        input_fault: The caller's fault. Trying again would fail again, so it is final at once.
    """

    code: str
    message: str
    params: dict[str, Any]
    input_fault: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The failure as it is kept in a job's row."""
        return self._asdict()


def after_failure(failure: Failure, attempts: int, allowed: int) -> State:
    """The state that follows a failed attempt.

    Args:
        failure: What went wrong.
        attempts: Attempts so far, the failed one included.
        allowed: Attempts that a job has.
    """
    if failure.input_fault or attempts >= allowed:
        return State.FAILED
    return State.ACCEPTED


def abandoned(attempts: int) -> Failure:
    """The failure of a job whose workers vanished one after the other."""
    return Failure(
        "job.abandoned",
        f"The job was started {attempts} times and its worker vanished each time, most likely for "
        "want of memory; expected one attempt to come to its end. Try a smaller raster, or ask "
        "whoever runs this service for a worker with more memory.",
        {"attempts": attempts},
    )


def cut(height: int, width: int, part_pixels: int) -> list[range]:
    """The rows of the parts that a raster is computed in, from the top, about equally many each.

    A part repeats the windows that cross its upper and lower edge: window less stride rows, 128 for
    our models, so with `LEAST_ROWS` that is 6 % at most.

    Args:
        height: Of the raster, pixels.
        width: Of the raster, pixels.
        part_pixels: Of a part, about; 0 for never.

    Returns:
        None or at least two; each begins at a multiple of `ROW_BLOCK` and has `LEAST_ROWS` or more.
    """
    parts = min(-(-height * width // part_pixels), height // LEAST_ROWS) if part_pixels else 1
    if parts < 2:
        return []
    blocks = height // ROW_BLOCK  # the last part takes the rows beyond them, too
    edges = [round(n * blocks / parts) * ROW_BLOCK for n in range(parts)]
    return [range(first, stop) for first, stop in pairwise([*edges, height])]


def percent(done: int, total: int) -> int:
    """Progress of a running job, 0 to 99: the hundredth is the publication."""
    return min(99, 100 * done // max(total, 1))


def parts_percent(parts: Iterable[tuple[int, int]]) -> int:
    """Progress of a job in parts, 0 to 99.

    Args:
        parts: The rows of each, and its own progress.
    """
    known = list(parts)
    return percent(sum(rows * done for rows, done in known), 100 * sum(rows for rows, _ in known))
