"""How an attempt at a job may end other than well, and what keeps its lease alive."""

from collections.abc import Callable

from mfnet.service.domain.job import Failure

Beat = Callable[..., None]
"""Renews a lease, with what is done and its total, and where the engine says it what that is;
raises where the lease is lost."""


class LeaseLost(Exception):
    """The job or part was cancelled, or another worker has it."""


class Leaving(Exception):
    """This worker was asked to end."""


class AttemptFailed(Exception):
    """The engine, or what it was to work on, failed.

    Args:
        failure: Why.
        last: There is no point in another attempt, though the caller is not at fault.
    """

    def __init__(self, failure: Failure, *, last: bool = False) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.last = last
