"""What a user's key may take, told before it is refused; admins may take anything."""

import time
from pathlib import Path

import pytest
from databases import copy_migrated

from mfnet.service.runtime.request_rates import RequestRates
from mfnet.service.settings import Settings

TUS = {"Tus-Resumable": "1.0.0", "Upload-Metadata": "filename YS50aWY="}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    copy_migrated(tmp_path / "data/mfnet.sqlite3")
    quotas = {"quota_bytes": 100, "quota_jobs": 1, "quota_requests": 600}
    return Settings(data_dir=tmp_path / "data", database_url=None, redis_url=None, **quotas)


def test_bytes_and_jobs_of_a_user_have_a_limit_and_an_admins_none(api):
    first = api.user.put("/uploads/ortho.tif", content=b"x" * 40).json()
    coming = api.user.post("/uploads/incoming", headers=TUS | {"Upload-Length": "50"})
    assert api.user.get("/me").json()["quotas"]["bytes_stored"] == {"used": 90, "limit": 100}
    over = api.user.put("/uploads/b.tif", content=b"x" * 11)
    unknown_length = api.user.put("/uploads/b.tif", content=iter([b"x" * 6, b"x" * 5]))
    in_pieces = api.user.post("/uploads/incoming", headers=TUS | {"Upload-Length": "11"})
    for reply in (over, unknown_length, in_pieces):
        assert (reply.status_code, reply.json()["code"]) == (507, "quota.bytes")
        assert reply.json()["params"] == {"stored": 90, "more": 11, "limit": 100}
    assert api.user.delete(coming.headers["location"], headers=TUS).status_code == 204
    assert len(list(api.services.storage.uploads.iterdir())) == 1

    body = {"inputs": {"ortho": first["id"], "height": first["id"]}}
    told = {"Idempotency-Key": "one"}
    execute = "/processes/segment/execution"
    assert api.user.post(execute, json=body, headers=told).status_code == 201
    second = api.user.post(execute, json=body)
    assert (second.status_code, second.json()["code"]) == (429, "quota.jobs")
    assert int(second.headers["retry-after"]) > 0
    assert api.user.post(execute, json=body, headers=told).status_code == 201  # the same again
    assert api.user.get("/me").json()["quotas"]["jobs_waiting"] == {"used": 1, "limit": 1}

    api.admin.put("/uploads/large.tif", content=b"x" * 200).raise_for_status()
    assert all(api.submit(api.admin) for _ in range(2))
    told = api.admin.get("/me").json()
    assert (told["key"]["role"], told["quotas"]["bytes_stored"]["limit"]) == ("admin", None)


def test_a_job_whose_results_are_there_does_not_wait(api):
    pair = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}
    execute = "/processes/segment/execution"
    made = api.user.post(execute, json={"inputs": pair}).json()
    api.finish(made["id"], {"classes.tif": b"map"})
    waits = api.user.post(execute, json={"inputs": pair | {"stride": 64}})
    assert waits.status_code == 201
    again = api.user.post(execute, json={"inputs": pair})
    assert (again.status_code, again.json().get("reused")) == (201, made["id"])
    anew = api.user.post(execute, json={"inputs": pair, "reuse": False})
    assert (anew.status_code, anew.json()["code"]) == (429, "quota.jobs")


def test_a_key_that_asks_too_often_is_told_when_to_come_again(api, monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr(
        api.services.rates, "_clock", lambda: now
    )  # a tenth of a second is one more
    assert api.user.get("/me").json()["quotas"]["requests_a_minute"] == {"used": 1, "limit": 600}
    key = api.user.get("/keys/mine").json()["id"]
    for _ in range(600):
        api.services.rates.wait_s(key)
    for address in ("/jobs", "/jobs/none"):
        reply = api.user.get(address)
        assert (reply.status_code, reply.json()["code"]) == (429, "quota.requests")
        assert reply.headers["retry-after"] == "1"
    assert api.other.get("/jobs").status_code == 200


def test_a_bucket_refills_by_the_minute():
    now = 0.0
    rates = RequestRates(2, clock=lambda: now)
    assert [rates.wait_s("a"), rates.wait_s("a"), rates.wait_s("a")] == [0, 0, 30]
    assert (rates.used("a"), rates.used("b")) == (2, 0)
    now = 30.0
    assert [rates.wait_s("a"), rates.wait_s("a")] == [0, 30]
    assert rates.wait_s("b") == 0
    assert RequestRates(0).wait_s("a") == 0
