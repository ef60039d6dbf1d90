"""Asking for a retraining over HTTP and by command: what is kept, and what is refused."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mfnet.service.cli.main import app
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.models import ModelRepository
from mfnet.service.db.repositories.tiles import TileRepository
from mfnet.service.db.repositories.uploads import UploadRepository


@pytest.fixture
def settings(settings, tmp_path):
    """With a root of folders: one with a manifest, one without; and one beside the root."""
    for folder, manifest in (("root/good", True), ("root/empty", False), ("beside", True)):
        (tmp_path / folder).mkdir(parents=True)
        if manifest:
            (tmp_path / folder / "manifest.toml").write_text("")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "beside")
    return settings.model_copy(update={"training_root": tmp_path / "root"})


def tile(api, tile_id: str, *classes: str) -> str:
    """A labelled tile; without classes of its own, of the parent's, which has none."""
    scheme = {"name": "its own", "classes": [{"name": name} for name in classes]}
    uploads = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}
    with api.services.database.writing() as session:
        row = UploadRepository(session).get(uploads["ortho"])
        told = {"job_id": "j", "request_sha256": tile_id, "sha256": "0"}
        told["report"] = {"scheme": scheme}
        TileRepository(session).add(tile_id, row.owner, **told, provenance={}, **uploads)
    return tile_id


def retrain(api, by=None, headers=None, **inputs):
    body = {"inputs": {"model": "mine"} | inputs}
    return (by or api.admin).post("/processes/retrain/execution", json=body, headers=headers)


def kept(api, job_id: str):
    with api.services.database.reading() as session:
        return JobRepository(session).get(job_id).inputs


def test_a_retraining_is_accepted_with_its_parent_resolved_and_rung_for_in_its_queue(api, tmp_path):
    reply = retrain(api, folder="good", steps=5, changes=["optimizer.learning_rate=1e-4"])
    assert reply.status_code == 201, reply.text
    assert reply.json()["processID"] == "retrain"
    inputs = kept(api, reply.json()["id"])
    assert (inputs["model"], inputs["folder"]) == ("mine@1", str(tmp_path / "root" / "good"))
    assert (inputs["tiles"], inputs["steps"], inputs["promote"]) == ([], 5, False)
    assert api.notified.processes == ["retrain"]
    assert api.user.get(f"/jobs/{reply.json()['id']}").status_code == 404


def test_tiles_are_named_or_all_of_them_taken(api):
    one = tile(api, "one")
    assert kept(api, retrain(api, tiles=[one, one]).json()["id"])["tiles"] == ["one"]
    assert kept(api, retrain(api, tiles="all").json()["id"])["tiles"] == ["one"]
    reply = retrain(api, tiles=["one", "other"])
    assert (reply.status_code, reply.json()["code"]) == (404, "tile.unknown")


def test_all_are_those_of_the_parents_classes_and_others_are_refused(api):
    tile(api, "ours")
    tile(api, "theirs", "sea", "ice")
    assert kept(api, retrain(api, tiles="all").json()["id"])["tiles"] == ["ours"]
    reply = retrain(api, tiles=["ours", "theirs"])
    assert (reply.status_code, reply.json()["code"]) == (422, "tile.other_classes")
    assert "tile theirs has the classes sea, ice" in reply.json()["detail"]
    assert len(api.notified.jobs) == 1


@pytest.mark.parametrize(
    ("inputs", "status", "code"),
    [
        ({}, 422, "training.no_tiles"),
        ({"tiles": "all"}, 422, "training.no_tiles"),
        ({"folder": "empty"}, 422, "training.bad_folder"),
        ({"folder": "nowhere"}, 422, "training.bad_folder"),
        ({"folder": "../beside"}, 422, "training.bad_folder"),
        ({"folder": "link"}, 422, "training.bad_folder"),
        ({"folder": "/etc"}, 422, "training.bad_folder"),
        ({"folder": "a\0b"}, 422, "training.bad_folder"),
        ({"folder": "good", "model": "theirs"}, 422, "model.unknown"),
        ({"folder": "good", "model": "mine@7"}, 422, "model.unknown"),
        ({"folder": "good", "recipe": "../etc"}, 400, "request.invalid"),
        ({"folder": "good", "changes": ["data.folder=/etc"]}, 400, "request.invalid"),
        ({"folder": "good", "changes": ["network.parent=x"]}, 400, "request.invalid"),
        ({"folder": "good", "steps": 0}, 400, "request.invalid"),
        ({"folder": "good", "margin": 2}, 400, "request.invalid"),
    ],
)
def test_what_cannot_be_retrained_is_refused_before_there_is_a_job(api, inputs, status, code):
    reply = retrain(api, **inputs)
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text
    assert api.admin.get("/jobs").json()["jobs"] == []
    assert api.notified.jobs == []


def test_a_parent_whose_file_is_gone_or_altered_is_refused(api):
    sha256 = api.user.get("/models/mine").json()["sha256"]
    path = api.services.storage.models.path(sha256)
    path.write_bytes(b"other")
    assert retrain(api, folder="good").json()["code"] == "model.altered"
    path.unlink()
    assert retrain(api, folder="good").json()["code"] == "model.altered"
    assert api.notified.jobs == []


def test_no_folder_is_open_without_a_root(api, monkeypatch):
    monkeypatch.setitem(api.services.settings.__dict__, "training_root", None)
    reply = retrain(api, folder="good")
    assert reply.json()["code"] == "training.bad_folder"
    assert "MFNET_TRAINING_ROOT" in reply.json()["detail"]


def test_a_user_may_not_and_nothing_is_done(api):
    reply = retrain(api, by=api.user, folder="good")
    assert (reply.status_code, reply.json()["code"]) == (403, "auth.forbidden")
    assert api.admin.get("/jobs").json()["jobs"] == []
    assert api.notified.jobs == []


def test_the_same_request_again_is_the_same_job_and_another_process_is_not(api):
    key = {"Idempotency-Key": "k"}
    first = retrain(api, headers=key, folder="good").json()["id"]
    assert retrain(api, headers=key, folder="good").json()["id"] == first
    other = retrain(api, headers=key, folder="good", steps=3)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.mismatch")


def test_the_process_is_described(api):
    described = api.nobody.get("/processes/retrain").json()
    assert described["inputs"]["margin"]["schema"]["default"] == 0.02
    assert described["inputs"]["tiles"]["minOccurs"] == 0
    assert "report.html" in described["outputs"]
    listed = api.nobody.get("/processes").json()["processes"]
    assert [process["id"] for process in listed] == ["segment", "retrain", "batch", "echo"]


def test_the_commands_do_what_the_routes_do(api, settings, monkeypatch, tmp_path):
    monkeypatch.setenv("MFNET_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("MFNET_TRAINING_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("MFNET_MODELS_DIR", str(tmp_path / "models"))

    def run(*arguments: str):
        return CliRunner().invoke(app, [*arguments, "--data-dir", str(settings.data_dir)])

    made = run("retrain", "mine", "--folder", "good", "--steps", "3", "--promote")
    assert made.exit_code == 0, made.output
    inputs = kept(api, made.stdout.strip())
    assert (inputs["model"], inputs["steps"], inputs["promote"]) == ("mine@1", 3, True)
    refused = run("retrain", "mine", "--folder", "/etc")
    assert (refused.exit_code, "MFNET_TRAINING_ROOT" in refused.output) == (2, True)
    assert run("retrain", "--", "-x").exit_code == 2

    other = Path(tmp_path / "other.safetensors")
    other.write_bytes(b"other")
    sha256 = api.services.storage.models.add(other)
    with api.services.database.writing() as session:
        ModelRepository(session).add("mine", sha256, 5, {}, who="job", why="retrained")
    assert "mine@2  candidate" in run("registry", "list").stdout
    assert "mine@2  active" in run("registry", "promote", "mine@2", "--why", "better").stdout
    again = run("registry", "promote", "mine@2")
    assert (again.exit_code, "active already" in again.output) == (2, True)
    assert "mine@1  active" in run("registry", "rollback", "mine").stdout
    told = run("registry", "history", "mine").stdout
    assert "mine@2 promoted in place of 1, by command line: better" in told
    assert run("registry", "promote", "mine").exit_code == 2


def test_the_curves_are_those_that_the_run_has_logged(api):
    job = retrain(api, folder="good").raise_for_status().json()["id"]
    path = f"/jobs/{job}/curves"
    assert api.admin.get(path).json() == {"loss": [], "miou": []}
    run = api.services.storage.run(job, 0)
    run.mkdir(parents=True)
    lines = [{"step": step, "steps": 900, "loss": 1 / step} for step in range(1, 701)]
    lines.append({"step": 700, "steps": 900, "miou": 0.5, "oa": 0.9, "confusion": []})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (run / "log.jsonl").write_text(text + '{"step": 701, "lo')
    told = api.admin.get(path).raise_for_status().json()
    assert told["miou"] == [[700, 0.5]]
    assert told["loss"][-1] == [700, 1 / 700]
    assert len(told["loss"]) == 234
    assert api.user.get(path).json()["code"] == "job.unknown"


def test_a_map_has_no_curves(api):
    reply = api.user.get(f"/jobs/{api.submit()['id']}/curves")
    assert (reply.status_code, reply.json()["code"]) == (404, "result.unknown")
