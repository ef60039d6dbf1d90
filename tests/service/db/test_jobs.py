"""Jobs in the database: who may change a row when, on both databases."""

import threading
from typing import Any

import pytest
from sqlalchemy import select, text, update

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.stalled_jobs import Backlog
from mfnet.service.db.session import Database, clock
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import Failure, State

CRASH = Failure("engine.died", "signal 9", {})
MISTAKE = Failure("pair.no_overlap", "0 %", {"overlap_percent": 0}, input_fault=True)


def submit(database: Database, owner: str, key: str | None = None, **inputs: Any) -> Job:
    with database.writing() as session:
        return JobRepository(session).submit(owner, "segment", inputs, key)[0]


def claim(database: Database, job: Job, lease_s: float = 60, allowed: int = 3) -> Job | None:
    with database.writing() as session:
        return JobRepository(session).claim(job.id, "me", lease_s, allowed)


def expire(database: Database, job: Job) -> None:
    with database.writing() as session:
        session.execute(update(Job).where(Job.id == job.id).values(lease_until=clock() - 1))


def get(database: Database, job: Job) -> Job:
    with database.reading() as session:
        found = JobRepository(session).get(job.id)
    assert found is not None
    return found


def test_a_job_goes_from_accepted_to_successful(database: Database, owner: str) -> None:
    job = submit(database, owner, ortho="a")
    assert (job.state, job.epoch, job.progress) == (State.ACCEPTED, 0, 0)
    mine = claim(database, job)
    assert mine is not None
    assert (mine.state, mine.epoch, mine.attempts) == (State.RUNNING, 1, 1)
    with database.writing() as session:
        assert JobRepository(session).renew(mine, 60, 42, "window 42 of 100")
    assert (get(database, job).progress, get(database, job).message) == (42, "window 42 of 100")
    with database.writing() as session:
        assert JobRepository(session).publish(mine)
    done = get(database, job)
    assert (done.state, done.result_epoch, done.progress) == (State.SUCCESSFUL, 1, 100)
    assert done.inputs == {"ortho": "a"}
    assert done.started is not None
    assert done.finished is not None
    assert done.created <= done.started <= done.finished
    assert done.updated == pytest.approx(done.finished, abs=0.1)


def test_the_lease_is_what_was_asked_for_by_the_databases_clock(
    database: Database, owner: str
) -> None:
    mine = claim(database, submit(database, owner), lease_s=1000)
    assert mine is not None
    assert mine.lease_until is not None
    assert mine.lease_until - mine.updated == pytest.approx(1000, abs=0.1)
    with database.reading() as session:
        now = session.execute(select(clock())).scalar_one()
    assert 0 <= now - mine.updated < 60


def test_a_running_job_cannot_be_claimed_until_its_lease_runs_out(
    database: Database, owner: str
) -> None:
    job = submit(database, owner)
    first = claim(database, job)
    assert claim(database, job) is None
    expire(database, job)
    second = claim(database, job)
    assert first is not None
    assert second is not None
    assert (first.epoch, second.epoch) == (1, 2)


def test_a_worker_that_was_taken_over_changes_nothing(database: Database, owner: str) -> None:
    job = submit(database, owner)
    stale = claim(database, job)
    expire(database, job)
    mine = claim(database, job)
    assert stale is not None
    assert mine is not None
    with database.writing() as session:
        jobs = JobRepository(session)
        assert not jobs.renew(stale, 60, 99, "stale")
        assert not jobs.publish(stale)
        assert jobs.fail(stale, CRASH, 3) is None
        assert not jobs.hand_back(stale)
    now = get(database, job)
    assert (now.state, now.epoch, now.progress, now.message) == (State.RUNNING, 2, 0, "")


def test_progress_never_falls_and_what_is_left_is_of_this_attempt(
    database: Database, owner: str
) -> None:
    job = submit(database, owner)
    first = claim(database, job)
    assert first is not None
    with database.writing() as session:
        assert JobRepository(session).renew(first, 60, 70, "window 70 of 100", 30.5)
    assert get(database, job).seconds_left == 30.5
    expire(database, job)
    second = claim(database, job)
    assert second is not None
    now = get(database, job)
    assert (now.progress, now.seconds_left, now.message) == (70, None, "")
    for told, kept in ((2, 70), (71, 71)):
        with database.writing() as session:
            assert JobRepository(session).renew(second, 60, told, "again", 60.0)
        assert get(database, job).progress == kept
    with database.writing() as session:
        assert JobRepository(session).hand_back(second)
    assert (get(database, job).progress, get(database, job).seconds_left) == (71, None)


def test_a_late_worker_keeps_a_job_that_nobody_took_over(database: Database, owner: str) -> None:
    job = submit(database, owner)
    mine = claim(database, job)
    expire(database, job)
    assert mine is not None
    with database.writing() as session:
        assert JobRepository(session).renew(mine, 60, 1, "")
    assert claim(database, job) is None


def test_a_crash_is_tried_three_times_then_failed_with_a_word_on_why(
    database: Database, owner: str
) -> None:
    job = submit(database, owner)
    states = []
    for _ in range(3):
        mine = claim(database, job)
        assert mine is not None
        with database.writing() as session:
            states.append(JobRepository(session).fail(mine, CRASH, 3))
    assert states == [State.ACCEPTED, State.ACCEPTED, State.FAILED]
    assert claim(database, job) is None
    assert get(database, job).error == CRASH.to_dict()


def test_the_callers_mistake_is_not_tried_again(database: Database, owner: str) -> None:
    job = submit(database, owner)
    mine = claim(database, job)
    assert mine is not None
    with database.writing() as session:
        assert JobRepository(session).fail(mine, MISTAKE, 3) is State.FAILED
    failed = get(database, job)
    assert failed.error is not None
    assert (failed.error["code"], failed.attempts) == ("pair.no_overlap", 1)


def test_a_message_with_a_nul_character_fails_the_job_too(database: Database, owner: str) -> None:
    job = submit(database, owner)
    mine = claim(database, job)
    assert mine is not None
    with database.writing() as session:
        torn = MISTAKE._replace(message="tag \0 is torn", params={"tag": "\0"})
        assert JobRepository(session).fail(mine, torn, 3) is State.FAILED
    assert get(database, job).message == "tag  is torn"


def test_handing_back_costs_no_attempt_but_an_epoch(database: Database, owner: str) -> None:
    job = submit(database, owner)
    for _ in range(5):
        mine = claim(database, job)
        assert mine is not None
        with database.writing() as session:
            assert JobRepository(session).hand_back(mine)
    after = get(database, job)
    assert (after.state, after.attempts, after.epoch) == (State.ACCEPTED, 0, 5)


def test_a_vanished_workers_last_attempt_fails_the_job(database: Database, owner: str) -> None:
    job, other = submit(database, owner), submit(database, owner)
    assert claim(database, other)
    for _ in range(3):
        assert claim(database, job)
        expire(database, job)
    assert claim(database, job) is None
    with database.writing() as session:
        assert list(Backlog(session).fail_abandoned(3)) == [job.id]
    failed = get(database, job)
    assert failed.state is State.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "job.abandoned"
    assert get(database, other).state is State.RUNNING


def test_a_lower_number_of_attempts_leaves_no_job_waiting_for_ever(
    database: Database, owner: str
) -> None:
    job, new = submit(database, owner), submit(database, owner)
    for _ in range(2):
        mine = claim(database, job)
        assert mine is not None
        with database.writing() as session:
            assert JobRepository(session).fail(mine, CRASH, 3) is State.ACCEPTED
    with database.writing() as session:
        assert list(Backlog(session).fail_abandoned(2)) == [job.id]
        assert list(Backlog(session).due()) == [new.id]


@pytest.mark.parametrize("running", [False, True])
def test_cancel_dismisses_and_the_worker_finds_out(
    database: Database, owner: str, running: bool
) -> None:
    job = submit(database, owner)
    mine = claim(database, job) if running else None
    with database.writing() as session:
        cancelled = JobRepository(session).cancel(job.id)
    assert cancelled is not None
    assert cancelled.state is State.DISMISSED
    assert claim(database, job) is None
    if mine:
        with database.writing() as session:
            assert not JobRepository(session).renew(mine, 60, 1, "")
            assert not JobRepository(session).publish(mine)
    with database.writing() as session:
        assert JobRepository(session).cancel(job.id) is None


def test_due_is_what_could_be_claimed_oldest_first(database: Database, owner: str) -> None:
    waiting, running, expired, done = (submit(database, owner) for _ in range(4))
    assert claim(database, running)
    assert claim(database, expired)
    expire(database, expired)
    finished = claim(database, done)
    assert finished
    with database.writing() as session:
        JobRepository(session).publish(finished)
        assert list(Backlog(session).due()) == [waiting.id, expired.id]


def test_the_same_idempotency_key_finds_the_first_job(database: Database, owner: str) -> None:
    first = submit(database, owner, "key", ortho="a")
    with database.writing() as session:
        again, new = JobRepository(session).submit(owner, "segment", {"ortho": "b"}, "key")
    assert (again.id, new, again.inputs) == (first.id, False, {"ortho": "a"})
    assert submit(database, owner).id != submit(database, owner).id


def test_of_many_claimants_one_wins(database: Database, owner: str) -> None:
    jobs = [submit(database, owner) for _ in range(10)]
    wins: list[str] = []
    start = threading.Barrier(8)

    def grab() -> None:
        start.wait()
        wins.extend(job.id for job in jobs if claim(database, job))

    threads = [threading.Thread(target=grab) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins) == sorted(job.id for job in jobs)
    assert {get(database, job).epoch for job in jobs} == {1}


def test_of_many_requests_with_one_idempotency_key_one_makes_a_job(
    database: Database, owner: str
) -> None:
    start = threading.Barrier(8)
    made: list[tuple[str, bool]] = []

    def ask() -> None:
        start.wait()
        with database.writing() as session:
            job, new = JobRepository(session).submit(owner, "segment", {}, "key")
        made.append((job.id, new))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len({job_id for job_id, _ in made}) == 1
    assert sum(new for _, new in made) == 1


def test_pages_are_newest_first_and_do_not_shift(database: Database, owner: str) -> None:
    jobs = [submit(database, owner) for _ in range(5)]
    ids = [job.id for job in reversed(jobs)]
    with database.reading() as session:
        first = [job.id for job in JobRepository(session).page(owner, limit=2)]
    newer = submit(database, owner)
    with database.reading() as session:
        repository = JobRepository(session)
        rest = [job.id for job in repository.page(owner, limit=9, after=first[-1])]
        assert first + rest == ids
        assert [j.id for j in repository.page(limit=1)] == [newer.id]
        assert not repository.page("nobody", limit=9)
        assert not repository.page(owner, limit=9, states=[State.FAILED])
        assert len(repository.page(owner, limit=9, processes=["segment"])) == 6
        between = repository.page(
            owner, limit=9, created_from=jobs[1].created, created_to=jobs[2].created
        )
        assert [job.id for job in between] == [jobs[2].id, jobs[1].id]


def test_anothers_job_is_not_found(database: Database, owner: str) -> None:
    job = submit(database, owner)
    with database.reading() as session:
        assert JobRepository(session).get(job.id, owner)
        assert JobRepository(session).get(job.id, "another") is None


def test_an_error_that_is_absent_is_null(database: Database, owner: str) -> None:
    submit(database, owner)
    with database.reading() as session:
        missing = session.execute(text("SELECT count(*) FROM jobs WHERE error IS NULL"))
        assert missing.scalar_one() == 1


def test_jobs_by_how_long_they_took(database, owner):
    with database.writing() as session:
        jobs = JobRepository(session)
        ids = [jobs.submit(owner, "segment", {})[0].id for _ in range(2)]
        claimed = jobs.claim(ids[0], "test", 60, 3)
        claimed.started -= 100
        session.flush()
        assert [job.id for job in jobs.page(owner, limit=9, min_duration=50)] == [ids[0]]
        assert jobs.page(owner, limit=9, min_duration=50, max_duration=60) == []
        assert jobs.page(owner, limit=9, max_duration=50) == []
