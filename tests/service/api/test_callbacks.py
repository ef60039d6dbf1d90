"""Subscribers of jobs are told of them, with a signature; nobody has the service call what it alone
may reach. And the same as events, for whoever listens."""

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from databases import copy_migrated
from waiting import until

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.domain.job import Failure
from mfnet.service.operations import callbacks
from mfnet.service.runtime import outbound
from mfnet.service.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    copy_migrated(tmp_path / "data/mfnet.sqlite3")
    where = {"data_dir": tmp_path / "data", "database_url": None, "redis_url": None}
    return Settings(**where, callbacks_private=True)


class Receiver(HTTPServer):
    """Remembers what it was sent; answers as it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 204
        self.address = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Location", f"{self.server.address}/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def subscribed(api, receiver: Receiver) -> str:
    ids = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}
    kinds = ("success", "inProgress", "failed")
    told = {f"{kind}Uri": f"{receiver.address}/{kind}?a=1" for kind in kinds}
    body = {"inputs": ids, "subscriber": told}
    reply = api.user.post("/processes/segment/execution", json=body).raise_for_status().json()
    assert "subscriber" not in reply["inputs"]
    return reply["id"]


def test_a_subscriber_is_told_of_each_state_and_sees_who_has_sent_it(api, receiver):
    secret = api.user.post("/me/webhook-secret").json()["secret"]
    assert secret.startswith("whsec_")
    job = subscribed(api, receiver)
    address = f"/jobs/{job}/callback"
    assert api.user.get(address).json()["told"] == "accepted"
    with api.services.database.writing() as session:
        mine = JobRepository(session).claim(job, "test", 60, 3)
    until(lambda: receiver.got)
    folder = api.services.storage.begin(job, mine.epoch)
    (folder / "classes.tif").write_bytes(b"x")
    with api.services.database.writing() as session:
        assert JobRepository(session).publish(mine)
    until(lambda: api.user.get(address).json()["told"] == "done")
    (first, _, running), (second, headers, done) = receiver.got
    assert (first, second) == ("/inProgress?a=1", "/success?a=1")
    assert json.loads(running)["status"] == "running"
    assert json.loads(done) == api.user.get(f"/jobs/{job}/results").json()
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + done
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert api.user.delete(f"/jobs/{job}").status_code == 200
    assert api.user.get(address).status_code == 404


def test_what_is_not_taken_is_sent_again_and_redirects_lead_nowhere(api, receiver, monkeypatch):
    monkeypatch.setattr(callbacks, "RETRY_S", (1.0,))
    receiver.status = 307
    job = subscribed(api, receiver)
    with api.services.database.writing() as session:
        mine = JobRepository(session).claim(job, "test", 60, 3)
        JobRepository(session).fail(mine, Failure("raster.bad", "no", {}, True), 3)
    until(lambda: api.user.get(f"/jobs/{job}/callback").json()["attempts"] == 1)
    told = api.user.get(f"/jobs/{job}/callback").json()
    assert told["failure"] == "127.0.0.1 answered 307, expected 2xx"
    receiver.status = 200
    until(lambda: len(receiver.got) == 2)
    until(lambda: api.user.get(f"/jobs/{job}/callback").json()["told"] == "done")
    assert [path for path, *_ in receiver.got] == 2 * ["/failed?a=1"]
    ids = {headers["webhook-id"] for _, headers, _ in receiver.got}
    assert len(ids) == 1
    assert json.loads(receiver.got[0][2])["exception"]["code"] == "raster.bad"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "100.64.0.1"),
        *("::1", "fe80::1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    ],
)
def test_a_name_that_leads_into_a_private_network_is_not_called(monkeypatch, address):
    asked = []

    def found(host, port, **_):
        asked.append(host)
        public = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port))
        return [public, (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))]

    monkeypatch.setattr(outbound.socket, "getaddrinfo", found)
    with pytest.raises(outbound.NotReached, match="no address of the public internet"):
        outbound.post("https://gis.example/", b"{}", {}, private=False)
    assert asked == ["gis.example"]
    literal = f"[{address}]" if ":" in address else address
    with pytest.raises(outbound.NotReached):
        outbound.check_uri(f"http://{literal}/", private=False)


@pytest.mark.parametrize(
    "uri",
    ["ftp://gis.example", "http:///x", "http://a:b@gis.example", "http://a\r\nb/", "http://x:0/"],
)
def test_what_is_no_address_is_not_called(uri):
    with pytest.raises(outbound.NotReached):
        outbound.check_uri(uri, private=True)


def test_the_connection_goes_to_what_was_checked(monkeypatch, receiver):
    """A second answer of the name server's is not asked for."""
    answers = [[(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", receiver.server_port))]]
    monkeypatch.setattr(outbound.socket, "getaddrinfo", lambda *_, **__: answers.pop())
    outbound.post("http://gis.example/hook", b"{}", {"X": "1"}, private=True)
    ((path, headers, _),) = receiver.got
    assert (path, headers["Host"]) == ("/hook", "gis.example")


def test_a_jobs_events_come_as_it_changes_until_its_end(api):
    job = api.submit()["id"]
    with api.user.stream("GET", f"/jobs/{job}/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        lines = events.iter_lines()
        seen = []
        for line in lines:
            if line.startswith("data: "):
                seen.append(json.loads(line.removeprefix("data: "))["status"])
                if seen == ["accepted"]:
                    api.finish(job, {"classes.tif": b"x"})
    assert seen == ["accepted", "successful"]
    assert api.user.head(f"/jobs/{job}/events").status_code == 200
    assert api.other.get(f"/jobs/{job}/events").status_code == 404
