"""Batches in the database: the jobs of one request, and what is told of them together."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mfnet.service.db.session import clock
from mfnet.service.db.tables import Job
from mfnet.service.domain.batch import Summary, sum_up
from mfnet.service.domain.job import BATCH, Failure, State
from mfnet.service.errors import BatchFailed


class BatchRepository:
    """The batches of one transaction.

    Args:
        session: An open transaction: `Database.writing()` for whatever changes a row.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def jobs(self, batch: Job) -> Sequence[Job]:
        """The jobs of a batch that are still there, in the order in which they were asked for."""
        query = select(Job).where(Job.batch == batch.id)
        there = {job.id: job for job in self._session.scalars(query)}
        return [there[each] for each in batch.inputs["jobs"] if each in there]

    def sum_up(self, batch_id: str | None = None) -> None:
        """Tells of batches that have not come to their end how far they are.

        Args:
            batch_id: The one; None for all. Who holds rows of its jobs meanwhile may stand in the
                way of whoever cancels it: do so in a transaction of its own.
        """
        running = [Job.process == BATCH, Job.state == State.RUNNING]
        if batch_id is not None:
            running.append(Job.id == batch_id)
        ids = select(Job.id).where(*running)
        children = select(Job.batch, Job.state, Job.progress).where(Job.batch.in_(ids))
        found = defaultdict(list)
        for batch, state, progress in self._session.execute(children):
            found[batch].append((state, progress))
        for each in self._session.scalars(select(Job).where(*running).order_by(Job.id)).all():
            self._tell(each, sum_up(len(each.inputs["jobs"]), found[each.id]))

    def _tell(self, batch: Job, told: Summary) -> None:
        progress = max(told.progress, batch.progress)
        if (told.state, progress, told.message) == (batch.state, batch.progress, batch.message):
            return
        final = told.state is not State.RUNNING
        error = Failure(BatchFailed.code, told.message, {}, input_fault=True).to_dict()
        statement = (
            update(Job)
            .where(Job.id == batch.id, Job.state == State.RUNNING)
            .values(
                state=told.state,
                progress=progress,
                message=told.message,
                updated=clock(),
                finished=clock() if final else None,
                error=error if told.state is State.FAILED else None,
            )
            .execution_options(synchronize_session=False)
        )
        self._session.execute(statement)


def begin(session: Session, batch: Job, jobs: Sequence[Job]) -> None:
    """A batch is at work from the start, by nobody in particular, and no worker may claim it."""
    for job in jobs:
        job.batch = batch.id
    batch.inputs = batch.inputs | {"jobs": [job.id for job in jobs]}
    batch.state, batch.started = State.RUNNING, batch.created
    session.flush()
    BatchRepository(session).sum_up(batch.id)


def refuse(session: Session, job: Job, failure: Failure) -> None:
    """A job of a batch whose pair was refused has failed before anybody began it."""
    job.state, job.error, job.message = State.FAILED, failure.to_dict(), failure.message
    job.finished = job.created
    session.flush()
