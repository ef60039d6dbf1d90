"""A job whose results are there already: successful at once, and apart from the earlier one."""

import dataclasses

import pytest

from mfnet.service.db.repositories.jobs import JobRepository

FILES = {"classes.tif": b"map", "statistics.json": b"{}"}
MADE = "/processes/segment/execution"


@pytest.fixture
def pair(api):
    return {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}


def submit(api, inputs, by=None, **also):
    reply = (by or api.user).post(MADE, json={"inputs": inputs} | also)
    assert reply.status_code == 201, reply.text
    return reply.json()


def test_the_same_job_takes_over_what_the_earlier_one_has_made(api, pair):
    api.inspections.remarks = [{"code": "pair.moved", "message": "by 2 pixels"}]
    first = submit(api, pair)
    assert "reused" not in submit(api, pair)  # nothing is made yet
    api.finish(first["id"], FILES)
    notified = list(api.notified.jobs)
    again = submit(api, pair)
    assert (again["status"], again["progress"], again["reused"]) == ("successful", 100, first["id"])
    assert first["id"] in again["message"]
    assert again["remarks"] == first["remarks"]
    assert "started" not in again
    assert api.notified.jobs == notified
    assert api.user.get(f"/jobs/{again['id']}/results/classes.tif").content == b"map"
    assert set(api.user.get(f"/jobs/{again['id']}/results").json()) == set(FILES)

    api.user.delete(f"/jobs/{first['id']}").raise_for_status()
    assert api.user.get(f"/jobs/{again['id']}/results/classes.tif").content == b"map"
    third = submit(api, pair)
    assert third["reused"] == again["id"]
    for job in (again, third):
        api.user.delete(f"/jobs/{job['id']}").raise_for_status()
    assert submit(api, pair)["status"] == "accepted"
    assert api.user.get("/jobs?minDuration=0").json()["jobs"] == []


def test_what_was_sent_again_is_known_by_what_it_holds(api, pair):
    api.finish(submit(api, pair)["id"], FILES)
    sent_again = {role: api.upload(f"{role}.tif")["id"] for role in pair}
    assert submit(api, sent_again)["status"] == "successful"
    assert submit(api, pair, response="raw")["status"] == "successful"
    assert submit(api, pair, outputs={"classes.tif": {}})["status"] == "accepted"


@pytest.mark.parametrize(
    "changed",
    [
        {"inputs": {"stride": 64}},
        {"inputs": {"model": "mine"}},
        {"inputs": {"confidence": True}},
        {"inputs": {"height": None}},
        {"reuse": False},
    ],
)
def test_what_differs_is_computed(api, pair, changed):
    api.finish(submit(api, pair)["id"], FILES)
    reply = api.user.post(MADE, json=changed | {"inputs": pair | changed.get("inputs", {})})
    assert reply.json()["status"] == "accepted"


def test_another_pair_name_place_or_owner_is_another_job(api, pair):
    api.finish(submit(api, pair)["id"], FILES)
    other = {"ortho": api.upload("other.tif")["id"], "height": pair["height"]}
    assert submit(api, other)["status"] == "accepted"
    api.upload("ortho.tfw")
    moved = {"ortho": api.upload("ortho.tif")["id"], "height": pair["height"]}
    assert submit(api, moved)["status"] == "accepted"
    assert submit(api, pair, by=api.admin)["status"] == "accepted"
    theirs = {role: api.upload(f"{role}.tif", api.other)["id"] for role in pair}
    assert submit(api, theirs, by=api.other)["status"] == "accepted"


def test_results_that_go_just_now_are_computed_anew(api, pair, monkeypatch):
    first = submit(api, pair)["id"]
    api.finish(first, FILES)
    storage = api.services.storage

    def link(*what):
        linked = type(storage).link_results(storage, *what)
        with api.services.database.writing() as session:
            JobRepository(session).remove(first)
        return linked

    monkeypatch.setitem(storage.__dict__, "link_results", link)
    job = submit(api, pair)
    assert (job["status"], api.notified.jobs[-1]) == ("accepted", job["id"])
    assert storage.jobs() == [first]

    storage.keep_only(first, None)
    monkeypatch.undo()
    assert storage.link_results(first, 1, "new") is False
    assert storage.jobs() == []


def test_one_idempotency_key_is_one_job_of_what_is_there_too(api, pair):
    api.finish(submit(api, pair)["id"], FILES)
    headers = {"Idempotency-Key": "k"}
    jobs = [api.user.post(MADE, json={"inputs": pair}, headers=headers).json() for _ in range(2)]
    assert jobs[0] == jobs[1]
    assert len(api.services.storage.jobs()) == 2


def test_inputs_may_be_sent_as_a_status_shows_them(api, pair):
    job = submit(api, pair | {"model": "mine", "stride": 64})
    api.finish(job["id"], FILES)
    shown = job["inputs"]
    again = submit(api, shown)
    assert (again["inputs"], again["reused"]) == (shown, job["id"])
    retrained = api.admin.post(MADE, json={"inputs": shown | {"model_sha256": "0" * 64}})
    problem = retrained.json()
    assert (retrained.status_code, problem["code"]) == (422, "model.other")
    assert problem["params"]["expected"] == shown["model_sha256"]


def test_a_subscriber_hears_of_results_that_were_there(api, pair):
    settings = api.services.settings.model_copy(update={"callbacks_private": True})
    api.app.state.services = dataclasses.replace(api.app.state.services, settings=settings)
    api.finish(submit(api, pair)["id"], FILES)
    told = {"successUri": "http://127.0.0.1:9/hook"}
    job = submit(api, pair, subscriber=told)
    assert job["status"] == "successful"
    assert api.user.get(f"/jobs/{job['id']}/callback").json()["told"] == "accepted"


def test_what_is_there_already_needs_no_room(api, pair):
    api.finish(submit(api, pair)["id"], FILES)
    takes = {"memory_bytes": 1, "disk_bytes": 1 << 60, "windows": 1}
    api.inspections.report = {"ortho": {"height": 20, "width": 50}, "estimate": takes}
    assert submit(api, pair)["status"] == "successful"
    refused = api.user.post(MADE, json={"inputs": pair, "reuse": False})
    assert (refused.status_code, refused.json()["code"]) == (507, "output.disk_full")
