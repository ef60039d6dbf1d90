"""Kill, stop and empty everything in the middle of a job: it ends once, with the same bytes.

Real worker processes and a real Redis, on leases of four seconds; only the engine is a stub, whose
result is known beforehand, so "the same bytes" needs no undisturbed run to compare with.
"""

import pytest
from farm import Farm, Redis, engine_of, until

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.domain.job import State

pytestmark = pytest.mark.acceptance


def test_an_undisturbed_job(any_farm: Farm) -> None:
    any_farm.hire()
    job = any_farm.check_result(any_farm.submit())
    assert (job.epoch, job.attempts) == (1, 1)


def test_kill_the_engine(any_farm: Farm) -> None:
    worker = any_farm.hire()
    job_id = any_farm.submit()
    any_farm.half_way(job_id)
    engine_of(worker).kill()
    job = any_farm.check_result(job_id)
    assert (job.epoch, job.attempts) == (2, 2)
    assert worker.is_running()


def test_kill_the_worker(any_farm: Farm) -> None:
    worker = any_farm.hire()
    job_id = any_farm.submit()
    any_farm.half_way(job_id)
    engine = engine_of(worker)
    worker.kill()
    worker.wait(10)
    engine.wait(10)  # the engine goes with its worker
    any_farm.hire()
    assert any_farm.check_result(job_id).epoch == 2


def test_kill_redis_and_start_it_again(farm: Farm, redis: Redis) -> None:
    farm.hire()
    running, waiting = farm.submit(), farm.submit()
    farm.half_way(running)
    redis.kill()
    meanwhile = farm.submit()
    assert farm.check_result(running).epoch == 1
    redis.start()
    for job_id in (waiting, meanwhile):
        assert farm.check_result(job_id).epoch == 1


def test_redis_is_away_from_the_start(farm: Farm, redis: Redis) -> None:
    redis.kill()
    farm.hire()
    for job_id in [farm.submit("quick") for _ in range(2)]:
        assert farm.check_result(job_id).epoch == 1


def test_redis_forgets_everything(farm: Farm, redis: Redis) -> None:
    farm.hire()
    running = farm.submit()
    farm.half_way(running)
    waiting = [farm.submit("quick") for _ in range(10)]
    redis.flush()
    for job_id in (running, *waiting):
        assert farm.check_result(job_id).epoch == 1


def test_a_message_ten_times_on_two_workers(farm: Farm) -> None:
    farm.hire()
    farm.hire()
    job_id = farm.submit(notify=False)
    for _ in range(10):
        farm.notifier.notify(job_id)
    job = farm.check_result(job_id)
    until(lambda: farm.notifier.waiting() == 0)
    assert (farm.job(job_id).epoch, farm.job(job_id).finished) == (1, job.finished)


def test_stop_a_worker_beyond_its_lease(farm: Farm) -> None:
    sleeper = farm.hire()
    job_id = farm.submit()
    farm.half_way(job_id)
    sleeper.suspend()
    farm.hire()
    job = farm.check_result(job_id)
    assert (job.epoch, job.result_epoch) == (2, 2)
    sleeper.resume()
    # It finds out, removes what it wrote and is of use again.
    farm.check_result(job_id)
    assert farm.job(job_id).finished == job.finished
    for other in [farm.submit("quick") for _ in range(4)]:
        farm.check_result(other)


def test_cancel_frees_the_engine(farm: Farm) -> None:
    worker = farm.hire()
    job_id = farm.submit()
    farm.half_way(job_id)
    engine = engine_of(worker)
    with farm.database.writing() as session:
        JobRepository(session).cancel(job_id)
    until(lambda: not engine.is_running(), 5)
    assert farm.job(job_id).state is State.DISMISSED
    until(lambda: not farm.storage.folder(job_id, 1).parent.exists(), 5)
    assert farm.check_result(farm.submit("quick")).epoch == 1


def test_a_job_that_always_crashes_fails_and_others_go_on(farm: Farm) -> None:
    farm.hire()
    bad, good = farm.submit("crash"), farm.submit("quick")
    failed = farm.finished(bad)
    assert (failed.state, failed.attempts) == (State.FAILED, 3)
    assert failed.error is not None
    assert failed.error["code"] == "engine.died"
    assert "signal 9" in failed.message
    farm.check_result(good)


def test_a_job_whose_workers_always_die_fails_too(farm: Farm) -> None:
    job_id = farm.submit()
    for epoch in (1, 2, 3):
        worker = farm.hire()
        until(lambda epoch=epoch: farm.job(job_id).epoch == epoch)
        worker.kill()
        worker.wait(10)
    farm.hire()
    failed = farm.finished(job_id)
    assert failed.state is State.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "job.abandoned"


@pytest.mark.parametrize("broker", ["here", "gone"])
def test_sigterm_hands_the_job_back(farm: Farm, redis: Redis, broker: str) -> None:
    worker = farm.hire()
    job_id = farm.submit()
    farm.half_way(job_id)
    engine = engine_of(worker)
    if broker == "gone":
        redis.kill()
    worker.terminate()
    worker.wait(20)
    assert not engine.is_running()
    waiting = farm.job(job_id)
    assert (waiting.state, waiting.attempts, waiting.epoch) == (State.ACCEPTED, 0, 1)
    if broker == "gone":
        redis.start()
    farm.hire()
    assert farm.check_result(job_id).attempts == 1
