"""People without a key, signed in by a real OpenID Connect issuer."""

import base64
import dataclasses
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jwt
import openid
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from databases import copy_migrated
from sqlalchemy import update
from waiting import PATIENCE_S

from mfnet.service.db.tables import Key
from mfnet.service.runtime.openid import OpenIdIssuer
from mfnet.service.settings import Settings


@pytest.fixture(scope="module")
def issuer() -> Iterator[openid.Issuer]:
    """One for all tests."""
    with openid.running() as found:
        yield found


@pytest.fixture
def settings(tmp_path: Path, issuer: openid.Issuer) -> Settings:
    """A service that the issuer signs people in to."""
    copy_migrated(tmp_path / "data/mfnet.sqlite3")
    told = {"oidc_issuer": issuer.url, "oidc_admins": "gis-admins"}
    return Settings(data_dir=tmp_path / "data", database_url=None, redis_url=None, **told)


def ask(api, token: str, path: str = "/me", verb: str = "GET", **more: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.request(
        verb, api.url + path, headers=headers, trust_env=False, timeout=PATIENCE_S, **more
    )


def test_who_signs_in_owns_what_they_make_and_nobody_else_sees_it(api, issuer):
    anna = issuer.token("anna", name="Anna Berg", email="anna@example.org")
    ben = issuer.token("ben")
    sent = ask(api, anna, "/uploads/a.tif", "PUT", content=b"pixels")
    assert sent.status_code == 201
    assert ask(api, anna, "/uploads").json()["uploads"][0]["id"] == sent.json()["id"]
    assert ask(api, ben, "/uploads").json()["uploads"] == []
    # A later token is of the same person; others keep their keys.
    again = issuer.token("anna", name="Anna Berg", email="anna@example.org")
    assert ask(api, again, "/uploads").json()["uploads"][0]["id"] == sent.json()["id"]
    assert api.user.get("/uploads").json()["uploads"] == []
    (row,) = [k for k in api.admin.get("/keys").json()["keys"] if k["name"] == "anna@example.org"]
    assert (row["role"], row["prefix"]) == ("user", "oidc")
    job = ask(api, anna, "/jobs").json()
    assert job["jobs"] == []
    (entry,) = [e for e in api.admin.get("/audit").json()["entries"] if e["subject"] == row["id"]]
    assert (entry["who"], entry["action"]) == (issuer.url, "key created")


def test_first_requests_may_come_at_once(api, issuer):
    token = issuer.token("ida")
    with ThreadPoolExecutor(8) as page:
        asked = [page.submit(ask, api, token) for _ in range(8)]
        assert {each.result().status_code for each in asked} == {200}
    assert [k["name"] for k in api.admin.get("/keys").json()["keys"]].count("ida") == 1


def test_an_admin_is_whoever_is_in_the_group_by_this_token(api, issuer):
    admin, user = issuer.token("eva", groups=["gis-admins", "x"]), issuer.token("eva", groups=["x"])
    for token, status in ((admin, 200), (user, 403), (admin, 200), (user, 403)):
        assert ask(api, token, "/audit").status_code == status
    assert ask(api, issuer.token("eva", roles="gis-admins"), "/audit").status_code == 200
    job = api.submit()["id"]
    assert ask(api, admin, f"/jobs/{job}").status_code == 200
    assert ask(api, user, f"/jobs/{job}").status_code == 404
    assert api.admin.delete(f"/keys/{ask(api, user, '/keys/mine').json()['id']}").is_success


def test_what_changes_for_a_person_is_noted_a_minute_later(api, issuer):
    ask(api, issuer.token("fay"))
    (key,) = [k["id"] for k in api.admin.get("/keys").json()["keys"] if k["name"] == "fay"]
    api.services.signed_in.clear()
    ask(api, issuer.token("fay", groups=["gis-admins"]))
    told = [e for e in api.admin.get("/audit").json()["entries"] if e["subject"] == key]
    assert [each["action"] for each in told] == ["role changed", "key created"]


def test_whom_a_person_lends_their_things_to_is_no_admin_and_ends_with_them(api, issuer):
    eva = issuer.token("eva", groups=["gis-admins"])
    job = api.submit()["id"]
    own = ask(api, eva, "/keys/mine").json()["id"]
    reader = ask(api, eva, "/keys", "POST", json={"role": "reader"}).json()
    assert reader["of"] == own
    assert ask(api, reader["secret"]).status_code == 200
    assert ask(api, reader["secret"], "/audit").status_code == 403
    assert ask(api, reader["secret"], f"/jobs/{job}").status_code == 404
    with api.services.database.writing() as session:  # she has not been here for 31 days
        long_ago = {"used": time.time() - 31 * 86400}
        session.execute(update(Key).where(Key.id == own).values(long_ago))
    assert ask(api, reader["secret"]).status_code == 401
    assert ask(api, eva).status_code == 200


def test_users_of_a_persons_key_do_not_become_admins_with_them(api, issuer):
    own = ask(api, issuer.token("gil"), "/keys/mine").json()["id"]
    ben = api.admin.post("/keys", json={"name": "Ben", "of": own}).json()["secret"]
    api.services.signed_in.clear()
    assert ask(api, issuer.token("gil", groups=["gis-admins"]), "/audit").status_code == 200
    assert ask(api, ben).status_code == 200
    assert ask(api, ben, "/audit").status_code == 403
    assert ask(api, ben, "/keys", "POST", json={"role": "admin"}).status_code == 403


def test_a_person_is_no_admin_for_good(api, issuer):
    assert ask(api, issuer.token("hal", groups=["gis-admins"])).is_success
    own = api.admin.get("/keys/mine").json()["id"]
    assert api.admin.delete(f"/keys/{own}").json()["code"] == "key.last_admin"


def test_who_is_shut_out_stays_out_whatever_the_issuer_says(api, issuer):
    token = issuer.token("carl")
    key = ask(api, token, "/keys/mine").json()["id"]
    api.admin.delete(f"/keys/{key}").raise_for_status()
    assert ask(api, token).status_code == 401
    api.services.signed_in.clear()
    assert ask(api, issuer.token("carl", groups=["gis-admins"])).status_code == 401


def test_a_job_and_its_events_take_a_token(api, issuer):
    token = issuer.token("dora")
    rasters = {
        role: ask(api, token, f"/uploads/{role}.tif", "PUT", content=b"pixels").json()["id"]
        for role in ("ortho", "height")
    }
    made = ask(api, token, "/processes/segment/execution", "POST", json={"inputs": rasters})
    job = made.json()["id"]
    assert ask(api, token, f"/jobs/{job}").json()["status"] == "accepted"
    assert ask(api, issuer.token("ben"), f"/jobs/{job}").status_code == 404


@pytest.mark.parametrize(
    "forge",
    [
        lambda claims, key: jwt.encode(claims, key, "RS256"),
        lambda claims, key: jwt.encode(claims, key, "RS256", headers={"kid": "another"}),
        lambda claims, key: jwt.encode(claims, None, "none"),
        lambda claims, key: jwt.encode(claims, "x" * 32, "HS256"),
        lambda claims, key: "a.b.c",
        lambda claims, key: "..",
    ],
    ids=["another's key", "its name", "unsigned", "a shared secret", "no token", "empty"],
)
def test_a_token_that_the_issuer_did_not_sign_is_none(api, issuer, forge):
    key = rsa.generate_private_key(65537, 2048)
    claims = {"iss": issuer.url, "sub": "anna", "aud": "mfnet", "exp": time.time() + 600}
    refused = ask(api, forge(claims, key))
    assert (refused.status_code, refused.json()["code"]) == (401, "auth.required")
    assert "this token is not accepted" in refused.json()["detail"]


def test_a_token_for_another_program_is_refused(api, issuer):
    refused = ask(api, issuer.token("anna", client="another"))
    assert refused.status_code == 401
    assert "udience" in refused.json()["detail"]


def test_no_key_is_taken_for_whom_the_issuer_knows(api, issuer):
    ask(api, issuer.token("anna")).raise_for_status()
    for guess in (f"{issuer.url} anna", f"oidc:{issuer.url} anna", "oidc"):
        assert api.nobody.get("/me", auth=("any", guess)).status_code == 401


def test_an_issuer_that_does_not_answer_is_told_and_keys_go_on(api, issuer):
    away = OpenIdIssuer("http://127.0.0.1:9", "mfnet")  # the port where nobody listens
    api.app.state.services = dataclasses.replace(api.services, issuer=away)
    refused = ask(api, issuer.token("anna"))
    assert (refused.status_code, refused.json()["code"]) == (503, "auth.issuer_away")
    assert "does not answer" in refused.json()["detail"]
    assert api.user.get("/me").status_code == 200


def test_an_issuer_that_is_slow_holds_up_nobody_with_a_key(api, monkeypatch):
    monkeypatch.setattr("mfnet.service.runtime.openid._PATIENCE_S", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = OpenIdIssuer(f"http://127.0.0.1:{silent.getsockname()[1]}", "mfnet")
        api.app.state.services = dataclasses.replace(api.services, issuer=slow)
        made_up = f"{base64.b64encode(b'{}').decode()}.."
        with ThreadPoolExecutor(45) as strangers:
            asked = [strangers.submit(ask, api, made_up) for _ in range(45)]
            with silent.accept()[0]:  # the issuer is asked, and all of them wait
                assert api.user.get("/me").status_code == 200
                assert not any(each.done() for each in asked)
                refused = {each.result().status_code for each in asked}
    assert refused == {503}
