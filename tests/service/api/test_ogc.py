"""What OGC API - Processes 1.0 says of descriptions, executions, results and lists."""

import json
import time
from pathlib import Path

import pytest
from databases import copy_migrated
from openapi_schema_validator import OAS30Validator

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.domain.job import State

EXECUTE = "/processes/segment/execution"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite alone: nothing here depends on the database."""
    copy_migrated(tmp_path / "test.sqlite3")
    return f"sqlite:///{tmp_path / 'test.sqlite3'}"


@pytest.fixture
def ids(api) -> dict[str, str]:
    return {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}


def inputs_of(api, job: str) -> dict:
    with api.services.database.reading() as session:
        return JobRepository(session).get(job).inputs


def nulls(value) -> bool:
    if isinstance(value, dict):
        return any(each is None or nulls(each) for each in value.values())
    return isinstance(value, list) and any(map(nulls, value))


def test_no_answer_of_the_standard_holds_a_null(api, ids):
    job = api.user.post(EXECUTE, json={"inputs": ids}).raise_for_status().json()
    paths = ["/", "/processes", "/jobs", f"/jobs/{job['id']}"]
    paths += [f"/processes/{name}" for name in ("segment", "batch", "retrain", "echo")]
    for path in paths:
        assert not nulls(api.user.get(path).json()), path
    assert not nulls(job)


@pytest.mark.parametrize("process", ["segment", "batch", "retrain", "echo"])
def test_schemas_are_of_openapi_30(api, process):
    told = api.nobody.get(f"/processes/{process}").json()
    for put in (*told["inputs"].values(), *told["outputs"].values()):
        OAS30Validator.check_schema(put["schema"])
        text = json.dumps(put["schema"])
        assert '"null"' not in text
        assert '"const"' not in text
        assert type(put["schema"].get("exclusiveMinimum", True)) is bool


def test_the_description_in_openapi_30_has_nothing_of_31(api):
    reply = api.nobody.get("/api")
    assert reply.headers["content-type"] == "application/vnd.oai.openapi+json;version=3.0"
    told = reply.json()
    assert told["openapi"] == "3.0.3"
    text = reply.text
    for word in ('"const"', '"prefixItems"', '"type":"null"', '"examples"'):
        assert word not in text, word
    for schema in told["components"]["schemas"].values():
        OAS30Validator.check_schema(schema)
    assert set(told["paths"]) == set(api.nobody.get("/openapi.json").json()["paths"])


def test_errors_are_described_as_they_are(api):
    told = api.nobody.get("/openapi.json").json()
    problem = set(told["components"]["schemas"]["Problem"]["properties"])
    for methods in told["paths"].values():
        for operation in methods.values():
            assert "422" not in operation["responses"]
            assert list(operation["responses"]["4XX"]["content"]) == ["application/problem+json"]
    for reply in (api.user.get("/jobs/nope"), api.user.post(EXECUTE, json={})):
        assert set(reply.json()) <= problem


def test_inputs_by_value_and_by_reference(api, ids):
    for ortho in (
        {"value": ids["ortho"]},
        {"value": "ortho.tif"},
        {"href": f"{api.url}/uploads/{ids['ortho']}", "type": "image/tiff"},
        {"href": f"/uploads/{ids['ortho']}"},
    ):
        body = {"inputs": ids | {"ortho": ortho, "stride": {"value": 64}}}
        reply = api.user.post(EXECUTE, json=body)
        assert reply.status_code == 201, reply.text
        kept = inputs_of(api, reply.json()["id"])
        assert (kept["ortho"], kept["stride"]) == (ids["ortho"], 64)


@pytest.mark.parametrize(
    "href",
    [
        "https://elsewhere.example/uploads/{ortho}",
        "file:///etc/passwd",
        "/etc/passwd",
        "{url}/uploads/",
        "{url}/uploads/../jobs/x",
        "{url}/jobs/{ortho}",
        "//elsewhere.example/uploads/{ortho}",
        "http://[bad/uploads/{ortho}",
        "s3://bucket/ortho.tif",
        "/vsicurl/{url}/uploads/{ortho}",
        "/vsis3/bucket/ortho.tif",
    ],
)
def test_nothing_is_read_but_our_uploads(api, ids, href):
    given = href.format(url=api.url, **ids)
    for ortho in ({"href": given}, given):
        reply = api.user.post(EXECUTE, json={"inputs": ids | {"ortho": ortho}})
        assert (reply.status_code, reply.json()["code"]) == (400, "request.foreign_reference")
    assert api.notified.jobs == []


def test_a_reference_opens_nothing_of_anothers(api, ids):
    body = {"inputs": {role: {"href": f"{api.url}/uploads/{i}"} for role, i in ids.items()}}
    reply = api.other.post(EXECUTE, json=body)
    assert (reply.status_code, reply.json()["code"]) == (422, "upload.unknown")
    assert api.admin.post(EXECUTE, json=body).status_code == 201


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"outputs": {"nope": {}}}, "request.bad_output"),
        ({"outputs": {"classes.tif": {"transmissionMode": "value"}}}, "request.bad_output"),
        ({"outputs": {"classes.tif": {"transmissionMode": "pigeon"}}}, "request.invalid"),
        ({"response": "banana"}, "request.invalid"),
        ({"subscriber": {"successUri": "http://127.0.0.1/"}}, "callback.bad_address"),
        ({"subscriber": {"failedUri": "https://gis.example/"}}, "request.invalid"),
    ],
)
def test_what_would_be_ignored_is_refused(api, ids, body, code):
    reply = api.user.post(EXECUTE, json={"inputs": ids} | body)
    assert (reply.status_code, reply.json()["code"]) == (400, code)
    assert api.notified.jobs == []


def test_the_results_are_the_outputs_asked_for(api, ids):
    statistics = {"area": None, "classes": [1]}
    files = {"classes.tif": b"x", "statistics.json": json.dumps(statistics).encode()}

    def results(**body):
        asked = {"inputs": ids, "reuse": False} | body
        job = api.user.post(EXECUTE, json=asked).raise_for_status().json()["id"]
        api.finish(job, files)
        return job, api.user.get(f"/jobs/{job}/results").raise_for_status()

    job, whole = results()
    assert set(whole.json()) == set(files)
    job, one = results(outputs={"classes.tif": {"transmissionMode": "reference"}})
    assert list(one.json()) == ["classes.tif"]
    assert api.user.get(one.json()["classes.tif"]["href"]).content == b"x"
    _, inline = results(outputs={"statistics.json": {"transmissionMode": "value"}})
    assert inline.json() == {
        "statistics.json": {"value": statistics, "mediaType": "application/json"}
    }
    _, raw = results(outputs={"classes.tif": {}}, response="raw")
    assert (raw.content, raw.headers["content-type"].split(";")[0]) == (b"x", "image/tiff")
    assert api.other.get(f"/jobs/{job}/results").status_code == 404


def test_who_asks_for_confidence_gets_it(api, ids):
    body = {"inputs": ids, "outputs": {"confidence.tif": {}}}
    job = api.user.post(EXECUTE, json=body).json()["id"]
    assert inputs_of(api, job)["confidence"] is True


def test_other_outputs_are_another_request(api, ids):
    def execute(outputs):
        body = {"inputs": ids, "outputs": outputs}
        return api.user.post(EXECUTE, json=body, headers={"Idempotency-Key": "monday"})

    assert execute({"classes.tif": {}}).status_code == 201
    assert execute({"classes.tif": {}}).status_code == 201
    assert execute({"classes.qml": {}}).json()["code"] == "idempotency.mismatch"


def test_a_preference_that_was_followed_is_told(api, ids):
    def applied(prefer):
        reply = api.user.post(EXECUTE, json={"inputs": ids}, headers={"Prefer": prefer})
        assert reply.status_code == 201
        return reply.headers.get("preference-applied")

    assert applied("wait=5, respond-async") == "respond-async"
    assert applied("respond-sync") is None


def test_jobs_by_type_and_duration(api):
    short, long, waiting = (api.submit()["id"] for _ in range(3))
    for job in (short, long):
        api.finish(job, {"classes.tif": b"x"})
    with api.services.database.writing() as session:
        JobRepository(session).get(long).started -= 100

    def found(**params):
        reply = api.user.get("/jobs", params=params).raise_for_status()
        return {job["id"] for job in reply.json()["jobs"]}

    assert found(type="process") == {short, long, waiting}
    assert found(minDuration=50) == {long}
    assert found(maxDuration=50) == {short}
    assert found(minDuration=50, maxDuration=60) == set()
    for wrong in ({"type": "wps"}, {"minDuration": -1}, {"maxDuration": "x"}):
        assert api.user.get("/jobs", params=wrong).json()["code"] == "request.invalid"


@pytest.mark.parametrize("path", ["/jobs", "/uploads", "/tiles"])
def test_an_unknown_filter_is_refused(api, path):
    reply = api.user.get(path, params={"stauts": "running"})
    assert (reply.status_code, reply.json()["code"]) == (400, "request.unknown_parameter")
    assert "limit" in reply.json()["detail"]


def test_echo_at_once(api):
    def echo(**body):
        body = {"inputs": {"message": "<hello> ü"}} | body
        return api.user.post("/processes/echo/execution", json=body).raise_for_status()

    raw = echo()
    assert (raw.status_code, raw.text) == (200, "<hello> ü")
    assert raw.headers["content-type"].startswith("text/plain")
    assert echo(response="document").json() == {"message": "<hello> ü"}
    begun = time.monotonic()
    echo(inputs={"message": "x", "pause": 0.3})
    assert time.monotonic() - begun >= 0.3
    refused = api.user.post("/processes/echo/execution", json={"inputs": {"pause": 1}})
    assert refused.status_code == 400


def test_echo_as_a_job(api):
    def start(pause):
        body = {"inputs": {"message": "hello", "pause": pause}}
        headers = {"Prefer": "respond-async"}
        reply = api.user.post("/processes/echo/execution", json=body, headers=headers)
        assert (reply.status_code, reply.headers["preference-applied"]) == (201, "respond-async")
        assert reply.json()["processID"] == "echo"
        return reply.headers["location"]

    job = start(0.2)
    deadline = time.monotonic() + 20
    while api.user.get(job).json()["status"] != "successful":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert api.user.get(f"{job}/results").json() == {"message": "hello"}
    assert api.user.get(f"{job}/results/message").json()["code"] == "result.unknown"
    assert api.other.get(f"{job}/results").status_code == 404
    slow = start(30)
    assert api.user.get(f"{slow}/results").json()["code"] == "result.not_ready"
    assert api.user.delete(slow).json()["status"] == "dismissed"
    assert api.notified.jobs == []
    assert api.user.delete(job).json()["status"] == "dismissed"
    assert api.user.get(job).status_code == 404


def test_an_echo_whose_api_died_has_no_other_attempt(api):
    from mfnet.service.db.repositories.stalled_jobs import Backlog

    body = {"inputs": {"message": "x", "pause": 30}}
    reply = api.user.post(
        "/processes/echo/execution", json=body, headers={"Prefer": "respond-async"}
    )
    with api.services.database.writing() as session:
        JobRepository(session).get(reply.json()["id"]).lease_until = 0.0
        session.flush()
        failed = Backlog(session).fail_abandoned(api.services.settings.attempts)
    assert failed == [reply.json()["id"]]
    assert api.user.get(reply.headers["location"]).json()["status"] == State.FAILED
