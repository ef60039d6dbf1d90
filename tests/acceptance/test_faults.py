"""Kill, stop and empty everything in the middle of a job: it ends once, with the same bytes.

Real worker processes and a real Redis, on leases of four seconds; only the engine is a stub, whose
result is known beforehand, so "the same bytes" needs no undisturbed run to compare with.
"""

import pytest
from worker_host import Redis, WorkerHost, engine_of, until

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.domain.job import State

pytestmark = pytest.mark.acceptance


def test_an_undisturbed_job(any_host: WorkerHost) -> None:
    any_host.start_worker()
    job = any_host.check_result(any_host.submit())
    assert (job.epoch, job.attempts) == (1, 1)


def test_kill_the_engine(any_host: WorkerHost) -> None:
    worker = any_host.start_worker()
    job_id = any_host.submit()
    any_host.half_way(job_id)
    engine_of(worker).kill()
    job = any_host.check_result(job_id)
    assert (job.epoch, job.attempts) == (2, 2)
    assert worker.is_running()


def test_kill_the_worker(any_host: WorkerHost) -> None:
    worker = any_host.start_worker()
    job_id = any_host.submit()
    any_host.half_way(job_id)
    engine = engine_of(worker)
    worker.kill()
    worker.wait(10)
    engine.wait(10)  # the engine goes with its worker
    any_host.start_worker()
    assert any_host.check_result(job_id).epoch == 2


def test_kill_redis_and_start_it_again(host: WorkerHost, redis: Redis) -> None:
    host.start_worker()
    running, waiting = host.submit(), host.submit()
    host.half_way(running)
    redis.kill()
    meanwhile = host.submit()
    assert host.check_result(running).epoch == 1
    redis.start()
    for job_id in (waiting, meanwhile):
        assert host.check_result(job_id).epoch == 1


def test_redis_is_away_from_the_start(host: WorkerHost, redis: Redis) -> None:
    redis.kill()
    host.start_worker()
    for job_id in [host.submit("quick") for _ in range(2)]:
        assert host.check_result(job_id).epoch == 1


def test_redis_forgets_everything(host: WorkerHost, redis: Redis) -> None:
    host.start_worker()
    running = host.submit()
    host.half_way(running)
    waiting = [host.submit("quick") for _ in range(10)]
    redis.flush()
    for job_id in (running, *waiting):
        assert host.check_result(job_id).epoch == 1


def test_a_message_ten_times_on_two_workers(host: WorkerHost) -> None:
    host.start_worker()
    host.start_worker()
    job_id = host.submit(notify=False)
    for _ in range(10):
        host.notifier.notify(job_id)
    job = host.check_result(job_id)
    until(lambda: host.notifier.waiting() == 0)
    assert (host.job(job_id).epoch, host.job(job_id).finished) == (1, job.finished)


def test_stop_a_worker_beyond_its_lease(host: WorkerHost) -> None:
    sleeper = host.start_worker()
    job_id = host.submit()
    host.half_way(job_id)
    sleeper.suspend()
    host.start_worker()
    job = host.check_result(job_id)
    assert (job.epoch, job.result_epoch) == (2, 2)
    sleeper.resume()
    # It finds out, removes what it wrote and is of use again.
    host.check_result(job_id)
    assert host.job(job_id).finished == job.finished
    for other in [host.submit("quick") for _ in range(4)]:
        host.check_result(other)


def test_cancel_frees_the_engine(host: WorkerHost) -> None:
    worker = host.start_worker()
    job_id = host.submit()
    host.half_way(job_id)
    engine = engine_of(worker)
    with host.database.writing() as session:
        JobRepository(session).cancel(job_id)
    until(lambda: not engine.is_running(), 5)
    assert host.job(job_id).state is State.DISMISSED
    until(lambda: not host.storage.folder(job_id, 1).parent.exists(), 5)
    assert host.check_result(host.submit("quick")).epoch == 1


def test_a_job_that_always_crashes_fails_and_others_go_on(host: WorkerHost) -> None:
    host.start_worker()
    bad, good = host.submit("crash"), host.submit("quick")
    failed = host.finished(bad)
    assert (failed.state, failed.attempts) == (State.FAILED, 3)
    assert failed.error is not None
    assert failed.error["code"] == "engine.died"
    assert "signal 9" in failed.message
    host.check_result(good)


def test_a_job_whose_workers_always_die_fails_too(host: WorkerHost) -> None:
    job_id = host.submit()
    for epoch in (1, 2, 3):
        worker = host.start_worker()
        until(lambda epoch=epoch: host.job(job_id).epoch == epoch)
        worker.kill()
        worker.wait(10)
    host.start_worker()
    failed = host.finished(job_id)
    assert failed.state is State.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "job.abandoned"


@pytest.mark.parametrize("broker", ["here", "gone"])
def test_sigterm_hands_the_job_back(host: WorkerHost, redis: Redis, broker: str) -> None:
    worker = host.start_worker()
    job_id = host.submit()
    host.half_way(job_id)
    engine = engine_of(worker)
    if broker == "gone":
        redis.kill()
    worker.terminate()
    worker.wait(20)
    assert not engine.is_running()
    waiting = host.job(job_id)
    assert (waiting.state, waiting.attempts, waiting.epoch) == (State.ACCEPTED, 0, 1)
    if broker == "gone":
        redis.start()
    host.start_worker()
    assert host.check_result(job_id).attempts == 1
