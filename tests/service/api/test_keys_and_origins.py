"""Basic authentication, pages of other origins, a prefix in front, and the API's own page."""

import base64
import hashlib
import re
from pathlib import Path

import httpx
import pytest
from databases import copy_migrated

from mfnet.service.settings import Settings

ORIGIN = "https://gis.example"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    copy_migrated(tmp_path / "test.sqlite3")
    return Settings(
        data_dir=tmp_path / "data",
        database_url=f"sqlite:///{tmp_path / 'test.sqlite3'}",
        redis_url=None,
        root_path="/mfnet",
        cors_origins=f"https://other.example {ORIGIN}",
    )


def secret(client: httpx.Client) -> str:
    return client.headers["authorization"].removeprefix("Bearer ")


def test_a_key_may_come_as_a_password(api):
    job = api.submit()["id"]
    for client, status in ((api.user, 200), (api.other, 404)):
        for name in ("", "anybody", "ü"):
            reply = api.nobody.get(f"/jobs/{job}", auth=(name, secret(client)))
            assert reply.status_code == status, name
    for wrong in (("x", ""), ("x", "mfn_wrong"), (secret(api.user), "")):
        assert api.nobody.get("/jobs", auth=wrong).status_code == 401
    for header in ("Basic", "Basic !", "Basic //79", "Basic eA==", "Digest x"):
        reply = api.nobody.get("/jobs", headers={"Authorization": header})
        assert (reply.status_code, reply.json()["code"]) == (401, "auth.required"), header


def test_a_script_of_a_page_makes_no_browser_ask_for_a_password(api):
    def challenge(**headers):
        return api.nobody.get("/jobs", headers=headers).headers["www-authenticate"]

    assert "Basic" in challenge()
    assert "Basic" in challenge(**{"Sec-Fetch-Mode": "navigate"})
    for mode in ("cors", "same-origin", "no-cors"):
        assert challenge(**{"Sec-Fetch-Mode": mode}) == 'Bearer realm="mfnet"'


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_form_of_another_site_starts_nothing(api, kind):
    # A browser that knows the password sends it with forms of any site, but no JSON without CORS.
    content = b'{"inputs": {"message": "x"}}'
    headers = {"Content-Type": kind} if kind else {}
    reply = api.user.post("/processes/echo/execution", content=content, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (400, "request.invalid")


def test_pages_of_allowed_origins_may_ask(api):
    ask = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,content-digest,range",
    }
    before = api.nobody.options("/uploads/a.tif", headers=ask)
    assert before.status_code == 200
    assert before.headers["access-control-allow-origin"] == ORIGIN
    reply = api.user.get("/jobs", headers={"Origin": ORIGIN})
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert "Content-Range" in reply.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in reply.headers
    refused = api.nobody.get("/jobs", headers={"Origin": ORIGIN})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)
    strange = api.user.get("/jobs", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in strange.headers


def test_addresses_have_the_prefix_whether_or_not_the_proxy_takes_it_off(api):
    job = api.submit()
    for path in ("", "/mfnet"):
        listed = api.user.get(f"{path}/jobs?limit=1").json()
        assert listed["links"][0]["href"] == f"{api.url}/mfnet/jobs?limit=1"
        status = api.user.get(f"{path}/jobs/{job['id']}").json()
        assert status["links"][0]["href"] == f"{api.url}/mfnet/jobs/{job['id']}"
        put = api.user.put(f"{path}/uploads/big.tif", content=b"x" * 100_000)
        assert put.headers["location"].startswith(f"{api.url}/mfnet/uploads/")
        for link in api.nobody.get(f"{path}/").json()["links"]:
            assert link["href"].startswith(f"{api.url}/mfnet/")
            assert api.user.get(link["href"]).status_code == 200
    by_reference = {"ortho": {"href": put.headers["location"]}, "height": "big.tif"}
    reply = api.user.post("/mfnet/processes/segment/execution", json={"inputs": by_reference})
    assert reply.status_code == 201
    assert api.nobody.get("/mfnet/api").json()["servers"] == [{"url": "/mfnet"}]
    assert api.user.get("/mfnet/jobs/").status_code == 200
    assert api.user.get("/mfnetjobs").status_code == 404


def test_the_page_of_the_api_loads_nothing_and_runs_nothing(api):
    reply = api.nobody.get("/docs")
    assert reply.headers["content-type"].startswith("text/html")
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    (style,) = re.findall("<style>(.*?)</style>", reply.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    for word in ("<script", "src=", "<link", "http://", "style="):
        assert word not in reply.text, word
    told = api.nobody.get("/openapi.json").json()
    for path in told["paths"]:
        assert f"<code>{path}</code>" in reply.text
    anchors = re.findall('href="#([^"]+)"', reply.text)
    assert anchors
    for name in anchors:
        assert f'id="{name}"' in reply.text
