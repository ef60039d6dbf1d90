"""A service that asks for no key: whoever is at its machine is the admin, and nobody else is."""

from pathlib import Path

import pytest
from databases import copy_migrated

from mfnet.service.api.local_requests import is_loopback
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    copy_migrated(tmp_path / "test.sqlite3")
    url = f"sqlite:///{tmp_path / 'test.sqlite3'}"
    told = {"keys": False, "cors_origins": "https://gis.example"}
    return Settings(data_dir=tmp_path / "data", database_url=url, redis_url=None, **told)


def test_who_is_at_the_machine_is_the_admin_without_a_key(api):
    theirs = api.submit(by=api.user)["id"]
    mine = api.submit(by=api.nobody)["id"]
    assert {job["jobID"] for job in api.nobody.get("/jobs").json()["jobs"]} == {theirs, mine}
    assert api.nobody.get(f"/jobs/{theirs}").json()["jobID"] == theirs
    assert api.nobody.get("/keys/mine").json()["role"] == "admin"
    events = api.nobody.head(f"/jobs/{mine}/events")
    assert events.headers["content-type"].startswith("text/event-stream")
    assert 'data-keys="no"' in api.nobody.get("/", headers={"Accept": "text/html"}).text
    # A key that is sent holds all the same.
    assert [job["jobID"] for job in api.user.get("/jobs").json()["jobs"]] == [theirs]
    wrong = {"Authorization": "Bearer mfn_wrong"}
    assert api.nobody.get("/jobs", headers=wrong).json()["code"] == "auth.required"


@pytest.mark.parametrize(
    ("headers", "how"),
    [
        ({"X-Forwarded-For": "203.0.113.7"}, "a proxy"),
        ({"Via": "1.1 proxy"}, "a proxy"),
        ({"Host": "rebound.example:8000"}, "was sent to 'rebound.example'"),
        ({"Origin": "https://evil.example"}, "another site"),
        ({"Origin": "null"}, "another site"),
        ({"Sec-Fetch-Site": "cross-site"}, "another site"),
    ],
)
def test_what_a_proxy_or_another_sites_page_sends_needs_a_key(api, headers, how):
    reply = api.nobody.get("/jobs", headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (403, "auth.not_local")
    assert how in reply.json()["detail"]
    assert api.user.get("/jobs", headers=headers).status_code == 200


def test_our_page_and_pages_that_are_named_are_served(api):
    for origin in (api.url, "https://gis.example"):
        assert api.nobody.get("/jobs", headers={"Origin": origin}).status_code == 200


def test_where_all_admins_keys_have_ended_nobody_is_served(api):
    with api.services.database.writing() as session:
        keys = KeyRepository(session)
        for key in keys.living():
            keys.revoke(key.id)
    assert api.nobody.get("/jobs").status_code == 401


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *(("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("[::1]", True)),
        *(("localhost", True), ("0.0.0.0", False), ("::", False), ("192.168.0.7", False)),
        *(("localhost.example", False), ("", False), ("2130706433", False)),
    ],
)
def test_what_is_this_machine_alone(host, local):
    assert is_loopback(host) is local
