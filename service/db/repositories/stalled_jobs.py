"""What waits, what nobody may try again, and what has ended: jobs as the reconciler sees them."""

from collections.abc import Collection, Sequence

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from mfnet.service.db.repositories.jobs import waiting
from mfnet.service.db.session import clock
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import BATCH, FINAL, SEGMENT, State, abandoned

_DAY_S = 24 * 3600


class Backlog:
    """The jobs of one transaction, of all owners.

    Args:
        session: An open transaction: `Database.writing()` for `fail_abandoned`.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def due(self, process: str = SEGMENT, limit: int = 1000) -> Sequence[str]:
        """Ids of the jobs of a process that a worker could claim now, oldest first."""
        query = select(Job.id).where(waiting(), Job.process == process)
        return self._session.scalars(query.order_by(Job.created, Job.id).limit(limit)).all()

    def fail_abandoned(self, allowed: int) -> Sequence[str]:
        """Fail the jobs whose last allowed attempt ended without a word; returns their ids.

        So end, too, the jobs that wait for an attempt which a lower setting no longer allows.
        """
        statement = (
            update(Job)
            .where(waiting(), Job.attempts >= allowed)
            .values(
                state=State.FAILED,
                error=abandoned(allowed).to_dict(),
                message=abandoned(allowed).message,
                updated=clock(),
                finished=clock(),
                worker=None,
                lease_until=None,
                seconds_left=None,
            )
            .returning(Job.id)
            .execution_options(synchronize_session=False)
        )
        return self._session.scalars(statement).all()

    def ended(self) -> dict[str, int | None]:
        """Of each job that has come to its end, the epoch whose files are its result, if any."""
        query = select(Job.id, Job.result_epoch).where(Job.state.in_(FINAL))
        return {job: epoch for job, epoch in self._session.execute(query)}  # noqa: C416 - rows

    def outdated(self, keep_days: float, limit: int = 100) -> Sequence[str]:
        """Ids of the jobs whose end is so many days ago, the oldest first.

        Those of a batch that goes on stay, which is told of by them.
        """
        running = select(Job.id).where(Job.process == BATCH, Job.state == State.RUNNING)
        query = select(Job.id).where(
            Job.state.in_(FINAL),
            Job.finished < clock() - keep_days * _DAY_S,
            or_(Job.batch.is_(None), Job.batch.not_in(running)),
        )
        return self._session.scalars(query.order_by(Job.finished).limit(limit)).all()

    def known(self, ids: Collection[str]) -> set[str]:
        """Which of these ids are jobs."""
        return set(self._session.scalars(select(Job.id).where(Job.id.in_(ids))))
