"""Models over HTTP: versions, promoting and rolling back."""

import threading

import pytest

from mfnet.service.db.repositories.models import ModelRepository


def candidate(api, name="mine", content=b"better", gate=None) -> int:
    """A candidate, as a retraining makes it."""
    source = api.services.storage.root / f"{name}.candidate"
    source.write_bytes(content)
    sha256 = api.services.storage.models.add(source)
    config = {"name": name, "metrics": {"miou": 0.9}}
    if gate is not None:
        config["provenance"] = {"gate": gate}
    with api.services.database.writing() as session:
        told = {"who": "job", "why": "retrained", "job_id": "j"}
        return ModelRepository(session).add(name, sha256, len(content), config, **told).version


def promote(api, version, by=None, **body):
    return (by or api.admin).post(f"/models/mine/versions/{version}/promote", json=body)


def states(api, name="mine") -> dict[int, str]:
    models = api.user.get("/models").json()["models"]
    return {m["version"]: m["state"] for m in models if m["name"] == name}


def test_installed_models_are_there_as_version_1(api):
    models = api.user.get("/models").json()["models"]
    assert [(m["name"], m["version"], m["state"]) for m in models] == [
        ("mine", 1, "active"),
        ("town", 1, "active"),
    ]
    assert api.user.get("/models/mine").json()["config"]["name"] == "mine"
    assert api.services.storage.models.path(models[0]["sha256"]).read_bytes() == b"mine"


def test_a_candidate_is_promoted_and_rolled_back_and_all_of_it_is_logged(api):
    assert candidate(api) == 2
    assert states(api) == {1: "active", 2: "candidate"}
    reply = promote(api, 2, why="cars are found")
    assert (reply.status_code, reply.json()["state"]) == (200, "active")
    assert states(api) == {1: "retired", 2: "active"}
    assert api.user.get("/models/mine").json()["version"] == 2
    back = api.admin.post("/models/mine/rollback", json={"why": "trees are not"})
    assert (back.status_code, back.json()["version"]) == (200, 1)
    assert states(api) == {1: "active", 2: "retired"}
    events = api.admin.get("/models/mine/history").json()["events"]
    assert [(e["event"], e["version"], e["replaced"], e["why"]) for e in events] == [
        ("rolled back", 1, 2, "trees are not"),
        ("promoted", 2, 1, "cars are found"),
        ("registered", 2, None, "retrained"),
        ("registered", 1, None, "installed under this name"),
    ]
    assert events[0]["who"].startswith("admin (")
    again = api.admin.post("/models/mine/rollback", json={})
    assert (again.status_code, again.json()["code"]) == (409, "model.conflict")
    assert promote(api, 2).status_code == 200


def test_roll_backs_lead_to_the_first_version_step_by_step(api):
    for version in (2, 3):
        assert candidate(api, content=bytes([version])) == version
    for version in (2, 3, 2):  # the last by hand, which is no roll back
        assert promote(api, version).status_code == 200
    went = [api.admin.post("/models/mine/rollback", json={}).json() for _ in range(4)]
    assert [reply.get("version", reply.get("code")) for reply in went] == [
        *(3, 2, 1),
        "model.conflict",
    ]


def test_a_roll_back_that_is_sent_twice_goes_back_once(api):
    for version in (2, 3):
        candidate(api, content=bytes([version]))
        promote(api, version)
    replies = [api.admin.post("/models/mine/rollback", json={"replaces": 3}) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [200, 409]
    assert states(api) == {1: "retired", 2: "active", 3: "retired"}


def test_a_job_keeps_the_version_that_was_active_when_it_was_submitted(api):
    candidate(api)
    before = api.submit(model="mine")
    promote(api, 2)
    after, named = api.submit(model="mine"), api.submit(model="mine@1")
    with api.services.database.reading() as session:
        from mfnet.service.db.repositories.jobs import JobRepository

        kept = [JobRepository(session).get(job["id"]).inputs for job in (before, after, named)]
    assert [job["model"] for job in kept] == ["mine@1", "mine@2", "mine@1"]
    assert kept[0]["model_sha256"] == kept[2]["model_sha256"] != kept[1]["model_sha256"]


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(api):
    rivals = [candidate(api, content=content) for content in (b"one", b"other")]
    ready, replies = threading.Barrier(2), {}

    def run(version: int) -> None:
        ready.wait(10)
        replies[version] = promote(api, version, replaces=1)

    threads = [threading.Thread(target=run, args=(version,)) for version in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(reply.status_code for reply in replies.values()) == [200, 409]
    (winner,) = [version for version, reply in replies.items() if reply.status_code == 200]
    (told,) = [reply.json() for reply in replies.values() if reply.status_code == 409]
    assert (told["code"], told["params"]["active"]) == ("model.conflict", winner)
    assert states(api) == {1: "retired", winner: "active", 5 - winner: "candidate"}


def test_an_altered_candidate_is_refused_by_its_sha256(api):
    version = candidate(api)
    sha256 = api.user.get(f"/models/mine/versions/{version}").json()["sha256"]
    path = api.services.storage.models.path(sha256)
    path.write_bytes(b"bettor")
    reply = promote(api, version)
    assert (reply.status_code, reply.json()["code"]) == (409, "model.altered")
    path.unlink()
    assert promote(api, version).json()["code"] == "model.altered"
    assert states(api) == {1: "active", 2: "candidate"}


@pytest.mark.parametrize(
    ("version", "body", "status", "code"),
    [
        (1, {}, 409, "model.conflict"),  # it is active
        (9, {}, 404, "model.unknown"),
        (2, {"replaces": 2}, 409, "model.conflict"),
        (2, {"replaces": 7}, 409, "model.conflict"),
        (2, {"replaces": "x"}, 400, "request.invalid"),
        (2, {"strong": True}, 400, "request.invalid"),
        (0, {}, 400, "request.invalid"),
    ],
)
def test_a_promotion_that_makes_no_sense_changes_nothing(api, version, body, status, code):
    candidate(api)
    reply = promote(api, version, **body)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert states(api) == {1: "active", 2: "candidate"}


def test_what_the_gate_refused_is_promoted_by_force_alone_and_the_history_says_so(api):
    candidate(api, gate={"passed": False, "reason": "tree falls by 9.1 points"})
    refused = promote(api, 2)
    assert (refused.status_code, refused.json()["code"]) == (409, "model.refused")
    assert "tree falls by 9.1 points" in refused.json()["detail"]
    assert "--force" in refused.json()["detail"]
    assert states(api) == {1: "active", 2: "candidate"}
    assert promote(api, 2, force=True, why="cars matter more").status_code == 200
    event = api.admin.get("/models/mine/history").json()["events"][0]
    assert event["why"] == ("forced against the gate (tree falls by 9.1 points): cars matter more")


def test_what_passed_the_gate_needs_no_force(api):
    candidate(api, gate={"passed": True, "reason": "no class falls"})
    assert promote(api, 2).status_code == 200


def test_an_unknown_model_is_named_with_those_there_are(api):
    assert api.user.get("/models/theirs").json()["code"] == "model.unknown"
    ids = {role: api.upload()["id"] for role in ("ortho", "height")}
    reply = api.user.post(
        "/processes/segment/execution", json={"inputs": ids | {"model": "theirs"}}
    )
    assert (reply.status_code, reply.json()["code"]) == (422, "model.unknown")
    assert reply.json()["params"] == {"model": "theirs", "known": ["mine", "town"]}
    assert api.user.get("/jobs").json()["jobs"] == []


def test_a_model_that_is_installed_later_is_found_by_its_name(api, tmp_path):
    (tmp_path / "late.safetensors").write_bytes(b"late")
    assert api.user.get("/models/late").json()["version"] == 1


def test_several_processes_take_in_the_installed_models_once(api, tmp_path):
    for name in ("one", "two", "mine"):
        (tmp_path / f"{name}.safetensors").write_bytes(b"new " + name.encode())
    threads = [threading.Thread(target=api.services.registry.enter_installed) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert states(api, "one") == states(api, "two") == {1: "active"}
    assert states(api) == {1: "active", 2: "candidate"}


def test_another_file_under_an_installed_name_waits_as_a_candidate(api, tmp_path):
    (tmp_path / "mine.safetensors").write_bytes(b"new release")
    for _ in range(2):
        api.services.registry.enter_installed()
    assert states(api) == {1: "active", 2: "candidate"}
