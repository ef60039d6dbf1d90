"""Numbers over everybody's jobs, uploads and tiles."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, distinct, func, select, union_all
from sqlalchemy.orm import Session

from mfnet.service.db.repositories.jobs import waiting
from mfnet.service.db.session import clock
from mfnet.service.db.tables import Job, Part, Tile, Upload
from mfnet.service.domain.job import State


class Queue(NamedTuple):
    """The jobs of a process that a worker could begin now.

    Attributes:
        jobs: How many.
        oldest_s: Seconds since the oldest was submitted; 0 without any.
    """

    jobs: int
    oldest_s: float


class Ended(NamedTuple):
    """Jobs of a process that have come to their end of late, and how long they took.

    Attributes:
        waited_s: From submission to their last attempt, each.
        worked_s: From there to their end, each.
        megapixels: Of the orthophotos of those that succeeded, where they are still there.
    """

    waited_s: Sequence[float]
    worked_s: Sequence[float]
    megapixels: float


class Totals:
    """Counts of one transaction.

    Args:
        session: An open transaction.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def jobs(self) -> dict[tuple[str, State], int]:
        """Jobs by process and state; those that were removed are not known any more."""
        query = select(Job.process, Job.state, func.count()).group_by(Job.process, Job.state)
        return {(process, state): n for process, state, n in self._session.execute(query)}

    def failed(self) -> dict[tuple[str, str], int]:
        """Failed jobs by process and error code."""
        code = Job.error["code"].as_string()
        query = select(Job.process, code, func.count()).where(Job.state == State.FAILED)
        rows = self._session.execute(query.group_by(Job.process, code))
        return {(process, code or "unknown"): n for process, code, n in rows}

    def queue(self, process: str) -> Queue:
        """What waits."""
        query = select(func.count(), clock() - func.min(Job.created))
        count, oldest = self._session.execute(query.where(waiting(), Job.process == process)).one()
        return Queue(count, max(oldest or 0, 0))

    def busy_workers(self) -> int:
        """Workers with a job or a part at hand."""
        at_jobs = select(Job.worker).where(
            Job.state == State.RUNNING, Job.lease_until >= clock(), Job.worker.is_not(None)
        )
        at_parts = select(Part.worker).where(
            Part.finished.is_(None), Part.lease_until >= clock(), Part.worker.is_not(None)
        )
        both = union_all(at_jobs, at_parts).subquery()
        return self._session.scalar(select(func.count(distinct(both.c.worker)))) or 0

    def ended(self, process: str, seconds: float, limit: int = 10_000) -> Ended:
        """The jobs that have ended in the last `seconds`, the newest `limit` at most."""
        of_late: list[ColumnElement[bool]] = [
            Job.process == process,
            Job.finished >= clock() - seconds,
            Job.started.is_not(None),
        ]
        query = select(Job.created, Job.started, Job.finished).where(*of_late)
        rows = self._session.execute(query.order_by(Job.finished.desc()).limit(limit)).all()
        times = [(float(c), float(s), float(f)) for c, s, f in rows if s is not None and f]
        raster = Upload.report["raster"]
        pixels = raster["height"].as_integer() * raster["width"].as_float()
        area = (
            select(func.sum(pixels))
            .join(Job, Job.inputs["ortho"].as_string() == Upload.id)
            .where(*of_late, Job.state == State.SUCCESSFUL)
        )
        return Ended(
            [started - created for created, started, _ in times],
            [finished - started for _, started, finished in times],
            (self._session.scalar(area) or 0) / 1e6,
        )

    def uploads(self) -> tuple[int, int]:
        """Uploads, and their bytes."""
        count, size = self._session.execute(select(func.count(), func.sum(Upload.bytes))).one()
        return count, int(size or 0)

    def drifted(self) -> dict[str, int]:
        """Jobs whose input is unlike what their model has seen, by the model."""
        model = Job.inputs["model"].as_string()
        query = select(model, func.count()).where(Job.drift.is_not(None)).group_by(model)
        return {name: n for name, n in self._session.execute(query)}  # noqa: C416 - rows

    def tiles(self) -> int:
        """Labelled tiles."""
        return self._session.scalars(select(func.count()).select_from(Tile)).one()
