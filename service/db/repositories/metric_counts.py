"""Numbers over everybody's jobs and tiles."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mfnet.service.db.tables import Job, Tile
from mfnet.service.domain.job import State


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

    def drifted(self) -> dict[str, int]:
        """Jobs whose input is unlike what their model has seen, by the model."""
        model = Job.inputs["model"].as_string()
        query = select(model, func.count()).where(Job.drift.is_not(None)).group_by(model)
        return {name: n for name, n in self._session.execute(query)}  # noqa: C416 - rows

    def tiles(self) -> int:
        """Labelled tiles."""
        return self._session.scalars(select(func.count()).select_from(Tile)).one()
