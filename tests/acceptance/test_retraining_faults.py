"""Workers that are killed while they retrain: the registry holds whole models, each once."""

from typing import Any

import pytest
from worker_host import WorkerHost, until

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.models import ModelRepository
from mfnet.service.db.tables import Model
from mfnet.service.domain.job import State

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

TRAINER = {"work": "retrain", "attempts": 50, "lease_s": 1, "heartbeat_s": 0.2}


@pytest.fixture
def parent(host: WorkerHost) -> Model:
    """A registered model."""
    source = host.settings.data_dir / "mine"
    source.write_bytes(b"weights")
    sha256 = host.storage.models.add(source)
    with host.database.writing() as session:
        return ModelRepository(session).add("mine", sha256, 7, {}, who="me", why="a test")


def submit(host: WorkerHost, parent: Model, recipe: str) -> str:
    told: dict[str, Any] = {"model": "mine@1", "model_sha256": parent.sha256, "folder": "/tiles"}
    told |= {"recipe": recipe, "promote": False}
    with host.database.writing() as session:
        return JobRepository(session).submit(host.owner, "retrain", told)[0].id


def made(host: WorkerHost) -> dict[str | None, str]:
    """The content of each candidate, by the job that made it; every file is whole."""
    with host.database.reading() as session:
        models = [m for m in ModelRepository(session).all("mine") if m.version > 1]
    for model in models:
        host.storage.models.check(model.sha256)
    assert len({model.job_id for model in models}) == len(models)
    return {model.job_id: model.sha256 for model in models}


def test_a_retraining_outlives_any_number_of_kills(host: WorkerHost, parent: Model) -> None:
    job_id = submit(host, parent, "slow")
    for kill in range(1, 6):
        worker = host.start_worker(**TRAINER)
        run = host.storage.run(job_id, kill) / "candidate.safetensors"
        until(lambda run=run, kill=kill: run.exists() and run.stat().st_size >= 64 * kill)
        worker.kill()
        worker.wait(10)
        assert made(host) == {}
    host.start_worker(**TRAINER)
    job = host.finished(job_id)
    assert (job.state, job.result_epoch) == (State.SUCCESSFUL, 6)
    assert set(made(host)) == {job_id}


def test_kills_while_it_is_published_make_it_whole_or_not_at_all(
    host: WorkerHost, parent: Model
) -> None:
    jobs = [submit(host, parent, "quick") for _ in range(4)]
    for count in range(1, 5):
        worker = host.start_worker(**TRAINER)
        until(lambda count=count: len(made(host)) >= count or host.job(jobs[-1]).finished)
        worker.kill()
        worker.wait(10)
        states = {job_id: host.job(job_id).state for job_id in jobs}
        assert set(made(host)) == {j for j, state in states.items() if state is State.SUCCESSFUL}
    host.start_worker(**TRAINER)
    for job_id in jobs:
        assert host.finished(job_id).state is State.SUCCESSFUL
    assert set(made(host)) == set(jobs)
