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
"""

from enum import StrEnum
from typing import Any, NamedTuple


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
    State.ACCEPTED: frozenset({State.RUNNING, State.DISMISSED}),
    State.RUNNING: frozenset(State),  # to itself: the claim of an expired lease
    State.SUCCESSFUL: frozenset(),
    State.FAILED: frozenset(),
    State.DISMISSED: frozenset(),
}
"""The states that may follow a state."""

FINAL = frozenset(state for state, after in TRANSITIONS.items() if not after)
"""The states that nothing follows."""


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


def percent(done: int, total: int) -> int:
    """Progress of a running job, 0 to 99: the hundredth is the publication."""
    return min(99, 100 * done // max(total, 1))
