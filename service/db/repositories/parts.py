"""Parts of jobs in the database. Each change is one statement whose WHERE says who may make it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from mfnet.service.db.session import clock
from mfnet.service.db.tables import Job, Part
from mfnet.service.domain.job import FINAL, Failure, State, after_failure

_CLEARED = {"worker": None, "lease_until": None}


class PartRepository:
    """The parts of one transaction.

    Args:
        session: An open transaction: `Database.writing()` for whatever changes a row.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    # ---- for the job's leader --------------------------------------------------------------

    def cut(self, job: Job, rows: Sequence[range], key: str) -> bool:
        """Have the job computed in parts that agree in `key`; what others finished is kept.

        Args:
            job: As we have claimed it.
            rows: Of each part, if there are none yet.
            key: Where it is another one than before, all parts are to be computed anew.

        Returns:
            False where the job is no longer ours.
        """
        mine = Job.id == job.id, Job.state == State.RUNNING, Job.epoch == job.epoch
        statement = update(Job).where(*mine).values(parts_key=key).returning(Job.id)
        if self._session.scalars(statement).one_or_none() is None:
            return False
        if not self.of(job.id):
            self._session.add_all(
                Part(job_id=job.id, first_row=part.start, stop_row=part.stop) for part in rows
            )
        elif job.parts_key != key:
            self.reopen(job.id, forgive=True)
        return True

    def of(self, job_id: str) -> Sequence[Part]:
        """All parts of a job, from the raster's top; none where it is not cut."""
        query = select(Part).where(Part.job_id == job_id).order_by(Part.first_row)
        return self._session.scalars(query.execution_options(populate_existing=True)).all()

    def reopen(self, job_id: str, *, forgive: bool = False) -> None:
        """Have all parts computed again; who is at one finds it taken from him.

        Args:
            job_id: Whose parts.
            forgive: Earlier attempts at them do not count. Else a job whose finished parts vanish
                again and again comes to an end by them.
        """
        self._session.execute(
            update(Part)
            .where(Part.job_id == job_id)
            .values(
                token=Part.token + 1,
                attempts=0 if forgive else Part.attempts,
                progress=0,
                finished=None,
                **_CLEARED,
            )
            .execution_options(synchronize_session=False)
        )

    # ---- for whoever computes one ----------------------------------------------------------

    def claim(self, job_id: str, worker: str, lease_s: float, allowed: int) -> Part | None:
        """Take the first part that nobody has; None where there is none to take.

        Args:
            job_id: Whose part.
            worker: Who claims, for people to read.
            lease_s: Seconds until others may claim it, unless `renew` comes first.
            allowed: Attempts that a part has.
        """
        free = waiting(allowed)
        first = (
            select(Part.first_row)
            .where(Part.job_id == job_id, free)
            .order_by(Part.first_row)
            .limit(1)
            .with_for_update(skip_locked=True)  # two at once take two; SQLite has one writer
            .scalar_subquery()
        )
        return self._change(
            Part.job_id == job_id,
            Part.first_row == first,
            free,
            _alive(),
            token=Part.token + 1,
            attempts=Part.attempts + 1,
            worker=worker,
            lease_until=clock() + lease_s,
            progress=0,
        )

    def renew(self, part: Part, lease_s: float, progress: int) -> bool:
        """Renew the lease and say how far the part is.

        Returns:
            False where it is no longer ours, or its job has come to its end. Stop at once.
        """
        values = {"lease_until": clock() + lease_s, "progress": progress}
        return self._change_mine(part, _alive(), **values) is not None

    def finish(self, part: Part, device: str | None = None) -> bool:
        """The part's files are in their place; False where that is of no use any more.

        The job has got on: attempts at it so far, that of whoever leads it now among them, do not
        count any more. There are as many parts, so it comes to an end all the same.

        Args:
            part: Ours.
            device: What computed it.
        """
        values = {"progress": 100, "finished": clock(), "device": device, **_CLEARED}
        if self._change_mine(part, _alive(), **values) is None:
            return False
        self._session.execute(
            update(Job)
            .where(Job.id == part.job_id, Job.state.not_in(FINAL))
            .values(attempts=0)
            .execution_options(synchronize_session=False)
        )
        return True

    def hand_back(self, part: Part) -> bool:
        """Let another worker have the part, with no attempt of it used up."""
        values = {"attempts": part.attempts - 1, "progress": 0, **_CLEARED}
        return self._change_mine(part, **values) is not None

    def fail(self, part: Part, failure: Failure, allowed: int) -> State | None:
        """End our attempt without a result; the job fails with its part's last attempt.

        Returns:
            `failed` where the job has failed, `accepted` where the part is to be tried again;
            None where it is no longer ours.
        """
        if self._change_mine(part, _alive(), progress=0, **_CLEARED) is None:
            return None
        state = after_failure(failure, part.attempts, allowed)
        if state is State.FAILED:
            self._session.execute(
                update(Job)
                .where(Job.id == part.job_id, Job.state.not_in(FINAL))
                .values(
                    state=State.FAILED,
                    error=failure.to_dict(),
                    message=failure.message.replace("\0", ""),  # which PostgreSQL takes in no text
                    updated=clock(),
                    finished=clock(),
                    seconds_left=None,
                    **_CLEARED,
                )
                .execution_options(synchronize_session=False)
            )
        return state

    def abandoned(self, job_id: str, allowed: int) -> bool:
        """Whether the last attempt of a part ended without a word."""
        gone = or_(Part.lease_until.is_(None), Part.lease_until < clock())
        tried = and_(Part.finished.is_(None), gone, Part.attempts >= allowed)
        query = select(Part.first_row).where(Part.job_id == job_id, tried).limit(1)
        return self._session.scalars(query).one_or_none() is not None

    # ---- for the reconciler ----------------------------------------------------------------

    def due(self, allowed: int, limit: int = 1000) -> list[tuple[str, str | None]]:
        """For each part that a worker could help with now, its job and what they must agree in."""
        query = (
            select(Part.job_id, Job.parts_key)
            .join(Job, Job.id == Part.job_id)
            .where(waiting(allowed), Job.state == State.RUNNING)
            .order_by(Job.created, Part.job_id, Part.first_row)
        )
        return [(job_id, key) for job_id, key in self._session.execute(query.limit(limit))]

    # ---- below -----------------------------------------------------------------------------

    def _change_mine(self, part: Part, *where: ColumnElement[bool], **values: Any) -> Part | None:
        return self._change(
            Part.job_id == part.job_id,
            Part.first_row == part.first_row,
            Part.token == part.token,
            Part.finished.is_(None),
            *where,
            **values,
        )

    def _change(self, *where: ColumnElement[bool], **values: Any) -> Part | None:
        statement = (
            update(Part)
            .where(*where)
            .values(**values)
            .returning(Part)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        return self._session.scalars(statement).one_or_none()


def waiting(allowed: int) -> ColumnElement[bool]:
    """Nobody works on the part, and it may be tried."""
    free = or_(Part.lease_until.is_(None), Part.lease_until < clock())
    return and_(Part.finished.is_(None), free, Part.attempts < allowed)


def _alive() -> ColumnElement[bool]:
    """The part's job has not come to its end."""
    return exists().where(Job.id == Part.job_id, Job.state.not_in(FINAL))
