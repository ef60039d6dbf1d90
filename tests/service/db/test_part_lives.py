"""Random lives of a job in parts: each part is finished once, and a job publishes once."""

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
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import update

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.parts import PartRepository
from mfnet.service.db.session import Database, clock
from mfnet.service.db.tables import Job, Part
from mfnet.service.domain.job import FINAL, Failure, State

ALLOWED = 3
CUTS = [range(512 * n, 512 * n + 512) for n in range(4)]
FAILURES = st.builds(Failure, st.just("x"), st.just("y"), st.just({}), st.booleans())


class PartLives(RuleBasedStateMachine):
    """Leaders and helpers come, sleep through their leases and go; a model says who holds what."""

    leaders: Bundle[Job] = Bundle("leaders")
    claims: Bundle[Part] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(f"sqlite:///{Path(self.folder.name) / 'a.sqlite3'}")
        self.database.upgrade()
        self.token = {rows.start: 0 for rows in CUTS}
        self.attempts = dict(self.token)
        self.held: set[int] = set()
        self.finished: set[int] = set()
        self.state = State.ACCEPTED
        self.epoch = 0
        self.tried = 0
        self.abandoned = False  # the leader's lease has run out
        self.key: str | None = None

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    def ours(self, part: Part) -> bool:
        alive = self.state not in FINAL and part.first_row not in self.finished
        return alive and self.token[part.first_row] == part.token

    @initialize()
    def submit(self) -> None:
        with self.database.writing() as session:
            owner = KeyRepository(session).create("a", "user")[0].id
            self.job = JobRepository(session).submit(owner, "segment", {})[0].id

    @rule(target=leaders, key=st.sampled_from(["cpu", "cpu", "cpu", "cuda"]))
    def lead(self, key: str) -> Any:
        with self.database.writing() as session:
            job = JobRepository(session).claim(self.job, "w", 3600, ALLOWED)
        expired = self.abandoned and self.state is State.RUNNING
        free = self.state is State.ACCEPTED or expired
        assert (job is not None) == (free and self.tried < ALLOWED)
        if job is None:
            return multiple()
        self.tried, self.abandoned = self.tried + 1, False
        with self.database.writing() as session:
            assert PartRepository(session).cut(job, CUTS, key)
        self.state, self.epoch = State.RUNNING, self.epoch + 1
        if self.key not in (None, key):
            self.token = {row: token + 1 for row, token in self.token.items()}
            self.attempts = dict.fromkeys(self.attempts, 0)
            self.held, self.finished = set(), set()
        self.key = key
        return job

    @rule(leader=consumes(leaders))
    def hand_back(self, leader: Job) -> None:
        mine = self.state is State.RUNNING and self.epoch == leader.epoch
        with self.database.writing() as session:
            assert JobRepository(session).hand_back(leader) == mine
        if mine:
            self.state, self.abandoned, self.tried = State.ACCEPTED, False, max(self.tried - 1, 0)

    @rule()
    def vanish(self) -> None:
        """Of the leader."""
        with self.database.writing() as session:
            running = update(Job).where(Job.state == State.RUNNING)
            session.execute(running.values(lease_until=clock() - 1))
        self.abandoned = self.state is State.RUNNING

    @rule(leader=consumes(leaders))
    def fail_to_lead(self, leader: Job) -> None:
        mine = self.state is State.RUNNING and self.epoch == leader.epoch
        with self.database.writing() as session:
            state = JobRepository(session).fail(leader, Failure("x", "y", {}), ALLOWED)
        assert (state is not None) == mine
        if mine:
            self.state = State.FAILED if self.tried >= ALLOWED else State.ACCEPTED
            self.abandoned = False
            assert state is self.state

    @rule(leader=leaders)
    def publish(self, leader: Job) -> None:
        """As a leader does: when all parts are finished."""
        mine = self.state is State.RUNNING and self.epoch == leader.epoch
        with self.database.writing() as session:
            if any(part.finished is None for part in PartRepository(session).of(self.job)):
                return
            assert JobRepository(session).publish(leader) == mine
        if mine:
            self.state = State.SUCCESSFUL

    @rule(target=claims)
    def claim(self) -> Any:
        with self.database.writing() as session:
            part = PartRepository(session).claim(self.job, "w", 3600, ALLOWED)
        cut = self.key is not None and self.state not in FINAL
        free = [
            row
            for row, tried in sorted(self.attempts.items())
            if cut and row not in self.held | self.finished and tried < ALLOWED
        ]
        assert (part.first_row if part else None) == (free[0] if free else None)
        if part is None:
            return multiple()
        self.token[part.first_row] += 1
        self.attempts[part.first_row] += 1
        self.held.add(part.first_row)
        assert part.token == self.token[part.first_row]
        return part

    @rule(rows=st.sampled_from(CUTS))
    def expire(self, rows: range) -> None:
        with self.database.writing() as session:
            held = update(Part).where(Part.first_row == rows.start, Part.lease_until.is_not(None))
            session.execute(held.values(lease_until=clock() - 1))
        self.held.discard(rows.start)

    @rule(part=claims)
    def heartbeat(self, part: Part) -> None:
        ours = self.ours(part)
        with self.database.writing() as session:
            assert PartRepository(session).renew(part, 3600, 50) == ours
        if ours:
            self.held.add(part.first_row)

    @rule(part=consumes(claims))
    def finish(self, part: Part) -> None:
        ours = self.ours(part)
        with self.database.writing() as session:
            assert PartRepository(session).finish(part) == ours
        if ours:
            self.held.discard(part.first_row)
            self.finished.add(part.first_row)
            self.tried = 0

    @rule(part=consumes(claims), failure=FAILURES)
    def fail(self, part: Part, failure: Failure) -> None:
        ours = self.ours(part)
        with self.database.writing() as session:
            state = PartRepository(session).fail(part, failure, ALLOWED)
        assert (state is not None) == ours
        if ours:
            self.held.discard(part.first_row)
            if failure.input_fault or part.attempts >= ALLOWED:
                assert state is State.FAILED
                self.state = State.FAILED

    @rule()
    def cancel(self) -> None:
        with self.database.writing() as session:
            cancelled = JobRepository(session).cancel(self.job)
        assert (cancelled is not None) == (self.state not in FINAL)
        if cancelled is not None:
            self.state = State.DISMISSED

    @invariant()
    def the_database_agrees(self) -> None:
        with self.database.reading() as session:
            job = JobRepository(session).get(self.job)
            parts = PartRepository(session).of(self.job)
        assert job is not None
        assert (job.state, job.epoch, job.parts_key) == (self.state, self.epoch, self.key)
        assert (job.result_epoch is None) == (self.state is not State.SUCCESSFUL)
        assert job.attempts == self.tried
        assert {part.first_row for part in parts if part.finished is not None} == self.finished
        if parts:
            assert {part.first_row: part.token for part in parts} == self.token
        if self.state is State.SUCCESSFUL:
            assert len(self.finished) == len(CUTS)


def live(examples: int) -> None:
    chosen = settings(max_examples=examples, stateful_step_count=40)
    run_state_machine_as_test(PartLives, settings=chosen)


def test_random_lives_of_parts() -> None:
    live(20)


@pytest.mark.acceptance
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_steps() -> None:
    live(250)
