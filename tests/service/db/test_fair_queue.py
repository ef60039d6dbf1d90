"""Whose turn it is: nobody waits behind another's thousand jobs, or behind his raster."""

from typing import Any

import pytest
from sqlalchemy import update

from mfnet.service.db.repositories.fair_queue import TurnRepository
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.parts import PartRepository
from mfnet.service.db.session import Database, clock
from mfnet.service.db.tables import Job

ALLOWED = 3


class JobQueue:
    """Owners with jobs, and what workers do with them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.owners: dict[str, str] = {}

    def owner(self, name: str) -> str:
        if name not in self.owners:
            with self.database.writing() as session:
                self.owners[name] = KeyRepository(session).create(name, "user")[0].id
        return self.owners[name]

    def submit(self, name: str, jobs: int = 1) -> list[str]:
        owner = self.owner(name)
        with self.database.writing() as session:
            repository = JobRepository(session)
            return [repository.submit(owner, "segment", {})[0].id for _ in range(jobs)]

    def turns(self) -> list[tuple[str, bool]]:
        names = {key: name for name, key in self.owners.items()}
        with self.database.reading() as session:
            turns = TurnRepository(session, ALLOWED).waiting()
            return [(names[turn.owner], turn.helps) for turn in turns]

    def begin(self, lease_s: float = 60) -> Job:
        """What a worker does first: claim the fairest job."""
        with self.database.writing() as session:
            turns = TurnRepository(session, ALLOWED)
            turn = next(turn for turn in turns.waiting() if not turn.helps)
            job = JobRepository(session).claim(turn.job_id, "w", lease_s, ALLOWED)
            assert job is not None
            turns.serve(turn.owner)
        return job

    def end(self, job: Job) -> None:
        with self.database.writing() as session:
            assert JobRepository(session).publish(job)

    def name(self, job: Job) -> str:
        return next(name for name, key in self.owners.items() if key == job.owner)


@pytest.fixture
def queue(database: Database) -> JobQueue:
    return JobQueue(database)


def test_a_thousand_jobs_of_one_hold_another_up_for_one(queue: JobQueue) -> None:
    queue.submit("many", 1000)
    running = queue.begin()
    queue.submit("one")
    assert queue.turns() == [("one", False), ("many", False)]
    queue.end(running)
    assert queue.name(queue.begin()) == "one"


def test_owners_take_turns_however_many_workers_there_are(queue: JobQueue) -> None:
    for name in "abc":
        queue.submit(name, 30)
    begun: list[str] = []
    running: list[Job] = []
    for _ in range(30):
        if len(running) == 4:
            queue.end(running.pop(0))
        running.append(queue.begin())
        begun.append(queue.name(running[-1]))
    assert {name: begun.count(name) for name in "abc"} == {"a": 10, "b": 10, "c": 10}


def test_an_owners_own_jobs_go_in_their_order(queue: JobQueue) -> None:
    ids = queue.submit("a", 5)
    done = []
    for _ in ids:
        job = queue.begin()
        done.append(job)
        queue.end(job)
    assert {job.id for job in done} == set(ids)
    # SQLite's clock counts milliseconds: of two jobs in one, either may be the first.
    assert [job.created for job in done] == sorted(job.created for job in done)


def test_who_has_least_at_work_comes_first_even_if_served_last(queue: JobQueue) -> None:
    queue.submit("a", 3)
    queue.submit("b", 3)
    first, second, third = queue.begin(), queue.begin(), queue.begin()
    assert [queue.name(job) for job in (first, second, third)] == ["a", "b", "a"]
    queue.end(first)
    queue.end(third)
    assert queue.turns()[0] == ("a", False)


def cut_job(queue: JobQueue, job: Job, parts: int = 3) -> None:
    with queue.database.writing() as session:
        cuts = [range(512 * n, 512 * n + 512) for n in range(parts)]
        assert PartRepository(session).cut(job, cuts, "key")


def test_parts_count_as_much_as_jobs(queue: JobQueue) -> None:
    queue.submit("large")
    cut_job(queue, queue.begin())
    assert queue.turns() == [("large", True)]
    queue.submit("small", 3)
    assert queue.turns() == [("small", False), ("large", True)]
    for _ in range(2):
        queue.begin()
    assert queue.turns() == [("large", True), ("small", False)]
    with queue.database.writing() as session:
        for _ in range(3):
            (turn, *_) = [t for t in TurnRepository(session, ALLOWED).waiting() if t.helps]
            assert turn.parts_key == "key"
            assert PartRepository(session).claim(turn.job_id, "w", 60, ALLOWED)
    assert queue.turns() == [("small", False)]


def test_a_cut_job_without_a_leader_wants_one_and_no_help(queue: JobQueue) -> None:
    queue.submit("large")
    job = queue.begin()
    cut_job(queue, job)
    with queue.database.writing() as session:
        assert JobRepository(session).hand_back(job)
    assert queue.turns() == [("large", False)]
    assert queue.begin().id == job.id
    with queue.database.writing() as session:
        session.execute(update(Job).values(lease_until=clock() - 1))
    assert queue.turns() == [("large", False)]


def test_what_has_no_attempt_left_waits_for_nobody(queue: JobQueue) -> None:
    queue.submit("a")
    for _ in range(ALLOWED):
        queue.begin(lease_s=-1)
    assert queue.turns() == []


def test_nobody_waits_in_an_empty_house(database: Database) -> None:
    with database.reading() as session:
        turns: list[Any] = TurnRepository(session, ALLOWED).waiting()
    assert turns == []
