"""Jobs in the database. Each change is one statement whose WHERE says who may make it."""

import uuid
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, func, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mfnet.service.db.repositories.callbacks import CallbackRepository
from mfnet.service.db.session import clock
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import FINAL, SEGMENT, Failure, State, after_failure
from mfnet.service.domain.job_estimate import Finished
from mfnet.service.domain.job_uploads import UPLOADS

_CLEARED = {"worker": None, "lease_until": None, "seconds_left": None}

_SUBSCRIBER = "subscriber"
_LATELY = 50


class JobRepository:
    """The jobs of one transaction.

    Args:
        session: An open transaction: `Database.writing()` for whatever changes a row.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    # ---- for the API -----------------------------------------------------------------------

    def submit(
        self,
        owner: str,
        process: str,
        inputs: dict[str, Any],
        idempotency_key: str | None = None,
        request_sha256: str | None = None,
        *,
        remarks: list[dict[str, Any]] | None = None,
        drift: dict[str, Any] | None = None,
        estimate: dict[str, Any] | None = None,
        result_key: str | None = None,
        webhook_secret: str = "",
        made: tuple[Job, str] | None = None,
    ) -> tuple[Job, bool]:
        """Accept a job. Ring for it after the commit.

        Args:
            owner: Id of the caller's key.
            process: What is to be run.
            inputs: As `tables.Job` keeps them; and its `subscriber`, if somebody is to be told.
            idempotency_key: The caller's name for this request.
            request_sha256: Of the inputs as they were sent.
            remarks: On how they are read, and what is odd about them.
            drift: How they differ from what the model has seen, if they do.
            estimate: What it will take.
            result_key: A name for all that its results depend on.
            webhook_secret: For a `subscriber`, where the owner's key has none yet.
            made: The job that had the same results, and the id under which they lie for this one:
                it is successful at once.

        Returns:
            The job, and whether it is new: the same owner's same idempotency key finds the job
            of the first request, which may have been another (the caller compares them).
        """
        if idempotency_key is not None and (job := self.submitted(owner, idempotency_key)):
            return job, False
        now = self._session.execute(select(clock())).scalar_one()
        job = Job(
            id=uuid.uuid4().hex,
            owner=owner,
            process=process,
            state=State.ACCEPTED,
            inputs={name: value for name, value in inputs.items() if name != _SUBSCRIBER},
            idempotency_key=idempotency_key,
            request_sha256=request_sha256,
            remarks=remarks or None,
            drift=drift,
            estimate=estimate,
            result_key=result_key,
            created=now,
            updated=now,
        )
        if made is not None:
            _take_over(job, *made)
        try:
            with self._session.begin_nested():
                self._session.add(job)
        except IntegrityError:
            # Another request with this idempotency key was committed since we looked.
            if idempotency_key is None or not (first := self.submitted(owner, idempotency_key)):
                raise
            return first, False
        if _SUBSCRIBER in inputs:
            callbacks = CallbackRepository(self._session)
            callbacks.subscribe(job, inputs[_SUBSCRIBER], webhook_secret)
        return job, True

    def submitted(self, owner: str, idempotency_key: str) -> Job | None:
        """The job that the owner's first request with this idempotency key made."""
        query = select(Job).where(Job.owner == owner, Job.idempotency_key == idempotency_key)
        return self._session.scalars(query).one_or_none()

    def get(self, job_id: str, owner: str | None = None) -> Job | None:
        """The job, if it exists and belongs to `owner` (None: to anybody)."""
        query = select(Job).where(Job.id == job_id)
        if owner is not None:
            query = query.where(Job.owner == owner)
        return self._session.scalars(query).one_or_none()

    def page(
        self,
        owner: str | None = None,
        *,
        limit: int,
        after: str | None = None,
        states: Sequence[State] = (),
        processes: Sequence[str] = (),
        created_from: float | None = None,
        created_to: float | None = None,
        min_duration: float | None = None,
        max_duration: float | None = None,
        oldest_first: bool = False,
        batch: str | None = None,
        ids: Collection[str] | None = None,
        asked_for: str | None = None,
    ) -> Sequence[Job]:
        """Jobs, newest first.

        Args:
            owner: Only this owner's; None for all.
            limit: At most so many.
            after: Id of the last job of the page before; jobs that came since do not shift pages.
            states: Only jobs in one of these; empty for all.
            processes: Only jobs of one of these; empty for all.
            created_from: Seconds since 1970, included.
            created_to: Seconds since 1970, included.
            min_duration: Seconds that the work has taken, at least; jobs that have begun alone.
            max_duration: At most.
            oldest_first: The other way round.
            batch: Only jobs of this one.
            ids: Only these.
            asked_for: Only jobs of which this input is true.
        """
        order = (Job.created, Job.id) if oldest_first else (Job.created.desc(), Job.id.desc())
        query = select(Job).order_by(*order).limit(limit)
        if owner is not None:
            query = query.where(Job.owner == owner)
        if states:
            query = query.where(Job.state.in_(states))
        if processes:
            query = query.where(Job.process.in_(processes))
        if batch is not None:
            query = query.where(Job.batch == batch)
        if created_from is not None:
            query = query.where(Job.created >= created_from)
        if created_to is not None:
            query = query.where(Job.created <= created_to)
        if ids is not None:
            query = query.where(Job.id.in_(ids))
        if asked_for is not None:
            query = query.where(Job.inputs[asked_for].as_boolean())
        taken = func.coalesce(Job.finished, clock()) - Job.started
        if min_duration is not None:
            query = query.where(taken >= min_duration)
        if max_duration is not None:
            query = query.where(taken <= max_duration)
        if after is not None and (last := self.get(after, owner)) is not None:
            here, there = tuple_(Job.created, Job.id), tuple_(last.created, last.id)
            query = query.where(here > there if oldest_first else here < there)
        return self._session.scalars(query).all()

    def waiting_of(self, owner: str) -> int:
        """How many jobs of an owner nobody has begun."""
        query = select(func.count()).where(Job.owner == owner, Job.state == State.ACCEPTED)
        return int(self._session.execute(query).scalar_one())

    def made(self, owner: str, result_key: str) -> Job | None:
        """The owner's newest job that has the results of this key."""
        query = select(Job).where(
            Job.owner == owner, Job.result_key == result_key, Job.state == State.SUCCESSFUL
        )
        newest = query.order_by(Job.created.desc(), Job.id.desc()).limit(1)
        return self._session.scalars(newest).one_or_none()

    def finished_lately(self) -> list[Finished]:
        """The newest maps that were made, of whomever."""
        query = select(Job.inputs, Job.estimate, Job.finished - Job.started).where(
            Job.process == SEGMENT,
            Job.state == State.SUCCESSFUL,
            Job.estimate.is_not(None),
            Job.started.is_not(None),  # or it was not computed
        )
        newest = self._session.execute(query.order_by(Job.created.desc()).limit(_LATELY))
        return [Finished(inputs, told["windows"], seconds) for inputs, told, seconds in newest]

    def cancel(self, job_id: str) -> Job | None:
        """Dismiss the job, whoever works on it.

        The worker's next heartbeat finds no row of its own any more, so it stops its engine and
        writes nothing; nobody has to wait for that.

        Returns:
            The dismissed job; None where there is none, or it had come to its end already.
        """
        return self._change(
            Job.id == job_id,
            Job.state.in_([State.ACCEPTED, State.RUNNING]),
            state=State.DISMISSED,
            message="cancelled",
            finished=clock(),
            **_CLEARED,
        )

    def remove(self, job_id: str) -> bool:
        """Forget a job that has come to its end; its files are the caller's to remove."""
        statement = delete(Job).where(Job.id == job_id, Job.state.in_(FINAL)).returning(Job.id)
        return self._session.scalars(statement).one_or_none() is not None

    def needing(self, upload_id: str) -> Job | None:
        """A job that has not come to its end and reads this upload."""
        reads = [Job.inputs[role].as_string() == upload_id for role in UPLOADS]
        query = select(Job).where(Job.state.not_in(FINAL), or_(*reads))
        return self._session.scalars(query.limit(1)).one_or_none()

    # ---- for workers -----------------------------------------------------------------------

    def claim(self, job_id: str, worker: str, lease_s: float, allowed: int) -> Job | None:
        """Take the job, if nobody has it: one statement, so one of many claimants wins.

        Args:
            job_id: The job.
            worker: Who claims, for people to read.
            lease_s: Seconds until others may claim it, unless `renew` comes first.
            allowed: Attempts that a job has.

        Returns:
            The job with its new epoch; None where it is somebody else's, finished or gone.
        """
        # A job in parts goes on where it was; progress is that of the attempt that came farthest.
        return self._change(
            Job.id == job_id,
            waiting(),
            Job.attempts < allowed,
            state=State.RUNNING,
            epoch=Job.epoch + 1,
            attempts=Job.attempts + 1,
            worker=worker,
            lease_until=clock() + lease_s,
            seconds_left=None,
            message="",
            started=case((Job.parts_key.is_(None), clock()), else_=Job.started),
        )

    def renew(
        self,
        job: Job,
        lease_s: float,
        progress: int,
        message: str,
        seconds_left: float | None = None,
    ) -> bool:
        """Renew the lease and say how far the work is.

        Args:
            job: With our epoch.
            lease_s: Seconds until others may claim it.
            progress: 0 to 99; less than it was before changes nothing.
            message: What is done, for people.
            seconds_left: Until it is finished, where that can be told.

        Returns:
            False where the job is no longer ours: cancelled, or taken over. Stop at once.
        """
        changed = self._change_mine(
            job,
            lease_until=clock() + lease_s,
            progress=case((Job.progress > progress, Job.progress), else_=progress),
            message=message,
            seconds_left=seconds_left,
        )
        return changed is not None

    def publish(self, job: Job, message: str = "done", device: str | None = None) -> bool:
        """Make the files of our epoch the job's result; False where it is no longer ours.

        Args:
            job: With our epoch.
            message: For people.
            device: What computed them.
        """
        changed = self._change_mine(
            job,
            state=State.SUCCESSFUL,
            result_epoch=job.epoch,
            progress=100,
            message=message,
            device=device,
            error=None,  # of an attempt before
            finished=clock(),
            **_CLEARED,
        )
        return changed is not None

    def tell(self, job: Job, remarks: list[dict[str, Any]]) -> None:
        """Puts remarks into the place of what was said of our job before."""
        self._change_mine(job, remarks=remarks)

    def fail(self, job: Job, failure: Failure, allowed: int) -> State | None:
        """End our attempt without a result.

        Returns:
            `failed`, or `accepted` where the job is to be tried again; None where it is no
            longer ours.
        """
        # A part that was finished meanwhile has set them back.
        query = select(Job.attempts).where(*_held(job)).with_for_update()
        attempts = self._session.scalars(query).one_or_none()
        if attempts is None:
            return None
        state = after_failure(failure, attempts, allowed)
        final = state is State.FAILED
        why = failure.message.replace("\0", "")  # which PostgreSQL takes in no text
        changed = self._change_mine(
            job,
            state=state,
            error=failure.to_dict(),
            message=why if final else f"attempt {max(attempts, 1)} failed; trying again",
            finished=clock() if final else None,
            **_CLEARED,
        )
        return state if changed is not None else None

    def hand_back(self, job: Job) -> bool:
        """Let another worker have the job, because ours is shutting down: no attempt of the job's.

        Returns:
            False where it is no longer ours.
        """
        changed = self._change_mine(
            job,
            state=State.ACCEPTED,
            attempts=case((Job.attempts > 0, Job.attempts - 1), else_=0),
            message="waiting for another worker",
            **_CLEARED,
        )
        return changed is not None

    # ---- below -----------------------------------------------------------------------------

    def _change_mine(self, job: Job, **values: Any) -> Job | None:
        """Change the job if the epoch that `job` was claimed with is still the newest."""
        return self._change(*_held(job), **values)

    def _change(self, *where: ColumnElement[bool], **values: Any) -> Job | None:
        statement = (
            update(Job)
            .where(*where)
            .values(updated=clock(), **values)
            .returning(Job)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        return self._session.scalars(statement).one_or_none()


def _take_over(job: Job, earlier: Job, job_id: str) -> None:
    """Nobody computes a new job whose results are there: it has no beginning, but an end."""
    job.id, job.reused = job_id, earlier.id
    job.state, job.epoch, job.result_epoch, job.progress = State.SUCCESSFUL, 1, 1, 100
    job.finished = job.created
    job.message = f"the results of job {earlier.id}, which had the same inputs"
    job.device, job.remarks = earlier.device, earlier.remarks


def _held(job: Job) -> tuple[ColumnElement[bool], ...]:
    """The epoch that the job was claimed with is still the newest."""
    return Job.id == job.id, Job.state == State.RUNNING, Job.epoch == job.epoch


def waiting() -> ColumnElement[bool]:
    """Nobody works on it: accepted, or running under a lease that has run out."""
    expired = and_(Job.state == State.RUNNING, Job.lease_until < clock())
    return or_(Job.state == State.ACCEPTED, expired)
