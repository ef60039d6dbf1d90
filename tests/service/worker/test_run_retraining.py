"""A retraining on a worker, with a stub for the engine: what enters the registry, and when."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy.orm import Session
from waiting import until

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.models import ModelRepository
from mfnet.service.db.repositories.tiles import TileRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Job, Model
from mfnet.service.domain.job import State
from mfnet.service.engine.client import EngineClient
from mfnet.service.engine.process import Engine
from mfnet.service.engine.protocol import RetrainRequest
from mfnet.service.files.storage import Storage
from mfnet.service.settings import Settings
from mfnet.service.worker.db_retry import Transactions
from mfnet.service.worker.run_retraining import Retraining
from mfnet.service.worker.supervisor import Supervisor
from mfnet.service.worker.transfers import Transfers
from mfnet.training.datasets.sources.folder_manifest import SplitRules

STUB = Path(__file__).parents[2] / "support" / "engine_stub.py"


@dataclass
class WorkerSetup:
    """A supervisor that retrains, with one model in the registry."""

    settings: Settings
    database: Database
    storage: Storage
    engine: Engine
    shutdown: threading.Event
    supervisor: Supervisor
    owner: str
    parent: Model

    def submit(self, recipe: str = "quick", *, promote: bool = True, **inputs: Any) -> str:
        told = {
            **{"model": "mine@1", "model_sha256": self.parent.sha256, "tiles": []},
            **{"folder": "/tiles", "recipe": recipe, "changes": [], "steps": None},
            **{"minutes": None, "margin": 0.02, "promote": promote},
        }
        with self.database.writing() as session:
            return JobRepository(session).submit(self.owner, "retrain", told | inputs)[0].id

    def job(self, job_id: str) -> Job:
        with self.database.reading() as session:
            job = JobRepository(session).get(job_id)
        assert job is not None
        return job

    def states(self) -> dict[int, str]:
        with self.database.reading() as session:
            return {m.version: str(m.state) for m in ModelRepository(session).all("mine")}

    def start(self, job_id: str) -> threading.Thread:
        """Work in a thread until the job's first progress is in the database."""
        thread = threading.Thread(target=self.supervisor.work)
        thread.start()
        until(lambda: self.job(job_id).progress > 0)
        return thread


@pytest.fixture
def setup(tmp_path: Path, database: Database, owner: str) -> Iterator[WorkerSetup]:
    settings = Settings(
        data_dir=tmp_path / "data",
        work="retrain",
        lease_s=5,
        heartbeat_s=0.1,
        engine_command=(sys.executable, str(STUB)),
    )
    storage, shutdown = Storage(settings.data_dir), threading.Event()
    engine = Engine(settings.engine_command)
    (tmp_path / "mine.safetensors").write_bytes(b"weights")
    sha256 = storage.models.add(tmp_path / "mine.safetensors")
    with database.writing() as session:
        told = {"who": "the service", "why": "installed"}
        parent = ModelRepository(session).add("mine", sha256, 7, {}, **told)
    supervisor = Supervisor(settings, database, storage, engine, "me", shutdown, lambda _: None)
    yield WorkerSetup(settings, database, storage, engine, shutdown, supervisor, owner, parent)
    engine.stop()


@pytest.mark.parametrize(
    ("recipe", "promote", "states", "message"),
    [
        ("quick", True, {1: "retired", 2: "active"}, "mine@2 is in use: no class falls"),
        ("quick", False, {1: "active", 2: "candidate"}, "mine@2 is a candidate"),
        ("worse", True, {1: "active", 2: "candidate"}, "mine@2 stays a candidate: car falls"),
    ],
)
def test_a_retraining_ends_in_a_candidate_which_the_gate_may_promote(
    setup: WorkerSetup, recipe: str, promote: bool, states: dict[int, str], message: str
) -> None:
    job_id = setup.submit(recipe, promote=promote)
    setup.supervisor.work()
    job = setup.job(job_id)
    assert job.state == State.SUCCESSFUL
    assert job.message.startswith(message)
    assert setup.states() == states
    with setup.database.reading() as session:
        model = ModelRepository(session).get("mine", 2)
        assert model is not None
        first = ModelRepository(session).history("mine")[0]
    setup.storage.models.check(model.sha256)
    assert model.job_id == job_id
    assert first.who.startswith("somebody (")
    folder = setup.storage.folder(job_id, 1)
    assert [path.name for path in folder.iterdir()] == ["report.html"]
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("recipe", ["quick", "altered", "refuse"])
def test_the_engine_goes_with_its_gpu_memory_however_the_retraining_ended(
    setup: WorkerSetup, recipe: str
) -> None:
    setup.submit(recipe)
    setup.supervisor.work()
    assert setup.engine.pid is None


def test_a_worker_that_maps_leaves_retrainings_alone_and_the_other_way_round(
    setup: WorkerSetup,
) -> None:
    retraining = setup.submit()
    mapping = Settings(**{**setup.settings.model_dump(), "work": "segment"})
    other = Supervisor(
        mapping, setup.database, setup.storage, setup.engine, "you", setup.shutdown, lambda _: None
    )
    other.work()
    assert setup.job(retraining).state == State.ACCEPTED
    with setup.database.writing() as session:
        inputs = {"ortho": "u1", "height": "u1", "model": "quick"}
        job = JobRepository(session).submit(setup.owner, "segment", inputs)[0].id
    setup.supervisor.work()
    assert setup.job(retraining).state == State.SUCCESSFUL
    assert setup.job(job).state == State.ACCEPTED


def test_where_the_parent_was_replaced_meanwhile_nothing_is_promoted(
    setup: WorkerSetup, tmp_path: Path
) -> None:
    job_id = setup.submit("slow")
    thread = setup.start(job_id)
    with setup.database.writing() as session:
        models = ModelRepository(session)
        rival = models.add("mine", "0" * 64, 1, {}, who="Ada", why="by hand")
        assert models.promote(rival, 1, "Ada", "by hand")
    thread.join(30)
    assert setup.job(job_id).message == "mine@3 stays a candidate: mine@1 is not in use any more"
    assert setup.states() == {1: "retired", 2: "active", 3: "candidate"}


def test_a_cancelled_retraining_leaves_nothing_in_the_registry(setup: WorkerSetup) -> None:
    job_id = setup.submit("slow")
    thread = setup.start(job_id)
    with setup.database.writing() as session:
        assert JobRepository(session).cancel(job_id)
    thread.join(30)
    assert setup.job(job_id).state == State.DISMISSED
    assert setup.states() == {1: "active"}
    assert not setup.storage.folder(job_id, 1).parent.exists()


@pytest.mark.parametrize("how", ["engine killed", "worker leaves", "lease lost"])
def test_the_next_attempt_goes_on_where_the_one_before_was(setup: WorkerSetup, how: str) -> None:
    job_id = setup.submit("slow")
    thread = setup.start(job_id)
    run = setup.storage.run(job_id, 1) / "candidate.safetensors"
    until(lambda: run.stat().st_size > 200)
    if how == "engine killed":
        assert setup.engine.pid is not None
        os.kill(setup.engine.pid, signal.SIGKILL)
    elif how == "worker leaves":
        setup.shutdown.set()
    else:
        with setup.database.writing() as session:
            taken = session.get(Job, job_id)
            assert taken is not None
            taken.lease_until = 0.0
        with setup.database.writing() as session:
            jobs = JobRepository(session)
            thief = jobs.claim(job_id, "thief", 60, 3)
            assert thief is not None
            jobs.hand_back(thief)
    thread.join(30)
    assert setup.states() == {1: "active"}
    written = run.stat().st_size
    setup.shutdown.clear()
    setup.supervisor.work()
    job = setup.job(job_id)
    assert (job.state, setup.states()[2]) == (State.SUCCESSFUL, "active")
    assert job.result_epoch is not None
    assert job.result_epoch > 1
    assert 0 < written < 21 * 32
    with setup.database.reading() as session:
        model = ModelRepository(session).get("mine")
    assert model is not None
    setup.storage.models.check(model.sha256)


def test_a_candidate_that_is_altered_before_it_is_kept_is_refused(setup: WorkerSetup) -> None:
    job_id = setup.submit("altered")
    for _ in range(setup.settings.attempts):
        setup.supervisor.work()
    job = setup.job(job_id)
    assert job.error is not None
    assert (job.state, job.error["code"]) == (State.FAILED, "model.altered")
    assert setup.states() == {1: "active"}


@pytest.mark.parametrize("step", ["add", "promote", "publish"])
def test_a_worker_that_dies_at_any_step_of_publishing_leaves_no_half_model(
    setup: WorkerSetup, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """All of it is one transaction: neither a version nor a promotion without the job's result."""
    job_id = setup.submit()
    whose: type = JobRepository if step == "publish" else ModelRepository
    real = getattr(whose, step)

    def die(self: Any, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        raise KeyboardInterrupt  # as if the process ended here

    with monkeypatch.context() as patch:
        patch.setattr(whose, step, die)
        with pytest.raises(KeyboardInterrupt):
            setup.supervisor.work()
    assert setup.states() == {1: "active"}
    assert setup.job(job_id).state == State.RUNNING
    with setup.database.writing() as session:
        left = session.get(Job, job_id)
        assert left is not None
        left.lease_until = 0.0
    setup.supervisor.work()
    assert setup.job(job_id).state == State.SUCCESSFUL
    assert setup.states() == {1: "retired", 2: "active"}


def test_a_commit_whose_answer_is_lost_enters_the_candidate_once(
    setup: WorkerSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction is tried again, finds the job published, and undoes its second candidate."""
    job_id = setup.submit()
    change, again = Transactions.change, []

    def lossy(transactions: Transactions, what: Callable[[Session], Any]) -> Any:
        answer = change(transactions, what)
        if what.__name__ != "publish":
            return answer
        again.append(what)
        return change(transactions, what)

    monkeypatch.setattr(Transactions, "change", lossy)
    setup.supervisor.work()
    assert len(again) == 1
    assert setup.job(job_id).state == State.SUCCESSFUL
    assert setup.states() == {1: "retired", 2: "active"}
    assert (setup.storage.folder(job_id, 1) / "report.html").exists()


def test_tiles_that_are_gone_when_the_retraining_begins_fail_it_at_once(setup: WorkerSetup) -> None:
    job_id = setup.submit(tiles=["gone"])
    setup.supervisor.work()
    job = setup.job(job_id)
    assert job.error is not None
    assert (job.state, job.error["code"], job.attempts) == (State.FAILED, "tile.unknown", 1)


def test_tiles_are_cut_into_blocks_of_which_none_is_kept_for_a_test(
    setup: WorkerSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    write = "mfnet.service.worker.run_retraining.write_manifest"
    monkeypatch.setattr(write, lambda *_, split: told.append(split))
    files = {"request_sha256": "r", "ortho": "o", "height": "h", "sha256": "l"}
    with setup.database.writing() as session:
        for upload in ("o", "h"):
            parts = {"size": 1, "sha256": "0", "report": {}}
            UploadRepository(session).add(upload, setup.owner, f"{upload}.tif", **parts)
        tiles = TileRepository(session)
        tiles.add("t", setup.owner, job_id="j", report={}, provenance={}, **files)
    setup.submit(tiles=["t"])
    setup.supervisor.work()
    rules = SplitRules(**told[0])
    assert (rules.by, rules.block_px, rules.margin_px, rules.test) == ("block", 320, 64, 0)
    assert rules.validation == 0.15


def test_changes_are_shown_on_the_newest_maps_of_the_models_own_versions(
    setup: WorkerSetup,
) -> None:
    def mapped(model: str, ortho: str) -> str:
        inputs = {"ortho": ortho, "height": "h", "model": model}
        with setup.database.writing() as session:
            uploads = UploadRepository(session)
            for upload in (ortho, "h"):
                if uploads.get(upload) is None:
                    told = {"size": 1, "sha256": "0", "report": {}}
                    uploads.add(upload, setup.owner, f"{upload}.tif", **told)
            jobs = JobRepository(session)
            made, _ = jobs.submit(setup.owner, "segment", inputs)
            claimed = jobs.claim(made.id, "w", 60, 3)
            assert claimed is not None
            assert jobs.publish(claimed)
            return made.id

    own = [mapped(f"mine@{n + 1}", f"o{n}") for n in range(4)]
    mapped("mine", "o3")  # the place of the last one
    for number in range(60):
        mapped("theirs@1", f"t{number}")
    requests: list[RetrainRequest] = []

    class Stopped(Exception):
        pass

    class Hears:
        def run(self, request: RetrainRequest, _heartbeat: Any) -> None:
            requests.append(request)
            raise Stopped

        def stop(self) -> None:
            pass

    client = cast(EngineClient, Hears())
    transfers = Transfers(setup.settings, setup.storage, threading.Event())
    retraining = Retraining(setup.settings, setup.database, setup.storage, client, transfers)
    with pytest.raises(Stopped):
        retraining.run(setup.job(setup.submit()), lambda *_: None)
    recent = requests[0].recent
    assert [each.ortho.name for each in recent] == ["o3", "o2", "o1"]
    assert [each.job for each in recent[1:]] == [own[2], own[1]]


def test_two_candidates_of_one_model_at_once_get_two_versions(setup: WorkerSetup) -> None:
    """Their transactions overlap; none has to be computed again."""
    errors: list[BaseException] = []
    ready = threading.Barrier(2)

    def add(content: str) -> None:
        try:
            with setup.database.reading():
                ready.wait(10)
            with setup.database.writing() as session:
                ModelRepository(session).add("mine", content * 64, 1, {}, who="job", why="made")
                time.sleep(0.2)  # the other one has come as far as it can by now
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=add, args=(content,)) for content in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors
    assert setup.states() == {1: "active", 2: "candidate", 3: "candidate"}
