"""HTTP as its RFCs say it: HEAD, conditions, ranges, compression, `Allow`, advice."""

import gzip
from pathlib import Path

import pytest
from databases import copy_migrated

PROBLEM = "application/problem+json"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite alone: nothing here depends on the database."""
    copy_migrated(tmp_path / "test.sqlite3")
    return f"sqlite:///{tmp_path / 'test.sqlite3'}"


@pytest.fixture
def result(api) -> str:
    """The path of a result of 256 bytes."""
    job = api.submit()
    api.finish(job["id"], {"classes.tif": bytes(range(256)), "statistics.json": b"{}" * 999})
    return f"/jobs/{job['id']}/results/classes.tif"


def test_head_is_get_without_a_body(api, result):
    for path in ("/", "/processes", "/jobs", "/models", "/health/live", result, "/openapi.json"):
        got, asked = api.user.get(path), api.user.head(path)
        assert (asked.status_code, asked.content) == (200, b""), path
        ours = dict(got.headers)
        theirs = dict(asked.headers)
        for name in ("date", "x-request-id"):
            ours.pop(name), theirs.pop(name)
        assert ours == theirs, path
    assert api.user.head("/jobs/nope").status_code == 404
    assert api.nobody.head(result).status_code == 401
    ranged = api.user.head(result, headers={"Range": "bytes=0-9"})
    assert (ranged.status_code, ranged.headers["content-length"]) == (200, "256")


def test_ranges(api, result):
    def ask(range_, **headers):
        return api.user.get(result, headers={"Range": range_, **headers})

    whole = bytes(range(256))
    assert ask("bytes=-6").content == whole[-6:]
    assert ask("bytes=250-999").content == whole[250:]
    for ignored in ("items=0-3", "bytes", "bytes=x-y", "bytes=9-2"):
        reply = ask(ignored)
        assert (reply.status_code, reply.content) == (200, whole), ignored
    several = ask("bytes=0-1,8-9")
    assert several.status_code == 206
    assert several.headers["content-type"].startswith("multipart/byteranges")
    beyond = ask("bytes=256-")
    assert (beyond.status_code, beyond.headers["content-type"]) == (416, PROBLEM)
    assert (beyond.json()["code"], beyond.json()["params"]) == ("request.bad_range", {"bytes": 256})
    assert beyond.headers["content-range"] == "bytes */256"
    etag = several.headers["etag"]
    assert ask("bytes=0-1", **{"If-Range": etag}).status_code == 206
    assert ask("bytes=0-1", **{"If-Range": '"other"'}).content == whole


def test_who_has_it_already_gets_304(api, result):
    for path in (result, "/models", "/jobs", "/processes", "/processes/segment", "/openapi.json"):
        first = api.user.get(path)
        etag = first.headers["etag"]
        for known in (etag, f'"x", {etag}', "*"):
            again = api.user.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content) == (304, b""), (path, known)
            assert again.headers["etag"] == etag
        other = api.user.get(path, headers={"If-None-Match": '"other"'})
        assert (other.status_code, other.content) == (200, first.content)
    since = {"If-Modified-Since": api.user.get(result).headers["last-modified"]}
    assert api.user.get(result, headers=since).status_code == 304
    long_ago = {"If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}
    assert api.user.get(result, headers=long_ago).status_code == 200
    assert api.user.get(result, headers={"If-Modified-Since": "?"}).status_code == 200


def test_a_condition_opens_nothing(api, result):
    etag = api.user.get(result).headers["etag"]
    for asker, status in ((api.other, 404), (api.nobody, 401)):
        for condition in (etag, "*"):
            assert asker.get(result, headers={"If-None-Match": condition}).status_code == status
    api.user.delete(result.rpartition("/results")[0])
    assert api.user.get(result, headers={"If-None-Match": "*"}).status_code == 404


def test_json_is_compressed_for_whoever_takes_it_and_files_are_not(api, result):
    def raw(path, accepted):
        with api.user.stream("GET", path, headers={"Accept-Encoding": accepted}) as reply:
            return reply.headers, b"".join(reply.iter_raw())

    plain, plain_body = raw("/openapi.json", "identity")
    packed, packed_body = raw("/openapi.json", "br, gzip;q=0.5")
    assert "content-encoding" not in plain
    assert packed["content-encoding"] == "gzip"
    assert "Accept-Encoding" in packed["vary"]
    assert gzip.decompress(packed_body) == plain_body
    assert len(packed_body) < len(plain_body) / 4
    assert "content-encoding" not in raw("/openapi.json", "gzip;q=0")[0]
    statistics = result.replace("classes.tif", "statistics.json")
    assert "content-encoding" not in raw(statistics, "gzip")[0]


def test_allow_names_every_method_of_a_path(api):
    for path, allowed in {
        "/jobs/0": "GET, HEAD, DELETE",
        "/tiles/0": "GET, HEAD, DELETE",
        "/uploads/0": "GET, HEAD, PUT, DELETE",
        "/processes/segment/execution": "POST",
    }.items():
        reply = api.user.patch(path)
        assert (reply.status_code, reply.headers["content-type"]) == (405, PROBLEM)
        assert reply.headers["allow"] == allowed
    assert api.user.head("/processes/segment/execution").status_code == 405


@pytest.mark.parametrize("path", ["/jobs/", "/conformance/", "/processes/segment/", "/uploads/"])
def test_a_slash_at_the_end_is_no_other_address(api, path):
    assert api.user.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/", "/uploads", "/uploads/", "/uploads/a.tif", "/upload"])
def test_a_form_is_told_how_to_send_a_file(api, path):
    for method in ("POST", "PUT"):
        reply = api.user.request(method, path, files={"file": ("a.tif", b"x" * 99)})
        assert reply.status_code in (404, 405, 415)
        assert "curl -T" in reply.json()["detail"], (method, path)
    assert api.user.get("/uploads").json() == {"uploads": []}


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/processes/segment", "POST /processes/segment/execution"),
        ("/processes/retrain/execute", "POST /processes/"),
        ("/jobs", "POST /processes/segment/execution"),
        ("/", "POST /processes/segment/execution"),
        ("/uploads", "curl -T"),
    ],
)
def test_a_post_elsewhere_is_told_where_to(api, path, advice):
    reply = api.user.post(path, json={"inputs": {}})
    assert (reply.status_code, reply.headers["content-type"]) in {(404, PROBLEM), (405, PROBLEM)}
    assert advice in reply.json()["detail"]


@pytest.mark.parametrize("after", ["%00", "nope", "x" * 32])
def test_after_is_the_id_of_a_job(api, after):
    reply = api.user.get(f"/jobs?after={after}")
    assert (reply.status_code, reply.json()["code"]) == (400, "request.invalid")


def test_a_page_has_at_most_a_thousand_jobs(api):
    api.submit()
    for limit in ("1000", "10000", "99999999999"):
        assert len(api.user.get("/jobs", params={"limit": limit}).json()["jobs"]) == 1
