"""Who is to be told of a job, in the database: what was told last, and when it is to be tried."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.orm import Session

from mfnet.service.db.session import clock
from mfnet.service.db.tables import Callback, Job, Key
from mfnet.service.domain.job import State

_TOLD = (State.RUNNING, State.SUCCESSFUL, State.FAILED)
_DONE = "done"
"""In the place of a state: nothing more will be told."""


class DueCallback(NamedTuple):
    """A job of which somebody is to be told now.

    Attributes:
        job: As it is.
        subscriber: Addresses by what is told, and `base`, the service's own.
        attempts: Those before this one, of this state.
        secret: What is signed with.
    """

    job: Job
    subscriber: dict[str, Any]
    attempts: int
    secret: str


class CallbackRepository:
    """The callbacks of one transaction.

    Args:
        session: An open transaction: `Database.writing()` for whatever changes a row.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def subscribe(self, job: Job, subscriber: dict[str, Any], secret: str) -> None:
        """Have somebody told of a job.

        Args:
            job: Just accepted.
            subscriber: As `DueCallback`.
            secret: For its owner's key, where that has none yet.
        """
        self._session.execute(
            update(Key)
            .where(Key.id == job.owner, Key.webhook_secret.is_(None))
            .values(webhook_secret=secret)
        )
        told = {"told": State.ACCEPTED.value, "attempts": 0, "next_at": job.created}
        self._session.add(Callback(job_id=job.id, subscriber=subscriber, **told))
        self._session.flush()

    def get(self, job_id: str) -> Callback | None:
        """How it goes with telling of a job; None where nobody is to be told."""
        return self._session.get(Callback, job_id)

    def is_any_due(self) -> bool:
        """Whether there is somebody to tell now."""
        return self._session.execute(_due(select(Callback.job_id)).limit(1)).first() is not None

    def claim(self, lease_s: float) -> Sequence[DueCallback]:
        """Whom to tell now; nobody else tells them for `lease_s` seconds."""
        ids = _due(select(Callback.job_id)).limit(10)
        statement = (
            update(Callback)
            .where(Callback.job_id.in_(ids.scalar_subquery()), Callback.next_at <= clock())
            .values(next_at=clock() + lease_s)
            .returning(Callback.job_id)
            .execution_options(synchronize_session=False)
        )
        claimed = self._session.scalars(statement).all()
        query = (
            select(Job, Callback, func.coalesce(Key.webhook_secret, ""))
            .join(Callback, Callback.job_id == Job.id)
            .join(Key, Key.id == Job.owner)
            .where(Job.id.in_(claimed))
            .execution_options(populate_existing=True)
        )
        return [
            DueCallback(job, callback.subscriber, callback.attempts, secret)
            for job, callback, secret in self._session.execute(query)
        ]

    def settle(self, due: DueCallback) -> None:
        """The state was told, or nobody wants to be told of it."""
        final = due.job.state is not State.RUNNING
        told = _DONE if final else due.job.state.value
        self._change(due, told=told, attempts=0, next_at=clock(), failure=None)

    def retry(self, due: DueCallback, failure: str, after_s: float | None) -> None:
        """It could not be told.

        Args:
            due: What was tried.
            failure: Why, for people.
            after_s: Seconds until it is tried again; None for never.
        """
        if after_s is None:
            told = _DONE if due.job.state is not State.RUNNING else due.job.state.value
            self._change(due, told=told, attempts=due.attempts + 1, failure=failure)
            return
        next_at: ColumnElement[float] = clock() + after_s
        self._change(due, attempts=due.attempts + 1, next_at=next_at, failure=failure)

    def _change(self, due: DueCallback, **values: Any) -> None:
        self._session.execute(
            update(Callback).where(Callback.job_id == due.job.id).values(**values)
        )


def _due(query: Select[tuple[str]]) -> Select[tuple[str]]:
    """Those whose job is in a state that was not told."""
    return (
        query.join(Job, Job.id == Callback.job_id)
        .where(Callback.next_at <= clock(), Callback.told != _DONE)
        .where(Job.state.in_(_TOLD), Callback.told != Job.state)
        .order_by(Callback.next_at)
    )
