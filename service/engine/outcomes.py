"""How an attempt at a job may end other than well, and what keeps its lease alive."""

from typing import Protocol

from mfnet.service.domain.job import Failure


class Heartbeat(Protocol):
    """Renews a lease, and says how far the work is; raises where the lease is lost."""

    def __call__(self, done: int, total: int, what: str | None = None) -> None:
        """Steps done, their total, and what is done where the engine says it."""


class LeaseLost(Exception):
    """The job or part was cancelled, or another worker has it."""


class ShuttingDown(Exception):
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
