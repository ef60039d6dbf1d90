"""Parts of jobs in the database, on both databases; and where rasters are cut."""

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.parts import PartRepository
from mfnet.service.db.repositories.stalled_jobs import Backlog
from mfnet.service.db.session import Database, clock
from mfnet.service.db.tables import Job, Part
from mfnet.service.domain.job import LEAST_ROWS, ROW_BLOCK, Failure, State, cut, parts_percent

CRASH = Failure("engine.died", "signal 9", {})
MISTAKE = Failure("raster.changed", "no", {}, input_fault=True)
CUTS = [range(0, 512), range(512, 1024), range(1024, 1200)]


@pytest.fixture
def job(database: Database, owner: str) -> Job:
    """Running, with an hour's lease, cut into three."""
    with database.writing() as session:
        accepted, _ = JobRepository(session).submit(owner, "segment", {})
        job = JobRepository(session).claim(accepted.id, "leader", 3600, 3)
        assert job is not None
        assert PartRepository(session).cut(job, CUTS, "key")
    job.parts_key = "key"
    return job


def claim(database: Database, job: Job, allowed: int = 3) -> Part | None:
    with database.writing() as session:
        return PartRepository(session).claim(job.id, "me", 60, allowed)


def taken(database: Database, job: Job) -> Part:
    part = claim(database, job)
    assert part is not None
    return part


def expire(database: Database, part: Part) -> None:
    with database.writing() as session:
        which = Part.job_id == part.job_id, Part.first_row == part.first_row
        session.execute(update(Part).where(*which).values(lease_until=clock() - 1))


def parts(database: Database, job: Job) -> Sequence[Part]:
    with database.reading() as session:
        return PartRepository(session).of(job.id)


def state(database: Database, job: Job) -> Job:
    with database.reading() as session:
        return session.scalars(select(Job).where(Job.id == job.id)).one()


@given(
    height=st.integers(1, 200_000), width=st.integers(1, 100_000), part=st.integers(0, 2 * 10**9)
)
def test_cuts_cover_a_raster_once_in_whole_blocks(height: int, width: int, part: int) -> None:
    cuts = cut(height, width, part)
    assert len(cuts) != 1
    assert [row for rows in cuts for row in (rows.start, rows.stop)][1:-1:2] == [
        rows.start for rows in cuts[1:]
    ]
    if cuts:
        assert (cuts[0].start, cuts[-1].stop) == (0, height)
        assert height * width > part > 0
        assert all(rows.start % ROW_BLOCK == 0 for rows in cuts)
        sizes = [len(rows) for rows in cuts]
        assert min(sizes) >= LEAST_ROWS
        assert max(sizes) - min(sizes) < 2 * ROW_BLOCK


def test_a_small_raster_is_not_cut() -> None:
    assert cut(4000, 4000, 16_000_000) == []
    assert [len(rows) for rows in cut(6000, 6000, 20_000_000)] == [3072, 2928]
    assert cut(LEAST_ROWS + 1, 10**9, 1) == []


def test_progress_is_the_parts_sum() -> None:
    assert parts_percent([]) == 0
    assert parts_percent([(300, 100), (100, 0)]) == 75
    assert parts_percent([(300, 100), (100, 100)]) == 99


def test_parts_are_claimed_from_the_top_and_each_once(database: Database, job: Job) -> None:
    assert [taken(database, job).first_row for _ in CUTS] == [0, 512, 1024]
    assert claim(database, job) is None


def test_of_many_claimants_each_gets_another_part(database: Database, job: Job) -> None:
    found: list[int] = []
    start = threading.Barrier(6)

    def grab() -> None:
        start.wait()
        claims = [claim(database, job) for _ in range(5)]  # two may have looked at the same one
        found.extend(part.first_row for part in claims if part)

    threads = [threading.Thread(target=grab) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 512, 1024]


def test_a_part_whose_worker_vanished_alone_is_claimed_again(database: Database, job: Job) -> None:
    gone, other = taken(database, job), taken(database, job)
    expire(database, gone)
    again = taken(database, job)
    assert (again.first_row, again.token, again.attempts) == (0, 2, 2)
    with database.writing() as session:
        repository = PartRepository(session)
        assert not repository.renew(gone, 60, 50)
        assert not repository.finish(gone)
        assert not repository.hand_back(gone)
        assert repository.fail(gone, CRASH, 3) is None
        assert repository.renew(other, 60, 50)
        assert repository.finish(other)
        assert not repository.finish(other)
    assert [part.progress for part in parts(database, job)] == [0, 100, 0]


def test_a_part_that_is_handed_back_costs_no_attempt(database: Database, job: Job) -> None:
    for _ in range(5):
        part = taken(database, job)
        assert part.first_row == 0
        with database.writing() as session:
            assert PartRepository(session).hand_back(part)
    assert parts(database, job)[0].attempts == 0


def test_the_last_attempt_of_a_part_is_the_jobs(database: Database, job: Job) -> None:
    states = []
    for _ in range(3):
        part = taken(database, job)
        with database.writing() as session:
            states.append(PartRepository(session).fail(part, CRASH, 3))
    assert states == [State.ACCEPTED, State.ACCEPTED, State.FAILED]
    failed = state(database, job)
    assert (failed.state, failed.error, failed.worker) == (State.FAILED, CRASH.to_dict(), None)
    assert failed.finished is not None
    assert claim(database, job) is None
    with database.writing() as session:
        assert not JobRepository(session).renew(job, 60, 1, "")


def test_the_callers_mistake_in_a_part_fails_the_job_at_once(database: Database, job: Job) -> None:
    part = taken(database, job)
    with database.writing() as session:
        assert PartRepository(session).fail(part, MISTAKE, 3) is State.FAILED
    assert state(database, job).error == MISTAKE.to_dict()


def test_a_cancel_reaches_helpers_with_their_heartbeat(database: Database, job: Job) -> None:
    part = taken(database, job)
    with database.writing() as session:
        assert JobRepository(session).cancel(job.id)
    with database.writing() as session:
        repository = PartRepository(session)
        assert not repository.renew(part, 60, 1)
        assert not repository.finish(part)
        assert repository.claim(job.id, "me", 60, 3) is None


def test_the_next_leader_finds_finished_parts_and_progress(database: Database, job: Job) -> None:
    part = taken(database, job)
    with database.writing() as session:
        assert PartRepository(session).finish(part)
        assert JobRepository(session).renew(job, 60, 42, "")
        assert JobRepository(session).hand_back(job)
        next_ = JobRepository(session).claim(job.id, "next", 60, 3)
        assert next_ is not None
        assert (next_.progress, next_.attempts, next_.parts_key) == (42, 1, "key")
        assert PartRepository(session).cut(next_, [range(0, 1200)], "key")
        assert not PartRepository(session).cut(job, CUTS, "key")  # the one before
    assert [part.finished is None for part in parts(database, job)] == [False, True, True]


def test_a_leader_of_another_kind_has_everything_computed_anew(
    database: Database, job: Job
) -> None:
    finished, running = taken(database, job), taken(database, job)
    with database.writing() as session:
        assert PartRepository(session).finish(finished)
        assert PartRepository(session).cut(job, CUTS, "another")
        assert not PartRepository(session).finish(running)
    assert [taken(database, job).first_row for _ in CUTS] == [0, 512, 1024]
    assert state(database, job).parts_key == "another"


def test_parts_whose_workers_always_vanish_are_found(database: Database, job: Job) -> None:
    for attempt in range(3):
        with database.reading() as session:
            assert not PartRepository(session).abandoned(job.id, 3), attempt
        part = taken(database, job)
        expire(database, part)
    with database.reading() as session:
        assert PartRepository(session).abandoned(job.id, 3)
        assert PartRepository(session).due(3) == 2 * [(job.id, "key")]


def test_due_is_a_job_for_each_part_that_could_be_helped_with(database: Database, job: Job) -> None:
    taken(database, job)
    with database.writing() as session:
        assert PartRepository(session).due(3) == 2 * [(job.id, "key")]
        assert JobRepository(session).hand_back(job)
        assert PartRepository(session).due(3) == []  # its next leader is wanted first


def test_parts_go_with_their_job(database: Database, job: Job) -> None:
    with database.writing() as session:
        assert JobRepository(session).cancel(job.id)
        assert JobRepository(session).remove(job.id)
    assert parts(database, job) == []


def test_a_job_whose_workers_vanish_goes_on_while_parts_are_finished(
    database: Database, job: Job
) -> None:
    leaders = 0

    def lead() -> Job | None:
        nonlocal leaders
        with database.writing() as session:
            session.execute(update(Job).values(lease_until=clock() - 1))
            assert list(Backlog(session).fail_abandoned(3)) == ([] if leaders < 5 else [job.id])
            led = JobRepository(session).claim(job.id, "another", 3600, 3)
        leaders += 1
        return led

    for _ in CUTS:  # each leader finishes a part and vanishes
        part = taken(database, job)
        with database.writing() as session:
            assert PartRepository(session).finish(part)
        assert state(database, job).attempts == 0
        assert lead() is not None
    assert [lead() is not None for _ in range(3)] == [True, True, False]
    failed = state(database, job)
    assert (failed.state, failed.attempts) == (State.FAILED, 3)


def test_parts_that_vanish_again_and_again_come_to_an_end(database: Database, job: Job) -> None:
    rounds = 0
    while (part := claim(database, job)) is not None:
        with database.writing() as session:
            assert PartRepository(session).finish(part)
            PartRepository(session).reopen(job.id)
        rounds += 1
    assert rounds == 3 * len(CUTS)


def test_a_leader_that_had_got_on_fails_with_attempts_left(database: Database, job: Job) -> None:
    """And not by the count that it was claimed with."""
    job.attempts = 3
    part = taken(database, job)
    with database.writing() as session:
        assert PartRepository(session).finish(part)
        assert JobRepository(session).fail(job, CRASH, 3) is State.ACCEPTED
    assert state(database, job).attempts == 0
