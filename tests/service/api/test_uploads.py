"""Uploads over HTTP: whole and checked, or not there at all."""

import base64
import hashlib
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mfnet.service.errors import Refused
from mfnet.service.files import unsettled
from mfnet.service.files.storage import PART

BODY = b"II*\0" + bytes(range(256)) * 20_000  # 5 MB: several blocks and a rest
SHA256 = hashlib.sha256(BODY).hexdigest()


def files(api) -> list[Path]:
    return sorted(api.services.storage.uploads.iterdir())


def test_upload_keeps_every_byte_and_says_what_came(api):
    reply = api.user.put("/uploads/ortho%20a.tif", content=BODY)
    assert reply.status_code == 201
    got = reply.json()
    assert (got["name"], got["bytes"], got["sha256"]) == ("ortho a.tif", len(BODY), SHA256)
    assert got["report"] == {"suits": ["orthophoto"]}
    (path,) = files(api)
    assert path.name == got["id"]
    assert path.read_bytes() == BODY
    assert api.user.get(reply.headers["Location"]).json() == got
    assert api.user.get("/uploads").json() == {"uploads": [got]}


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("form", ["query", "digest"])
def test_announced_sha256_is_checked(api, form, right):
    digest = hashlib.sha256(BODY if right else b"other").digest()
    header = "md5=:AAAA:, sha-256=:" + base64.b64encode(digest).decode() + ":"
    asked = {"params": {"sha256": digest.hex().upper()}}
    if form == "digest":
        asked = {"headers": {"Content-Digest": header}}
    reply = api.user.put("/uploads/a.tif", content=BODY, **asked)
    if right:
        assert reply.status_code == 201
        return
    assert reply.status_code == 422
    assert reply.json()["code"] == "upload.checksum_mismatch"
    assert reply.json()["params"] == {"got": SHA256, "expected": digest.hex()}
    assert files(api) == []


@pytest.mark.parametrize(
    ("params", "header"),
    [
        ({"sha256": "abc"}, None),
        ({}, "sha-256=:not base64:"),
        ({}, "sha-256=:AAAA:"),
        ({}, "sha-256=:Ä:"),
        ({"sha256": SHA256}, "sha-256=:" + base64.b64encode(bytes(32)).decode() + ":"),
    ],
)
def test_what_is_no_sha256_is_refused(api, params, header):
    headers = {"Content-Digest": header.encode("latin-1")} if header else {}
    reply = api.user.put("/uploads/a.tif", content=b"x", params=params, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (400, "upload.bad_checksum")


@pytest.mark.parametrize("name", ["%00.tif", "a%0Ab", "%2e%2e", "a%5Cb", "n" * 201])
def test_a_name_that_is_none_is_refused(api, name):
    reply = api.user.put(f"/uploads/{name}", content=b"x")
    assert reply.status_code in (400, 404, 405)
    assert reply.headers["content-type"] == "application/problem+json"
    assert files(api) == []


def test_empty_body_is_refused(api):
    reply = api.user.put("/uploads/a.tif", content=b"")
    assert (reply.status_code, reply.json()["code"]) == (400, "upload.empty")
    assert files(api) == []


@pytest.mark.parametrize("declared", [True, False])
def test_too_large_is_refused_before_and_while_reading(api, settings, monkeypatch, declared):
    monkeypatch.setitem(settings.__dict__, "upload_limit_bytes", 1_000_000)
    body = BODY if declared else iter([BODY[i : i + 65_536] for i in range(0, len(BODY), 65_536)])
    reply = api.user.put("/uploads/a.tif", content=body)
    assert (reply.status_code, reply.json()["code"]) == (413, "upload.too_large")
    assert reply.json()["params"] == {"limit_bytes": 1_000_000}
    assert files(api) == []


def test_a_refused_file_is_not_kept_and_its_code_is_the_inspections(api):
    api.inspections.fault = Refused("raster.not_geotiff", "got a poem", magic="Shal")
    reply = api.user.put("/uploads/a.tif", content=b"Shall I compare thee")
    assert reply.status_code == 422
    assert reply.json()["code"] == "raster.not_geotiff"
    assert reply.json()["detail"] == "got a poem"
    assert reply.json()["params"] == {"magic": "Shal"}
    assert files(api) == []
    assert api.user.get("/uploads").json() == {"uploads": []}


def test_no_byte_is_read_from_somebody_without_a_key(api):
    """The 401 comes although the body never does."""
    with _raw(api, "PUT /uploads/a.tif", "Content-Length: 1000000") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")
    assert files(api) == []


@pytest.mark.parametrize("sent", [0, 1, 65_536, 3_000_000, len(BODY) - 1])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_cut_at_any_byte_leaves_nothing(api, sent, chunked):
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(BODY)}"
    key = api.user.headers["Authorization"]
    with _raw(api, "PUT /uploads/a.tif", length, f"Authorization: {key}") as connection:
        if chunked and sent:
            connection.sendall(b"%x\r\n" % len(BODY))
        connection.sendall(BODY[:sent])
        _poll(lambda: len(files(api)) == 2)  # it is being received
        assert {path.suffix for path in files(api)} == {".part", ".unsettled"}
    _poll(lambda: files(api) == [])
    assert api.user.get("/uploads").json() == {"uploads": []}


def test_a_full_disk_is_507_and_leaves_nothing(api, monkeypatch):
    import errno

    from mfnet.service.api.requests import upload_stream

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(upload_stream.os, "fsync", full)
    reply = api.user.put("/uploads/a.tif", content=BODY)
    assert (reply.status_code, reply.json()["code"]) == (507, "storage.full")
    assert set(reply.json()) == {"type", "title", "status", "code", "request_id"}
    assert files(api) == []


def test_delete_removes_row_and_file_unless_a_job_needs_them(api):
    job = api.submit()
    ortho = api.user.get("/uploads").json()["uploads"][1]
    reply = api.user.delete(f"/uploads/{ortho['id']}")
    assert (reply.status_code, reply.json()["code"]) == (409, "upload.in_use")
    assert reply.json()["params"] == {"job": job["id"]}
    api.user.delete(f"/jobs/{job['id']}").raise_for_status()
    assert api.user.delete(f"/uploads/{ortho['id']}").status_code == 204
    assert api.user.get(f"/uploads/{ortho['id']}").status_code == 404
    assert len(files(api)) == 1


def _raw(api, request_line: str, *headers: str) -> socket.socket:
    address = urlsplit(api.url)
    connection = socket.create_connection((address.hostname, address.port), timeout=10)
    lines = [f"{request_line} HTTP/1.1", "Host: localhost", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode())
    return connection


def _poll(holds, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_what_stands_beside_a_raster_is_sent_before_it(api):
    for name in ("ortho.TFW", "ortho.prj", "ortho.tif.aux.xml", "ortho.tif.msk", "other.tfw"):
        reply = api.user.put(f"/uploads/{name}", content=name.encode())
        assert reply.status_code == 201, reply.text
        assert "kind" in reply.json()["report"]
    newer = api.user.put("/uploads/ortho.prj", content=b"newer").json()
    got = api.user.put("/uploads/ortho.tif", content=BODY).json()
    folder = api.services.storage.uploads
    found = {path.name.removeprefix(got["id"]): path.read_bytes() for path in folder.iterdir()}
    assert {ending: found[ending] for ending in (".tfw", ".prj", ".aux.xml", ".msk")} == {
        ".tfw": b"ortho.TFW",
        ".prj": b"newer",
        ".aux.xml": b"ortho.tif.aux.xml",
        ".msk": b"ortho.tif.msk",
    }
    # What is sent or removed later changes nothing of the raster.
    api.user.put("/uploads/ortho.tfw", content=b"later")
    assert api.user.delete(f"/uploads/{newer['id']}").status_code == 204
    assert (folder / f"{got['id']}.tfw").read_bytes() == b"ortho.TFW"
    assert (folder / f"{got['id']}.prj").read_bytes() == b"newer"
    assert api.user.delete(f"/uploads/{got['id']}").status_code == 204
    assert not [path for path in folder.iterdir() if path.name.startswith(got["id"])]


@pytest.mark.parametrize(
    ("sidecar", "raster"),
    [
        ("Übersicht.TFW", "Übersicht.tif"),
        ("Straße.tfw", "Straße.tif"),
        ("ÅRHUS.TFW", "ÅRHUS.TIF"),
        ("İzmir.tfw", "İzmir.tif"),
        ("ortho.tfw", "ORTHO.tif"),
    ],
)
def test_a_raster_of_any_language_gets_its_sidecar(api, sidecar, raster):
    api.user.put(f"/uploads/{sidecar}", content=b"theirs").raise_for_status()
    got = api.user.put(f"/uploads/{raster}", content=BODY).json()
    assert (api.services.storage.uploads / f"{got['id']}.tfw").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    "sidecar", ["Ortho.tfw", "ortho.tif.msk", "ortho.TIF.aux.xml", "ortho.prj"]
)
def test_a_sidecar_that_comes_after_its_raster_says_so(api, sidecar):
    told = api.user.put(f"/uploads/{sidecar}", content=b"theirs").json()["report"]
    assert told.get("remarks") == []
    api.user.put("/uploads/ortho.tif", content=b"pixels").raise_for_status()
    (remark,) = api.user.put(f"/uploads/{sidecar}", content=b"theirs").json()["report"]["remarks"]
    assert remark["code"] == "sidecar.late"
    assert "send ortho.tif again" in remark["message"]


def test_a_raster_gets_no_sidecar_of_another_sender(api):
    api.admin.put("/uploads/ortho.tfw", content=b"theirs")
    got = api.user.put("/uploads/ortho.tif", content=BODY).json()
    assert not list(api.services.storage.uploads.glob(f"{got['id']}.*"))


def test_a_refused_raster_leaves_no_sidecar(api):
    sidecar = api.user.put("/uploads/ortho.tfw", content=b"1").json()
    api.inspections.fault = Refused("raster.unreadable", "truncated")
    assert api.user.put("/uploads/ortho.tif", content=BODY).status_code == 422
    assert [path.name for path in files(api)] == [sidecar["id"]]


def test_an_upload_is_found_by_its_content_by_its_owner_alone(api):
    upload = api.upload()
    found = api.user.get("/uploads", params={"sha256": upload["sha256"].upper()}).json()["uploads"]
    assert [each["id"] for each in found] == [upload["id"]]
    assert api.user.get("/uploads", params={"sha256": "0" * 64}).json()["uploads"] == []
    assert api.other.get("/uploads", params={"sha256": upload["sha256"]}).json()["uploads"] == []
    wrong = api.user.get("/uploads", params={"sha256": "abc"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "upload.bad_checksum")


def test_pages_of_uploads_lead_on(api):
    ids = [api.upload(f"{n}.tif")["id"] for n in range(3)]
    first = api.user.get("/uploads", params={"limit": 2})
    assert [each["id"] for each in first.json()["uploads"]] == ids[:0:-1]
    assert first.links["next"]["url"].startswith(api.url)
    last = api.user.get(first.links["next"]["url"])
    assert [each["id"] for each in last.json()["uploads"]] == ids[:1]
    assert last.links == {}


def test_a_zip_of_tiles_is_a_folder_and_counts_as_what_it_takes(api, settings, monkeypatch):
    monkeypatch.setitem(settings.__dict__, "quota_bytes", 1000)
    told = [{"file": f"t-0000{n}.tif", "name": f"{n}.tif", "bytes": 300} for n in (1, 2)]
    api.inspections.tiles = told
    got = api.user.put("/uploads/dop.zip", content=b"PK" + bytes(98)).json()
    assert (got["name"], got["bytes"], got["sha256"]) == (
        "dop.zip",
        600,
        hashlib.sha256(b"PK" + bytes(98)).hexdigest(),
    )
    assert got["report"]["tiles"] == told
    assert got["report"]["sent_bytes"] == 100
    assert api.inspections.room == 1000
    (folder,) = files(api)
    assert (folder.name, len(list(folder.iterdir()))) == (got["id"], 2)
    assert api.user.get("/me").json()["quotas"]["bytes_stored"]["used"] == 600
    again = api.user.put("/uploads/dop.zip", content=b"PK" + bytes(98))
    assert (again.status_code, again.json()["code"]) == (507, "quota.bytes")
    assert files(api) == [folder]
    assert api.user.delete(f"/uploads/{got['id']}").status_code == 204
    assert files(api) == []


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("raster.bad_archive", 422, "raster.bad_archive"),
        ("output.not_writable", 507, "storage.full"),
    ],
)
def test_a_zip_that_is_not_unpacked_leaves_nothing(api, code, status, told):
    api.inspections.fault = Refused(code, "no")
    reply = api.user.put("/uploads/dop.zip", content=b"PK and more")
    assert (reply.status_code, reply.json()["code"]) == (status, told)
    assert files(api) == []


def test_a_zip_of_something_else_is_kept_as_it_is(api):
    got = api.upload("parcels.zip")
    kept = api.user.put("/uploads/parcels.zip", content=b"PK and more").json()
    assert "tiles" not in kept["report"]
    assert {path.name for path in files(api) if path.is_file()} == {got["id"], kept["id"]}


def test_tiles_that_a_killed_process_left_are_removed(api):
    uploads = api.services.storage.uploads
    for name in ("gone.tiles", "lost", "kept"):
        (uploads / name).mkdir()
        (uploads / name / "tile.tif").write_bytes(b"x")
        (uploads / f"{name.partition('.')[0]}.unsettled").touch()
    unsettled.settle(uploads, lambda _: {"kept"}, PART, idle_s=-1)
    assert [path.name for path in files(api)] == ["kept"]
