"""What holds for every route: keys, scopes, problem+json, headers, limits; OGC documents."""

import contextlib
import time
from unittest.mock import Mock

import httpx
import pytest
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolEmpty

from mfnet.service import errors
from mfnet.service.api.answers import problem_details
from mfnet.service.db.repositories.keys import KeyRepository

OGC = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"
PROBLEM = "application/problem+json"

# Routes that ask for no key. A route that is neither here nor in EXPECTED fails below.
OPEN = {
    ("get", "/"),
    ("get", "/conformance"),
    ("get", "/processes"),
    ("get", "/processes/{process_id}"),
    ("get", "/health/live"),
    ("get", "/health/ready"),
}

# What another user's request gets on a thing that is not theirs; None: a list without it.
EXPECTED = {
    ("post", "/processes/segment/execution"): "upload.unknown",
    ("post", "/processes/batch/execution"): "upload.unknown",
    ("post", "/processes/echo/execution"): "",
    ("get", "/jobs"): None,
    ("get", "/jobs/{job_id}"): "job.unknown",
    ("delete", "/jobs/{job_id}"): "job.unknown",
    ("get", "/jobs/{job_id}/results"): "job.unknown",
    ("get", "/jobs/{job_id}/results/{name}"): "job.unknown",
    ("get", "/jobs/{job_id}/results.zip"): "job.unknown",
    ("get", "/jobs/{job_id}/events"): "job.unknown",
    ("get", "/jobs/{job_id}/callback"): "job.unknown",
    ("get", "/jobs/{job_id}/tiles/{layer}.json"): "job.unknown",
    ("get", "/jobs/{job_id}/tiles/{layer}/{z}/{x}/{y}.png"): "job.unknown",
    ("get", "/jobs/{job_id}/wmts"): "job.unknown",
    ("post", "/jobs/{job_id}/links"): "job.unknown",
    ("get", "/stac/collections/{collection_id}/items/{item_id}"): "job.unknown",
    ("get", "/stac/collections/{collection_id}/items"): "",  # a list without it
    ("get", "/stac/search"): "",
    ("post", "/stac/search"): "",
    ("get", "/jobs/{job_id}/pictures"): "job.unknown",
    ("get", "/jobs/{job_id}/pictures/{name}"): "job.unknown",
    ("get", "/jobs/{job_id}/pixel"): "job.unknown",
    ("get", "/jobs/{job_id}/preview"): "job.unknown",
    ("get", "/jobs/{job_id}/preview/{name}"): "job.unknown",
    ("get", "/jobs/{job_id}/curves"): "job.unknown",
    ("put", "/uploads/{name}"): "",  # makes a thing of one's own
    ("get", "/uploads"): None,
    ("get", "/uploads/{upload_id}"): "upload.unknown",
    ("delete", "/uploads/{upload_id}"): "upload.unknown",
    ("get", "/uploads/{upload_id}/pictures"): "upload.unknown",
    ("get", "/uploads/{upload_id}/pictures/{name}"): "upload.unknown",
    ("post", "/jobs/{job_id}/corrections"): "job.unknown",
    ("get", "/tiles"): None,
    ("get", "/tiles/{tile_id}"): "tile.unknown",
    ("get", "/tiles/{tile_id}/labels.tif"): "tile.unknown",
    ("delete", "/tiles/{tile_id}"): "tile.unknown",
    ("post", "/uploads/incoming"): "",
    ("get", "/uploads/incoming/{upload_id}"): "upload.unknown",
    ("patch", "/uploads/incoming/{upload_id}"): "upload.unknown",
    ("delete", "/uploads/incoming/{upload_id}"): "upload.unknown",
    ("post", "/samples"): "",
    ("post", "/imports"): "",
    ("post", "/keys"): "",
    ("delete", "/keys/{key_id}"): "key.unknown",
}

ITEM = b"""{"geometry": null, "properties": {"datetime": "2026-01-01T00:00:00Z"},
            "assets": {"secret": {"href": "classes.tif"}}}"""

# The same for everybody who has a key.
SHARED = {
    ("get", "/keys"),  # their own
    ("get", "/keys/mine"),
    ("get", "/me"),
    ("get", "/stac"),
    ("get", "/stac/conformance"),
    ("get", "/stac/collections"),
    ("get", "/stac/collections/{collection_id}"),
    ("post", "/me/webhook-secret"),
    ("get", "/models"),
    ("get", "/models/{model}"),
    ("get", "/models/{model}/versions/{version}"),
}

# For admins alone: a user gets 403, and nothing is done.
ADMINS = {
    ("get", "/metrics"),
    ("get", "/audit"),
    ("get", "/state"),
    ("get", "/models/{model}/history"),
    ("post", "/models/{model}/versions/{version}/promote"),
    ("post", "/models/{model}/rollback"),
    ("post", "/processes/retrain/execution"),
}

# Nobody is to be told of the job, its map is no raster that tiles could be drawn of, and has no
# curves.
NOT_HERE = {
    ("get", "/jobs/{job_id}/callback"),
    ("get", "/jobs/{job_id}/curves"),
    *((method, path) for method, path in EXPECTED if "/tiles/{layer}" in path or "/wmts" in path),
}

KEYED = set(EXPECTED) | SHARED | ADMINS


def routes(api) -> set[tuple[str, str]]:
    paths = api.nobody.get("/openapi.json").json()["paths"]
    return {(method, path) for path, methods in paths.items() for method in methods}


@pytest.fixture
def things(api) -> dict[str, str]:
    """Ids of the user's job, with a result, of one of its uploads, and of a correction."""
    job = api.submit(stac=True)
    api.finish(job["id"], {"classes.tif": b"secret", "item.json": ITEM})
    api.user.get(f"/jobs/{job['id']}/pictures").raise_for_status()
    (upload,) = (u for u in api.user.get("/uploads").json()["uploads"] if u["name"] == "ortho.tif")
    api.user.get(f"/uploads/{upload['id']}/pictures").raise_for_status()
    preview = api.services.storage.preview(job["id"])
    preview.mkdir()
    (preview / "0-2.png").write_bytes(b"secret")
    told = {"Upload-Length": "6", "Upload-Metadata": "filename YS50aWY=", "Tus-Resumable": "1.0.0"}
    begun = api.user.post("/uploads/incoming", headers=told).raise_for_status()
    correction = {"labels": api.upload("labels.tif")["id"]}
    tile = api.user.post(f"/jobs/{job['id']}/corrections", json=correction).raise_for_status()
    return {
        "tile_id": tile.json()["id"],
        "job_id": job["id"],
        "upload_id": upload["id"],
        "name": "classes.tif",
        "collection_id": "maps",
        "item_id": job["id"],
        "key_id": "nobody",
        "incoming_id": begun.headers["location"].rpartition("/")[2],
        "process_id": "segment",
        "model": "town",
        "version": "1",
        "layer": "classes",
        **dict.fromkeys("zxy", "0"),
    }


def ask(client: httpx.Client, route: tuple[str, str], things: dict[str, str]) -> httpx.Response:
    method, path = route
    body = {}
    if method == "post":
        body = {"json": {"inputs": {"ortho": things["upload_id"], "height": things["upload_id"]}}}
    if path.endswith("/batch/execution"):
        body = {"json": {"inputs": {"pairs": [body["json"]["inputs"]]}}}
    if path.endswith(("/links", "/search")):
        body = {"json": {}}
    if path.endswith("/corrections"):
        body = {"json": {"labels": things["upload_id"]}}
    if "/preview/" in path:
        things = things | {"name": "0-2.png"}
    if "/pictures/" in path:
        things = things | {"name": "ortho.jpg"}
    if "/incoming" in path:
        piece = {"Content-Type": "application/offset+octet-stream"}
        things = things | {"upload_id": things["incoming_id"]}
        body = {"headers": {"Tus-Resumable": "1.0.0", **piece}}
    if path.endswith("/pixel"):
        body = {"params": {"row": 0, "column": 0}}
    return client.request(method, path.format(**things), **body)


def test_every_route_has_a_row_here(api):
    assert routes(api) == OPEN | KEYED


def test_what_is_anothers_does_not_exist(api, things):
    for route, code in EXPECTED.items():
        reply = ask(api.other, route, things)
        if code is None:
            (listed,) = (value for name, value in reply.json().items() if name != "links")
            assert (reply.status_code, listed) == (200, []), route
        elif code:
            status = 422 if route[0] == "post" and "processes" in route[1] else 404
            assert (reply.status_code, reply.json()["code"]) == (status, code), route
        assert b"secret" not in reply.content
    assert api.user.get(f"/jobs/{things['job_id']}/results/classes.tif").content == b"secret"


def test_an_admin_sees_everybodys(api, things):
    for route in KEYED:
        # Only who has begun an upload goes on with it.
        if route[0] == "get" and "incoming" not in route[1] and route not in NOT_HERE:
            reply = ask(api.admin, route, things)
            assert reply.status_code == 200, route
    assert len(api.admin.get("/jobs").json()["jobs"]) == 1


def test_what_only_admins_may_do_is_403(api, things):
    before = api.user.get("/models").json()
    for route in ADMINS:
        reply = ask(api.user, route, things)
        assert (reply.status_code, reply.json()["code"]) == (403, "auth.forbidden"), route
    assert api.user.get("/models").json() == before
    assert api.notified.jobs == [things["job_id"]]


@pytest.mark.parametrize("header", [None, "Bearer mfn_wrong", "Bearer", "Basic dTpw", "mfn_x"])
def test_without_a_valid_key_everything_is_401(api, things, header):
    headers = {"Authorization": header} if header else {}
    with httpx.Client(base_url=api.url, headers=headers, trust_env=False) as stranger:
        for route in KEYED:
            reply = ask(stranger, route, things)
            assert (reply.status_code, reply.json()["code"]) == (401, "auth.required"), route
            assert reply.headers["www-authenticate"].startswith('Bearer realm="mfnet", Basic ')


@pytest.mark.parametrize("end", ["revoked", "expires"])
def test_a_key_that_has_ended_is_dead_at_once_on_every_route(api, things, end):
    told = api.user.post("/keys", json={"role": "reader", "days": 1}).json()
    headers = {"Authorization": f"Bearer {told['secret']}"}
    with httpx.Client(base_url=api.url, headers=headers, trust_env=False) as reader:
        assert reader.get("/jobs").status_code == 200
        with api.services.database.writing() as session:
            row = KeyRepository(session).get(api.user.get("/keys/mine").json()["id"])
            setattr(row, end, row.created)
        for client in (api.user, reader):  # and so are its readers
            for route in KEYED:
                assert ask(client, route, things).status_code == 401, route


def test_an_owner_and_a_reader_see_the_same_and_a_reader_changes_nothing(api, things):
    told = api.user.post("/keys", json={"role": "reader"}).json()
    headers = {"Authorization": f"Bearer {told['secret']}"}
    with httpx.Client(base_url=api.url, headers=headers, trust_env=False) as reader:
        for route in KEYED - ADMINS:
            if route[0] != "get" and not route[1].endswith("/search"):
                reply = ask(reader, route, things)
                assert (reply.status_code, reply.json()["code"]) == (403, "auth.forbidden"), route
            else:
                statuses = [ask(by, route, things).status_code for by in (api.user, reader)]
                assert statuses[0] in (200, 204) or route in NOT_HERE, route
                assert statuses[0] == statuses[1], route


def test_every_response_has_the_safe_headers(api, things):
    for client in (api.user, api.nobody):
        for route in OPEN | KEYED:
            headers = ask(client, route, things).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert len(headers["x-request-id"]) == 32


def test_every_error_has_a_status():
    def below(kind):
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    commands = below(errors.MaintenanceError)  # no request meets them
    answered = below(errors.ServiceError) - {errors.ServiceError} - commands
    assert answered == set(problem_details.ANSWERS)


@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [
        ("GET /nowhere", 404, "route.unknown"),
        ("POST /jobs", 405, "route.method"),
        ("GET /processes/paint", 404, "process.unknown"),
        ("GET /jobs?limit=0", 400, "request.invalid"),
        ("GET /jobs?status=tired", 400, "request.invalid"),
    ],
)
def test_what_the_framework_refuses_is_a_problem_too(api, request_line, status, code):
    reply = api.user.request(*request_line.split())
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert reply.headers["content-type"] == PROBLEM
    assert reply.json()["status"] == status


@pytest.mark.parametrize(
    "request_line", ["GET /jobs/%00", "GET /jobs?after=%00", "DELETE /uploads/%00", "POST"]
)
def test_a_nul_character_is_no_fault_of_ours(api, request_line):
    if request_line == "POST":
        body = {"inputs": {"ortho": "\0", "height": "\0"}}
        reply = api.user.post("/processes/segment/execution", json=body)
    else:
        reply = api.user.request(*request_line.split())
    assert reply.status_code < 500  # SQLite looks for it and finds nothing


def test_unknown_process_has_the_type_of_the_standard(api):
    assert api.nobody.get("/processes/x").json()["type"] == OGC + "no-such-process"
    execution = api.user.post("/processes/x/execution", json={"inputs": _nothing()})
    assert execution.json()["type"] == OGC + "no-such-process"


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b"null", b""])
def test_what_is_no_json_object_is_400(api, content):
    headers = {"Content-Type": "application/json"}
    reply = api.user.post("/processes/segment/execution", content=content, headers=headers)
    assert (reply.status_code, reply.headers["content-type"]) == (400, PROBLEM)


@pytest.mark.parametrize("declared", [True, False])
def test_a_large_json_body_is_refused(api, declared):
    content = b'{"inputs": "' + b"x" * 100_000 + b'"}'
    reply = api.user.post(
        "/processes/segment/execution",
        content=content if declared else iter([content[:50_000], content[50_000:]]),
        headers={"Content-Type": "application/json"},
    )
    assert (reply.status_code, reply.json()["code"]) == (413, "request.too_large")


@pytest.mark.parametrize("fault", [RuntimeError("secret"), errors.InspectionBroken("secret")])
def test_a_fault_of_ours_says_nothing_but_where_to_look(api, fault, caplog):
    api.inspections.fault = fault
    reply = api.user.put("/uploads/a.tif", content=b"x")
    assert reply.status_code == 500
    assert reply.headers["content-type"] == PROBLEM
    assert set(reply.json()) == {"type", "title", "status", "code", "request_id"}
    assert reply.json()["request_id"] == reply.headers["x-request-id"]
    assert "secret" not in reply.text
    assert reply.json()["request_id"] in caplog.text
    assert "secret" in caplog.text


def test_database_and_broker_away_are_503(api, monkeypatch):
    from kombu.exceptions import OperationalError as BrokerAway

    assert api.nobody.get("/health/live").json() == {"status": "ok"}
    assert api.nobody.get("/health/ready").json() == {"status": "ok"}

    def away(*_):
        raise BrokerAway("no route to redis:secret@host")

    monkeypatch.setattr(api.notified, "waiting", away)
    reply = api.nobody.get("/health/ready")
    assert (reply.status_code, reply.json()["code"]) == (503, "service.not_ready")
    assert int(reply.headers["retry-after"]) > 0
    assert "secret" not in reply.text

    what = ("SELECT secret", {}, Exception())
    for error in (OperationalError(*what), InterfaceError(*what), PoolEmpty("secret")):
        for way in ("reading", "ping"):
            monkeypatch.setattr(api.services.database, way, Mock(side_effect=error))
        for path in ("/health/ready", "/jobs"):
            reply = api.user.get(path)
            assert (reply.status_code, reply.json()["code"]) == (503, "service.not_ready")
            assert "secret" not in reply.text
    assert api.nobody.get("/health/live").status_code == 200


def test_a_crowd_makes_nobody_think_that_the_service_is_not_ready(api):
    with contextlib.ExitStack() as crowd:
        for _ in range(50):
            session = crowd.enter_context(api.services.database.reading())
            session.connection()
        begun = time.monotonic()
        assert api.nobody.get("/health/ready", timeout=20).status_code == 200
        assert time.monotonic() - begun < 10


def test_links_of_the_landing_page_lead_somewhere(api):
    links = api.nobody.get("/").json()["links"]
    relations = {link["rel"].rpartition("/")[2] for link in links}
    assert relations == {
        *("self", "service-desc", "service-doc", "conformance", "processes", "job-list", "data")
    }
    for link in links:
        assert api.user.get(link["href"]).status_code == 200, link
    classes = api.nobody.get("/conformance").json()["conformsTo"]
    assert "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core" in classes


def test_the_process_is_described_from_what_is_checked(api):
    summary = api.nobody.get("/processes").json()["processes"][0]
    assert (summary["id"], summary["jobControlOptions"]) == (
        "segment",
        ["async-execute", "dismiss"],
    )
    process = api.nobody.get("/processes/segment").json()
    assert process["inputs"]["ortho"]["minOccurs"] == 1
    assert process["inputs"]["dtm"]["minOccurs"] == 0
    assert process["inputs"]["blend"]["schema"]["enum"] == ["mean", "hann"]
    assert process["inputs"]["model"]["schema"]["default"] == "town"
    assert "classes.tif" in process["outputs"]
    body = {"inputs": _nothing()}
    (run,) = [link["href"] for link in process["links"] if link["rel"].endswith("/execute")]
    assert api.user.post(run, json=body).json()["code"] == "upload.unknown"


def _nothing() -> dict[str, str]:
    return {"ortho": "nothing", "height": "nothing"}


@pytest.fixture(params=[("*", "https"), ("127.0.0.1", "http")])
def trusted(request, monkeypatch):
    """Whom uvicorn believes, and the scheme that another one's word then gives; before `api`."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", request.param[0])
    return request.param[1]


def test_links_say_https_where_a_trusted_proxy_does(trusted, api):
    proxy = httpx.HTTPTransport(local_address="127.0.0.2")
    body = {"inputs": {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}}
    headers = {**api.user.headers, "X-Forwarded-Proto": "https"}
    with httpx.Client(base_url=api.url, headers=headers, transport=proxy) as client:
        reply = client.post("/processes/segment/execution", json=body).raise_for_status()
    assert reply.headers["Location"].partition("://")[0] == trusted
    assert {link["href"].partition("://")[0] for link in reply.json()["links"]} == {trusted}
