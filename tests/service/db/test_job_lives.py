"""Random lives of a few jobs, on the real repository: one publish at most, epochs never fall."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, update

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.stalled_jobs import Backlog
from mfnet.service.db.session import Database, clock
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import FINAL, TRANSITIONS, Failure, State

ALLOWED = 3
FAILURES = st.builds(Failure, st.just("x"), st.just("y"), st.just({}), st.booleans())


class JobLives(RuleBasedStateMachine):
    """Claims are kept as workers keep them, stale ones too; a model says who may do what."""

    jobs: Bundle[str] = Bundle("jobs")
    claims: Bundle[Job] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(f"sqlite:///{Path(self.folder.name) / 'a.sqlite3'}")
        self.database.upgrade()
        with self.database.writing() as session:
            self.owner = KeyRepository(session).create("a", "user")[0].id
        self.state: dict[str, State] = {}
        self.epoch: dict[str, int] = {}
        self.attempts: dict[str, int] = {}
        self.expired: set[str] = set()
        self.published: dict[str, int] = {}

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    def ours(self, claim: Job) -> bool:
        running = self.state[claim.id] is State.RUNNING
        return running and self.epoch[claim.id] == claim.epoch

    def go(self, job_id: str, state: State) -> None:
        assert state in TRANSITIONS[self.state[job_id]]
        self.state[job_id] = state
        self.expired.discard(job_id)

    @rule(target=jobs)
    def submit(self) -> str:
        with self.database.writing() as session:
            job, new = JobRepository(session).submit(self.owner, "segment", {})
        assert new
        self.state[job.id], self.epoch[job.id], self.attempts[job.id] = State.ACCEPTED, 0, 0
        return job.id

    @rule(target=claims, job_id=jobs)
    def claim(self, job_id: str) -> Any:
        with self.database.writing() as session:
            job = JobRepository(session).claim(job_id, "w", 3600, ALLOWED)
        free = self.state[job_id] is State.ACCEPTED or job_id in self.expired
        assert (job is not None) == (free and self.attempts[job_id] < ALLOWED)
        if job is None:
            return multiple()
        self.go(job_id, State.RUNNING)
        self.epoch[job_id] += 1
        self.attempts[job_id] += 1
        assert (job.epoch, job.attempts) == (self.epoch[job_id], self.attempts[job_id])
        return job

    @rule(job_id=jobs)
    def expire(self, job_id: str) -> None:
        with self.database.writing() as session:
            running = update(Job).where(Job.id == job_id, Job.state == State.RUNNING)
            session.execute(running.values(lease_until=clock() - 1))
        if self.state[job_id] is State.RUNNING:
            self.expired.add(job_id)

    @rule(claim=claims)
    def heartbeat(self, claim: Job) -> None:
        with self.database.writing() as session:
            assert JobRepository(session).renew(claim, 3600, 1, "") == self.ours(claim)
        if self.ours(claim):
            self.expired.discard(claim.id)

    @rule(claim=claims)
    def publish(self, claim: Job) -> None:
        with self.database.writing() as session:
            published = JobRepository(session).publish(claim)
        assert published == self.ours(claim)
        if published:
            assert claim.id not in self.published
            self.published[claim.id] = claim.epoch
            self.go(claim.id, State.SUCCESSFUL)

    @rule(claim=consumes(claims), failure=FAILURES)
    def fail(self, claim: Job, failure: Failure) -> None:
        with self.database.writing() as session:
            state = JobRepository(session).fail(claim, failure, ALLOWED)
        assert (state is not None) == self.ours(claim)
        if state is not None:
            last = failure.input_fault or self.attempts[claim.id] == ALLOWED
            assert state is (State.FAILED if last else State.ACCEPTED)
            self.go(claim.id, state)

    @rule(claim=claims)
    def hand_back(self, claim: Job) -> None:
        with self.database.writing() as session:
            handed_back = JobRepository(session).hand_back(claim)
        assert handed_back == self.ours(claim)
        if handed_back:
            self.attempts[claim.id] -= 1
            self.go(claim.id, State.ACCEPTED)

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        with self.database.writing() as session:
            cancelled = JobRepository(session).cancel(job_id)
        assert (cancelled is not None) == (self.state[job_id] not in FINAL)
        if cancelled is not None:
            self.go(job_id, State.DISMISSED)

    @rule()
    def reconcile(self) -> None:
        with self.database.writing() as session:
            abandoned = set(Backlog(session).fail_abandoned(ALLOWED))
            due = set(Backlog(session).due())
        assert abandoned == {j for j in self.expired if self.attempts[j] == ALLOWED}
        for job_id in abandoned:
            self.go(job_id, State.FAILED)
        waiting = {j for j, state in self.state.items() if state is State.ACCEPTED}
        assert due == waiting | self.expired

    @invariant()
    def the_database_agrees(self) -> None:
        with self.database.reading() as session:
            rows = {job.id: job for job in session.scalars(select(Job))}
        assert {i: row.state for i, row in rows.items()} == self.state
        assert {i: row.epoch for i, row in rows.items()} == self.epoch
        published = {i: row.result_epoch for i, row in rows.items() if row.result_epoch is not None}
        assert published == self.published
        for row in rows.values():
            assert (row.finished is not None) == (row.state in FINAL)
            assert (row.lease_until is not None) == (row.state is State.RUNNING)


def live(examples: int) -> None:
    chosen = settings(max_examples=examples, stateful_step_count=40)
    run_state_machine_as_test(JobLives, settings=chosen)


def test_random_lives_of_jobs() -> None:
    live(25)


@pytest.mark.acceptance
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_steps() -> None:
    live(250)
