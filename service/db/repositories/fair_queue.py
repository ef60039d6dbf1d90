"""Whose turn it is: the units of work that wait, the fairest first.

A unit is a job that is not cut into parts, or one part of a job that is. First comes the owner of
the fewest units that are being worked on; among equals the one who has not been served for longest;
an owner's own work in the order in which it came. So a thousand jobs of one user, or one raster of
ten hours, hold another's small job up for one unit's time.
"""

from collections import Counter
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from mfnet.service.db.repositories import parts
from mfnet.service.db.repositories.jobs import waiting
from mfnet.service.db.session import clock
from mfnet.service.db.tables import Job, Key, Part
from mfnet.service.domain.job import SEGMENT, State


class Turn(NamedTuple):
    """Work that waits.

    Attributes:
        job_id: The job.
        owner: Whose.
        helps: The job has a leader, who is to be helped with a part; else it has none.
        parts_key: What its parts must agree in.
    """

    job_id: str
    owner: str
    helps: bool
    parts_key: str | None


class TurnRepository:
    """The turns of one transaction.

    Args:
        session: An open transaction: `Database.writing()` for `serve`.
        allowed: Attempts that a job and a part have.
        process: Whose jobs alone count.
    """

    def __init__(self, session: Session, allowed: int, process: str = SEGMENT) -> None:
        self._session = session
        self._allowed = allowed
        self._process = process

    def waiting(self) -> list[Turn]:
        """One job for each owner whom somebody could work for now, and each that can be helped."""
        busy, served = self._busy(), self._served()
        found = [(job, False) for job in self._oldest()] + [(job, True) for job in self._helpable()]

        def order(turn: tuple[Job, bool]) -> tuple[float, ...]:
            job, _ = turn
            return busy[job.owner], served[job.owner], job.created

        return [
            Turn(job.id, job.owner, helps, job.parts_key) for job, helps in sorted(found, key=order)
        ]

    def serve(self, owner: str) -> None:
        """Take note that a unit of this owner's was begun."""
        self._session.execute(update(Key).where(Key.id == owner).values(served=clock()))

    def _oldest(self) -> list[Job]:
        """The first job of each owner that nobody works on."""
        place = func.row_number().over(partition_by=Job.owner, order_by=(Job.created, Job.id))
        queue = select(Job.id, place.label("place")).where(
            waiting(), Job.attempts < self._allowed, Job.process == self._process
        )
        first = queue.subquery()
        query = select(Job).join(first, first.c.id == Job.id).where(first.c.place == 1)
        return list(self._session.scalars(query))

    def _helpable(self) -> list[Job]:
        """The jobs that somebody leads and that have parts for others."""
        open_parts = select(Part.job_id).where(parts.waiting(self._allowed))
        query = (
            select(Job)
            .where(Job.state == State.RUNNING, Job.lease_until >= clock(), Job.id.in_(open_parts))
            .where(Job.process == self._process)
        )
        return list(self._session.scalars(query))

    def _busy(self) -> Counter[str]:
        """How many units of each owner are being worked on."""
        whole = (
            select(Job.owner, func.count())
            .where(Job.state == State.RUNNING, Job.lease_until >= clock(), Job.parts_key.is_(None))
            .where(Job.process == self._process)
            .group_by(Job.owner)
        )
        cut = (
            select(Job.owner, func.count())
            .join(Part, Part.job_id == Job.id)
            .where(Part.finished.is_(None), Part.lease_until >= clock())
            .where(Job.state.in_([State.ACCEPTED, State.RUNNING]))
            .group_by(Job.owner)
        )
        busy: Counter[str] = Counter()
        for query in (whole, cut):
            for owner, count in self._session.execute(query):
                busy[owner] += count
        return busy

    def _served(self) -> dict[str, float]:
        query = select(Key.id, func.coalesce(Key.served, 0.0))
        return {key: served for key, served in self._session.execute(query)}  # noqa: C416 - rows
