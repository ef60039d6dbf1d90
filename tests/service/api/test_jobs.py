"""Submitting, watching, fetching and dismissing jobs over HTTP."""

import hashlib

import pytest

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.domain.job import Failure
from mfnet.service.errors import Refused

OGC = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"


def test_execution_accepts_a_job_and_rings_for_it(api):
    ids = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height", "dtm")}
    reply = api.user.post(
        "/processes/segment/execution",
        json={"inputs": ids | {"model": "mine", "stride": 64}, "response": "document"},
    )
    assert reply.status_code == 201
    job = reply.json()
    assert job["jobID"] == job["id"]
    assert (job["type"], job["processingEntityType"]) == ("process", "ogc-api-processes")
    assert (job["processID"], job["status"], job["progress"]) == ("segment", "accepted", 0)
    assert api.notified.jobs == [job["id"]]
    assert api.user.get(reply.headers["Location"]).json() == job
    paths = {role: api.services.storage.uploads / upload for role, upload in ids.items()}
    names = {upload: f"{role}.tif" for role, upload in ids.items()}
    sha256 = hashlib.sha256(b"mine").hexdigest()
    file = api.services.storage.models.path(sha256)
    names |= {str(file): "mine", file.name: "mine"}
    assert api.inspections.pairs == [(*paths.values(), str(file), {}, names)]
    with api.services.database.reading() as session:
        kept = JobRepository(session).get(job["id"]).inputs
    options = {"stride": 64, "blend": "mean", "confidence": False}
    assert kept == ids | options | {"model": "mine@1", "model_sha256": sha256}


def test_a_job_says_how_its_rasters_are_read(api):
    told = {"code": "height.unit", "message": "heights are in feet"}
    strange = {"code": "drift.gsd", "message": "pixels of 1 m"}
    api.inspections.remarks = [told]
    api.inspections.drift = {"remarks": [strange], "compared": True}
    job = api.submit()
    assert api.user.get(f"/jobs/{job['jobID']}").json()["remarks"] == [told, strange]


def test_a_job_says_what_of_its_input_the_model_has_never_seen(api):
    remark = {"code": "drift.gsd", "message": "pixels of 1 m"}
    api.inspections.drift = {"remarks": [], "compared": True}
    usual = api.submit(white=4095, height_unit="us-ft", collar=False)
    assert api.inspections.pairs[-1][-2] == {
        "white": 4095,
        "collar": False,
        "height_unit": "us-ft",
    }
    api.inspections.drift = {"remarks": [remark], "compared": True}
    strange = api.submit()
    assert (usual["remarks"], strange["remarks"]) == ([], [remark])
    listed = {job["id"]: job["remarks"] for job in api.user.get("/jobs").json()["jobs"]}
    assert listed == {usual["id"]: [], strange["id"]: [remark]}


def test_an_upload_may_be_called_by_its_name_and_the_newest_is_meant(api):
    api.upload("ortho.tif")
    newest = {name: api.upload(f"{name}.tif")["id"] for name in ("ortho", "height")}
    body = {"inputs": {"ortho": "ortho.tif", "height": "height.tif"}}
    job = api.user.post("/processes/segment/execution", json=body).raise_for_status().json()
    with api.services.database.reading() as session:
        kept = JobRepository(session).get(job["id"]).inputs
    assert {"ortho": kept["ortho"], "height": kept["height"]} == newest


def test_a_bad_pair_is_refused_before_there_is_a_job(api):
    ids = {role: api.upload()["id"] for role in ("ortho", "height")}
    api.inspections.fault = Refused("pair.no_overlap", "2 % overlap", overlap_percent=2)
    reply = api.user.post("/processes/segment/execution", json={"inputs": ids})
    assert (reply.status_code, reply.json()["code"]) == (422, "pair.no_overlap")
    assert reply.json()["params"] == {"overlap_percent": 2}
    assert api.user.get("/jobs").json()["jobs"] == []
    assert api.notified.jobs == []


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"ortho": "x"},
        {"ortho": "x", "height": 3},
        {"ortho": "x", "height": "y", "colour": "red"},
        {"ortho": "x", "height": "y", "model": "../../etc/passwd"},
        {"ortho": "x", "height": "y", "model": "--help"},
        {"ortho": "x", "height": "y", "model": "mine@0"},
        {"ortho": "x", "height": "y", "model": "mine@"},
        {"ortho": "x", "height": "y", "stride": 0},
        {"ortho": "x", "height": "y", "blend": "max"},
        {"ortho": "x", "height": "y", "white": -1},
    ],
)
def test_bad_inputs_are_named(api, inputs):
    reply = api.user.post("/processes/segment/execution", json={"inputs": inputs})
    assert (reply.status_code, reply.json()["code"]) == (400, "request.invalid")
    assert reply.json()["params"]["errors"][0]["loc"][:2] == ["body", "inputs"]
    assert reply.json()["detail"].startswith("body.inputs.")


def test_idempotency_key_makes_one_job(api):
    ids = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}

    def execute(**inputs):
        return api.user.post(
            "/processes/segment/execution",
            json={"inputs": ids | inputs},
            headers={"Idempotency-Key": "monday"},
        )

    first, second = execute(), execute()
    assert first.status_code == second.status_code == 201
    assert first.json()["id"] == second.json()["id"]
    assert api.notified.jobs == [first.json()["id"]]
    other = execute(stride=32)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.mismatch")
    assert len(api.user.get("/jobs").json()["jobs"]) == 1


def test_a_repeated_request_is_answered_without_a_second_look(api):
    uploads = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}
    body = {"inputs": {role: f"{role}.tif" for role in uploads}}
    headers = {"Idempotency-Key": "monday"}
    first = api.user.post("/processes/segment/execution", json=body, headers=headers).json()
    api.finish(first["id"], {"classes.tif": b"x"})
    api.upload("ortho.tif")
    api.user.delete(f"/uploads/{uploads['height']}").raise_for_status()
    again = api.user.post("/processes/segment/execution", json=body, headers=headers)
    assert (again.status_code, again.json()["id"]) == (201, first["id"])
    assert again.json()["status"] == "successful"
    assert len(api.inspections.pairs) == len(api.notified.jobs) == 1


def test_the_same_request_twice_at_once_makes_one_job(api, monkeypatch):
    ids = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}
    body, headers = {"inputs": ids}, {"Idempotency-Key": "monday"}
    first = api.user.post("/processes/segment/execution", json=body, headers=headers).json()
    found, looked = JobRepository.submitted, []

    def too_early(jobs, *key):
        looked.append(key)
        return found(jobs, *key) if len(looked) > 1 else None

    monkeypatch.setattr(JobRepository, "submitted", too_early)
    again = api.user.post("/processes/segment/execution", json=body, headers=headers)
    assert (again.status_code, again.json()["id"]) == (201, first["id"])
    assert api.notified.jobs == [first["id"]]


def test_jobs_come_in_pages_newest_first(api):
    ids = [api.submit()["id"] for _ in range(5)]
    api.submit(by=api.other)
    api.user.delete(f"/jobs/{ids[0]}").raise_for_status()
    seen, url = [], "/jobs?limit=2"
    while url:
        page = api.user.get(url).json()
        seen += [job["id"] for job in page["jobs"]]
        url = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    assert seen == ids[::-1]
    dismissed = api.user.get("/jobs", params={"status": "dismissed"}).json()["jobs"]
    assert [job["id"] for job in dismissed] == ids[:1]
    either = api.user.get("/jobs", params={"status": ["dismissed", "accepted"]}).json()["jobs"]
    assert len(either) == 5
    assert len(api.admin.get("/jobs").json()["jobs"]) == 6


def test_jobs_of_a_process(api):
    job = api.submit()["id"]
    for processes, found in (["segment"], [job]), (["other", "segment"], [job]), (["other"], []):
        told = api.user.get("/jobs", params={"processID": processes}).json()["jobs"]
        assert [job["id"] for job in told] == found


def test_jobs_of_a_time(api):
    jobs = [api.submit() for _ in range(3)]
    first, second, third = (job["created"] for job in jobs)

    def created(span):
        reply = api.user.get("/jobs", params={"datetime": span}).raise_for_status()
        return [job["id"] for job in reply.json()["jobs"]][::-1]

    ids = [job["id"] for job in jobs]
    assert created(f"{first}/{third}") == ids
    assert created(f"{second}/..") == created(f"{second}/") == ids[1:]
    assert created(f"../{second}") == ids[:2]
    assert created(second) == [ids[1]]
    assert created("2000-01-01T00:00:00+01:00/2000-01-02T00:00:00+01:00") == []


@pytest.mark.parametrize(
    "span",
    [
        "",
        "..",
        "../..",
        "/",
        "yesterday",
        "2026-01-01T00:00:00",
        "a/b/c",
        "2026-01-02/..",
        "2026-01-02T00:00:00Z/2026-01-01T00:00:00Z",
    ],
)
def test_what_is_no_time_is_refused(api, span):
    reply = api.user.get("/jobs", params={"datetime": span})
    assert (reply.status_code, reply.json()["code"]) == (400, "job.bad_datetime")


def test_results_when_the_job_is_done(api):
    job = api.submit()
    files = {"classes.tif": bytes(range(256)), "classes.tif.aux.xml": b"<x/>", "a.bin": b"?"}
    api.finish(job["id"], files)
    status = api.user.get(f"/jobs/{job['id']}").json()
    assert (status["status"], status["progress"]) == ("successful", 100)
    (results,) = [link["href"] for link in status["links"] if link["rel"].endswith("/results")]
    listed = api.user.get(results).json()
    assert {name: link["type"] for name, link in listed.items()} == {
        "classes.tif": "image/tiff; application=geotiff; profile=cloud-optimized",
        "classes.tif.aux.xml": "application/xml",
        "a.bin": "application/octet-stream",
    }
    for name, content in files.items():
        reply = api.user.get(listed[name]["href"])
        assert reply.content == content
        assert reply.headers["content-type"] == listed[name]["type"]
        assert reply.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert reply.headers["x-content-type-options"] == "nosniff"
    part = api.user.get(listed["classes.tif"]["href"], headers={"Range": "bytes=16-31"})
    assert (part.status_code, part.content) == (206, bytes(range(16, 32)))
    assert part.headers["content-range"] == "bytes 16-31/256"
    beyond = api.user.get(listed["classes.tif"]["href"], headers={"Range": "bytes=999-"})
    assert beyond.status_code == 416


@pytest.mark.parametrize(
    "name", ["nope.tif", "%2E%2E", "..%2F..%2Fmfnet.sqlite3", "%2Fetc%2Fpasswd"]
)
def test_only_results_are_served(api, name):
    job = api.submit()
    api.finish(job["id"], {"classes.tif": b"x"})
    reply = api.user.get(f"/jobs/{job['id']}/results/{name}")
    assert reply.status_code == 404
    assert reply.json()["code"] in {"result.unknown", "route.unknown"}


@pytest.mark.parametrize("path", ["results", "results/classes.tif"])
def test_results_that_go_away_meanwhile(api, path):
    job = api.submit()
    api.finish(job["id"], {"classes.tif": b"x"})
    api.services.storage.keep_only(job["id"], None)
    reply = api.user.get(f"/jobs/{job['id']}/{path}")
    assert (reply.status_code, reply.json()["code"]) == (404, "result.unknown")


@pytest.mark.parametrize("path", ["results", "results/classes.tif"])
def test_results_before_the_job_is_done(api, path):
    job = api.submit()
    reply = api.user.get(f"/jobs/{job['id']}/{path}")
    assert (reply.status_code, reply.json()["code"]) == (404, "result.not_ready")
    assert reply.json()["type"] == OGC + "result-not-ready"
    assert reply.json()["params"] == {"status": "accepted", "progress": 0}


@pytest.mark.parametrize(("input_fault", "status"), [(True, 422), (False, 500)])
def test_results_of_a_failed_job_are_its_error(api, input_fault, status):
    job = api.submit()
    failure = Failure("raster.unreadable", "block 3 is torn", {"block": 3}, input_fault)
    with api.services.database.writing() as session:
        claimed = JobRepository(session).claim(job["id"], "test", 60, 1)
        JobRepository(session).fail(claimed, failure, 1)
    told = api.user.get(f"/jobs/{job['id']}").json()
    assert (told["status"], told["message"]) == ("failed", "block 3 is torn")
    assert told["exception"]["code"] == "raster.unreadable"
    assert told["exception"]["params"] == {"block": 3}
    reply = api.user.get(f"/jobs/{job['id']}/results")
    assert (reply.status_code, reply.json()["code"]) == (status, "raster.unreadable")
    assert ("detail" in reply.json()) == input_fault


def test_dismissing_cancels_and_then_removes(api):
    job = api.submit()
    reply = api.user.delete(f"/jobs/{job['id']}")
    assert (reply.status_code, reply.json()["status"]) == (200, "dismissed")
    assert api.user.get(f"/jobs/{job['id']}").json()["status"] == "dismissed"
    gone = api.user.get(f"/jobs/{job['id']}/results")
    assert (gone.status_code, gone.json()["code"]) == (410, "result.gone")
    assert api.user.delete(f"/jobs/{job['id']}").json()["status"] == "dismissed"
    assert api.user.get(f"/jobs/{job['id']}").status_code == 404


def test_dismissing_a_successful_job_removes_its_files(api):
    job = api.submit()
    api.finish(job["id"], {"classes.tif": b"x"})
    folder = api.services.storage.folder(job["id"], 1)
    assert folder.exists()
    assert api.user.delete(f"/jobs/{job['id']}").json()["status"] == "dismissed"
    assert not folder.parent.exists()
    reply = api.user.get(f"/jobs/{job['id']}")
    assert (reply.status_code, reply.json()["type"]) == (404, OGC + "no-such-job")
