"""One request for many maps: a job for each pair, and one that stands for all of them."""

import shutil

import pytest
from sqlalchemy import event

from mfnet.service.db.repositories.batches import BatchRepository
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.stalled_jobs import Backlog
from mfnet.service.domain.job import Failure
from mfnet.service.errors import Busy, Refused
from mfnet.service.operations import submit_batch

BATCH = "/processes/batch/execution"


@pytest.fixture
def pairs(api):
    return [
        {role: api.upload(f"{role}-{n}.tif")["id"] for role in ("ortho", "height")} for n in (1, 2)
    ]


def submit(api, pairs, **inputs):
    reply = api.user.post(BATCH, json={"inputs": {"pairs": pairs} | inputs})
    assert reply.status_code == 201, reply.text
    return reply.json()


def jobs_of(api, batch, by=None):
    found = (by or api.user).get(f"/jobs?batch={batch['id']}&sortby=created").raise_for_status()
    return found.json()["jobs"]


def status(api, job):
    """As after a worker's next look."""
    with api.services.database.writing() as session:
        BatchRepository(session).sum_up()
    return api.user.get(f"/jobs/{job['id']}").raise_for_status().json()


def test_each_pair_is_a_job_and_the_batch_sums_them_up(api, pairs):
    pairs[1]["stride"] = 64
    batch = submit(api, pairs, options={"confidence": True, "stride": 128})
    assert (batch["processID"], batch["status"], batch["progress"]) == ("batch", "running", 0)
    assert batch["message"] == "0 of 2 maps are made"
    children = jobs_of(api, batch)
    assert {job["id"] for job in children} == set(api.notified.jobs)
    assert {job["batch"] for job in children} == {batch["id"]}
    by_ortho = {job["inputs"]["ortho"]: job for job in children}
    first, second = (by_ortho[pair["ortho"]] for pair in pairs)
    assert [job["inputs"]["stride"] for job in (first, second)] == [128, 64]
    assert first["inputs"]["confidence"]
    assert batch["inputs"]["pairs"][0] == pairs[0] | {"confidence": True, "stride": 128}

    assert api.user.get(f"/jobs/{batch['id']}/results").status_code == 404
    api.finish(second["id"], {"classes.tif": b"map"})
    assert status(api, batch)["progress"] == 50
    api.finish(first["id"], {"classes.tif": b"map"})
    done = status(api, batch)
    assert (done["status"], done["progress"]) == ("successful", 100)
    results = api.user.get(f"/jobs/{batch['id']}/results").json()["jobs"]["value"]
    assert [(each["id"], each["status"]) for each in results] == [
        (first["id"], "successful"),
        (second["id"], "successful"),
    ]
    assert "classes.tif" in api.user.get(results[0]["href"]).json()
    for name in ("results.zip", "results/classes.tif"):
        assert api.user.get(f"/jobs/{batch['id']}/{name}").json()["code"] == "result.unknown"
    again = submit(api, batch["inputs"]["pairs"])
    assert (again["status"], again["message"]) == ("successful", "2 of 2 maps are made")


def test_a_bad_pair_keeps_no_other_from_being_mapped(api, pairs):
    bad = {"ortho": "none.tif", "height": pairs[0]["height"]}
    batch = submit(api, [bad, pairs[0], {"ortho": [pairs[0]["ortho"], "none.tif"]}])
    assert batch["message"] == "0 of 3 maps are made, 2 failed"
    failed = [job for job in jobs_of(api, batch) if job["status"] == "failed"]
    assert {job["exception"]["code"] for job in failed} == {"upload.unknown"}
    sent = [job["inputs"]["ortho"] for job in failed]
    assert [pairs[0]["ortho"], "none.tif"] in sent
    assert batch["inputs"]["pairs"][2]["ortho"] in sent
    (waiting,) = api.notified.jobs
    api.finish(waiting, {"classes.tif": b"map"})
    assert status(api, batch)["status"] == "successful"
    for job in failed:
        assert api.user.get(f"/jobs/{job['id']}/pictures").status_code == 409


def test_a_batch_takes_what_its_maps_take(api, pairs):
    takes = {"memory_bytes": 5_000_000, "disk_bytes": 2_333, "windows": 12}
    api.inspections.report = {"ortho": {"height": 20, "width": 50}, "estimate": takes}
    told = {"pixels": 2000, "windows": 24, "memory_bytes": 5_000_000, "disk_bytes": 4_666}
    assert submit(api, pairs)["estimate"] == told
    api.inspections.report["estimate"]["disk_bytes"] = 1 << 60
    refused = api.user.post(BATCH, json={"inputs": {"pairs": pairs}, "reuse": False})
    assert (refused.status_code, refused.json()["code"]) == (507, "output.disk_full")
    free = shutil.disk_usage(api.services.storage.root).free  # for one, not for both
    api.inspections.report["estimate"]["disk_bytes"] = free * 6 // 10
    refused = api.user.post(BATCH, json={"inputs": {"pairs": pairs}, "reuse": False})
    assert (refused.status_code, refused.json()["code"]) == (507, "output.disk_full")


def test_a_pair_waits_while_too_many_others_are_looked_at(api, pairs, settings, monkeypatch):
    look, asked = api.inspections.pair, []

    def busy(*what):
        asked.append(what)
        if len(asked) in (2, 5):
            raise Busy("too many files are being inspected; try again")
        return look(*what)

    monkeypatch.setattr(api.inspections, "pair", busy)
    monkeypatch.setattr(submit_batch, "_AGAIN_S", 0.0)
    assert submit(api, pairs)["message"] == "0 of 2 maps are made"
    monkeypatch.setitem(settings.__dict__, "inspect_seconds", -1)
    reply = api.user.post(BATCH, json={"inputs": {"pairs": pairs}})
    assert (reply.status_code, reply.json()["code"]) == (503, "service.busy")


def test_a_request_of_bad_pairs_alone_is_refused(api, pairs):
    api.inspections.fault = Refused("pair.no_overlap", "elsewhere")
    reply = api.user.post(BATCH, json={"inputs": {"pairs": pairs}})
    assert (reply.status_code, reply.json()["code"]) == (422, "pair.no_overlap")
    assert api.user.get("/jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    "inputs",
    [
        {"pairs": []},
        {"pairs": [{}]},
        {"pairs": "all"},
        {"pairs": ["a.tif"]},
        {"pairs": [{"ortho": "a.tif", "strid": 3}]},
        {"pairs": [{"ortho": "a.tif"}] * 101},
        {"pairs": [{"ortho": "a.tif"}], "options": {"strid": 3}},
        {"pairs": [{"ortho": "a.tif"}], "options": [1]},
        {"pairs": [{"ortho": "a.tif"}], "map_outputs": ["none.tif"]},
        {"pairs": [{"ortho": "a.tif"}], "map_outputs": ["zones.csv"]},
        {"pairs": [{"ortho": {"href": "https://elsewhere/a.tif"}}]},
        [],
    ],
)
def test_what_no_request_for_maps_is_gets_400(api, inputs):
    assert api.user.post(BATCH, json={"inputs": inputs}).status_code == 400


def test_cancelling_and_removing_reach_the_jobs(api, pairs):
    batch = submit(api, pairs)
    first, second = jobs_of(api, batch)
    api.finish(first["id"], {"classes.tif": b"map"})
    assert api.user.delete(f"/jobs/{batch['id']}").json()["status"] == "dismissed"
    assert status(api, batch)["status"] == "dismissed"
    states = {job["id"]: job["status"] for job in jobs_of(api, batch)}
    assert states == {first["id"]: "successful", second["id"]: "dismissed"}
    assert api.other.delete(f"/jobs/{batch['id']}").status_code == 404
    assert api.user.delete(f"/jobs/{batch['id']}").status_code == 200
    assert api.user.get("/jobs").json()["jobs"] == []
    assert api.services.storage.jobs() == []


def test_a_batch_whose_jobs_were_all_cancelled_is_dismissed(api, pairs):
    batch = submit(api, pairs)
    for job in jobs_of(api, batch):
        api.user.delete(f"/jobs/{job['id']}").raise_for_status()
    assert api.user.get(f"/jobs/{batch['id']}").json()["status"] == "dismissed"
    assert jobs_of(api, batch, api.other) == []


def test_a_batch_without_a_map_has_failed(api, pairs):
    batch = submit(api, pairs)
    for job_id in api.notified.jobs:
        with api.services.database.writing() as session:
            job = JobRepository(session).claim(job_id, "test", 60, 3)
            JobRepository(session).fail(job, Failure("raster.no_data", "empty", {}, True), 3)
    failed = status(api, batch)
    assert (failed["status"], failed["exception"]["code"]) == ("failed", "job.batch_failed")
    reply = api.user.get(f"/jobs/{batch['id']}/results")
    assert (reply.status_code, reply.json()["code"]) == (422, "job.batch_failed")


def test_a_quota_counts_each_pair(api, pairs, settings, monkeypatch):
    monkeypatch.setitem(settings.__dict__, "quota_jobs", 3)
    submit(api, pairs)
    reply = api.user.post(BATCH, json={"inputs": {"pairs": pairs}})
    problem = reply.json()
    assert (reply.status_code, problem["code"]) == (429, "quota.jobs")
    assert (problem["params"]["waiting"], problem["params"]["limit"]) == (2, 3)
    assert len(api.user.get("/jobs").json()["jobs"]) == 3
    assert api.admin.get("/jobs").status_code == 200


def test_a_batch_over_the_limit_itself_is_not_told_to_come_again(api, pairs, settings, monkeypatch):
    monkeypatch.setitem(settings.__dict__, "quota_jobs", 1)
    reply = api.user.post(BATCH, json={"inputs": {"pairs": pairs}})
    assert (reply.status_code, reply.json()["code"]) == (429, "quota.jobs")
    assert "several batches" in reply.json()["detail"]
    assert "Retry-After" not in reply.headers


def test_the_same_key_is_one_batch(api, pairs):
    headers = {"Idempotency-Key": "k"}
    sent = {"inputs": {"pairs": pairs, "map_outputs": ["polygons.gpkg"]}}
    first, again = (api.user.post(BATCH, json=sent, headers=headers).json() for _ in range(2))
    assert first["id"] == again["id"]
    assert len(api.notified.jobs) == 2
    assert all(job["inputs"]["polygons"] for job in jobs_of(api, first))
    other = api.user.post(BATCH, json={"inputs": {"pairs": pairs}}, headers=headers)
    assert other.json()["code"] == "idempotency.mismatch"


def test_no_worker_takes_the_batch_itself(api, pairs):
    batch = submit(api, pairs)
    with api.services.database.writing() as session:
        assert Backlog(session).fail_abandoned(1) == []
        assert batch["id"] not in Backlog(session).due()


def test_jobs_of_a_batch_that_goes_on_are_not_outdated(api, pairs):
    """What it tells at its end is by them."""
    batch = submit(api, pairs)
    first, second = api.notified.jobs
    api.finish(first, {"classes.tif": b"map"})
    with api.services.database.reading() as session:
        assert Backlog(session).outdated(-1) == []
    api.finish(second, {"classes.tif": b"map"})
    assert status(api, batch)["message"] == "2 of 2 maps are made"
    with api.services.database.reading() as session:
        assert {*Backlog(session).outdated(-1)} == {first, second, batch["id"]}


def test_a_removal_sums_up_the_batch_of_the_job_alone(api, pairs):
    batch, other = (submit(api, [pair]) for pair in pairs)
    first, second = api.notified.jobs
    for job_id in (first, second):
        api.finish(job_id, {"classes.tif": b"map"})
    api.user.delete(f"/jobs/{first}").raise_for_status()
    told = [api.user.get(f"/jobs/{each['id']}").json()["status"] for each in (batch, other)]
    assert told == ["dismissed", "running"]


def test_many_batches_are_summed_up_by_as_many_questions_as_one(api, pairs):
    asked = []

    def count(*arguments):
        asked.append(arguments[2])

    for _ in range(2):
        submit(api, pairs)
    with api.services.database.writing() as session:
        engine = session.get_bind()
        event.listen(engine, "before_cursor_execute", count)
        try:
            BatchRepository(session).sum_up()
        finally:
            event.remove(engine, "before_cursor_execute", count)
    assert len([each for each in asked if each.startswith("SELECT")]) == 2
