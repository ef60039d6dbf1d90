"""Uploads in pieces (tus 1.0): they go on where they ended, and are looked at when whole."""

import base64
import hashlib
import os
import socket
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from databases import copy_migrated
from waiting import until

from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.errors import Busy, Refused
from mfnet.service.files import unsettled
from mfnet.service.files.storage import PART

DATA = bytes(range(256)) * 5000
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = TUS | {"Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite alone: nothing here depends on the database."""
    copy_migrated(tmp_path / "test.sqlite3")
    return f"sqlite:///{tmp_path / 'test.sqlite3'}"


def begin(client: httpx.Client, length: object = len(DATA), **metadata: str) -> httpx.Response:
    told = {"filename": "ortho.tif"} | metadata
    pairs = (f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in told.items())
    headers = TUS | {"Upload-Length": str(length), "Upload-Metadata": ",".join(pairs)}
    return client.post("/uploads/incoming", headers=headers)


def add(client: httpx.Client, address: str, data: bytes, offset: int) -> httpx.Response:
    return client.patch(address, content=data, headers=PIECE | {"Upload-Offset": str(offset)})


def offset(client: httpx.Client, address: str) -> int:
    return int(client.head(address, headers=TUS).raise_for_status().headers["upload-offset"])


def test_pieces_become_an_upload(api):
    begun = begin(api.user, sha256=hashlib.sha256(DATA).hexdigest())
    assert (begun.status_code, begun.headers["tus-resumable"]) == (201, "1.0.0")
    address = begun.headers["location"]
    assert offset(api.user, address) == 0
    first = add(api.user, address, DATA[:1000], 0)
    assert (first.status_code, first.headers["upload-offset"]) == (204, "1000")
    assert api.user.get("/uploads").json()["uploads"] == []
    assert offset(api.user, address) == 1000
    assert add(api.user, address, DATA[1000:], 1000).headers["upload-offset"] == str(len(DATA))
    (upload,) = api.user.get("/uploads").json()["uploads"]
    assert (upload["name"], upload["bytes"]) == ("ortho.tif", len(DATA))
    assert upload["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert address.endswith(upload["id"])
    assert api.services.storage.upload(upload["id"]).read_bytes() == DATA
    # Whoever has not heard the last answer is told that all has come.
    assert offset(api.user, address) == len(DATA)
    assert add(api.user, address, b"", len(DATA)).status_code == 204
    assert api.other.head(address, headers=TUS).status_code == 404
    assert add(api.user, address, b"x", 0).status_code == 404
    assert not list((api.services.storage.root / "incoming").iterdir())


def test_what_came_of_a_broken_piece_is_kept(api):
    address = begin(api.user).headers["location"]
    url = httpx.URL(address)
    head = [f"PATCH {url.path} HTTP/1.1", f"Host: {url.host}", f"Content-Length: {len(DATA)}"]
    head += [f"{name}: {value}" for name, value in (PIECE | {"Upload-Offset": "0"}).items()]
    head += [f"Authorization: {api.user.headers['authorization']}", "", ""]
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall("\r\n".join(head).encode() + DATA[:300_000])
    until(lambda: offset(api.user, address) == 300_000)

    def went_on() -> Any:
        reply = add(api.user, address, DATA[300_000:], 300_000)
        return reply.status_code == 204 and reply  # 503 until the server hears of the end

    until(went_on)
    (upload,) = api.user.get("/uploads").json()["uploads"]
    assert upload["sha256"] == hashlib.sha256(DATA).hexdigest()


def test_a_piece_from_elsewhere_changes_nothing(api):
    address = begin(api.user).headers["location"]
    add(api.user, address, DATA[:10], 0)
    for wrong in (0, 9, 11):
        reply = add(api.user, address, DATA[10:], wrong)
        assert (reply.status_code, reply.json()["code"]) == (409, "upload.wrong_offset")
        assert reply.json()["params"] == {"offset": 10}
    long = add(api.user, address, DATA, 10)
    assert (long.status_code, long.json()["code"]) == (400, "upload.bad_piece")
    assert offset(api.user, address) == 10


def test_what_is_no_tus_is_told_so(api):
    address = begin(api.user).headers["location"]
    assert api.user.head(address).status_code == 412
    plain = api.user.patch(address, content=b"x", headers=TUS | {"Upload-Offset": "0"})
    assert plain.json()["code"] == "upload.bad_piece"
    assert begin(api.user, filename="a/b").json()["code"] == "upload.bad_name"
    assert begin(api.user, 0).json()["code"] == "upload.empty"
    assert begin(api.user, 10**15).status_code == 413
    assert begin(api.user, sha256="?").json()["code"] == "upload.bad_checksum"
    nothing = api.user.post("/uploads/incoming", headers=TUS)
    assert nothing.json()["code"] == "upload.bad_name"
    told = api.nobody.options("/uploads/incoming").headers
    assert told["tus-version"] == "1.0.0"
    extensions = {"creation", "creation-with-upload", "checksum", "expiration", "termination"}
    assert set(told["tus-extension"].split(",")) == extensions
    assert told["tus-checksum-algorithm"] == "sha256,sha1"


def test_another_neither_sees_nor_goes_on(api):
    address = begin(api.user).headers["location"]
    for client in (api.other, api.admin):
        assert client.head(address, headers=TUS).status_code == 404
        assert add(client, address, DATA, 0).status_code == 404
        assert client.delete(address, headers=TUS).status_code == 404
    assert api.user.delete(address, headers=TUS).status_code == 204
    assert api.user.head(address, headers=TUS).status_code == 404


def test_a_file_that_is_refused_is_forgotten_and_one_that_waits_is_not(api):
    address = begin(api.user, 4).headers["location"]
    api.inspections.fault = Busy("too many")
    assert add(api.user, address, b"abcd", 0).status_code == 503
    api.inspections.fault = None
    assert add(api.user, address, b"", 4).status_code == 204
    address = begin(api.user, 4).headers["location"]
    api.inspections.fault = Refused("raster.unreadable", "no raster")
    assert add(api.user, address, b"abcd", 0).json()["code"] == "raster.unreadable"
    assert api.user.head(address, headers=TUS).status_code == 404
    address = begin(api.user, 4, sha256="0" * 64).headers["location"]
    assert add(api.user, address, b"abcd", 0).json()["code"] == "upload.checksum_mismatch"
    assert len(list(api.services.storage.uploads.iterdir())) == 1


@pytest.mark.parametrize("committed", [False, True])
def test_an_api_that_died_while_a_file_was_looked_at_leaves_nothing_stuck(api, committed):
    """Between the link and the row, or between the row and the end: an empty piece mends it."""
    address = begin(api.user).headers["location"]
    upload_id = address.rpartition("/")[2]
    api.inspections.fault = Busy("wait")
    assert add(api.user, address, DATA, 0).status_code == 503
    api.inspections.fault = None
    storage = api.services.storage
    storage.incoming.link(upload_id, storage.upload(upload_id))
    if committed:
        with api.services.database.writing() as session:
            me = api.user.get("/keys/mine").json()["id"]
            UploadRepository(session).add(
                upload_id, me, "ortho.tif", size=len(DATA), sha256="0", report={}
            )
    assert add(api.user, address, b"", len(DATA)).status_code == 204
    assert storage.upload(upload_id).read_bytes() == DATA
    assert api.user.get(f"/uploads/{upload_id}").json()["bytes"] == len(DATA)
    assert offset(api.user, address) == len(DATA)
    assert not storage.incoming.path(upload_id).exists()


def test_a_whole_file_that_was_not_looked_at_is_when_its_sender_asks_how_far_it_is(api):
    address = begin(api.user).headers["location"]
    api.inspections.fault = Busy("the API dies here")
    assert add(api.user, address, DATA, 0).status_code == 503
    api.inspections.fault = None
    assert offset(api.user, address) == len(DATA)
    assert api.user.get("/uploads").json()["uploads"][0]["bytes"] == len(DATA)
    assert offset(api.user, address) == len(DATA)


def checked(algorithm: str, data: bytes, upload_offset: int) -> dict[str, str]:
    digest = base64.b64encode(hashlib.new(algorithm, data).digest()).decode()
    told = {"Upload-Offset": str(upload_offset), "Upload-Checksum": f"{algorithm} {digest}"}
    return PIECE | told


def test_a_piece_with_a_checksum_counts_whole_or_not_at_all(api):
    address = begin(api.user).headers["location"]
    first = api.user.patch(address, content=DATA[:1000], headers=checked("sha1", DATA[:1000], 0))
    assert first.headers["upload-offset"] == "1000"
    bad = api.user.patch(address, content=b"x" * 9, headers=checked("sha256", b"y" * 9, 1000))
    assert (bad.status_code, bad.json()["code"]) == (460, "upload.piece_mismatch")
    assert offset(api.user, address) == 1000
    for header in ("md5 AAAA", "sha256 ?", "sha1"):
        told = PIECE | {"Upload-Offset": "1000", "Upload-Checksum": header}
        refused = api.user.patch(address, content=b"x", headers=told)
        assert (refused.status_code, refused.json()["code"]) == (400, "upload.bad_piece")
    rest = DATA[1000:]
    last = api.user.patch(address, content=rest, headers=checked("sha256", rest, 1000))
    assert last.headers["upload-offset"] == str(len(DATA))
    (upload,) = api.user.get("/uploads").json()["uploads"]
    assert upload["sha256"] == hashlib.sha256(DATA).hexdigest()


def test_an_api_that_died_within_a_checked_piece_counts_nothing_of_it(api):
    address = begin(api.user).headers["location"]
    add(api.user, address, DATA[:10], 0)
    folder = api.services.storage.incoming.path(address.rpartition("/")[2]).parent
    (folder / "unchecked").write_text("10")
    with (folder / "bytes").open("ab") as file:
        file.write(b"not checked")
    assert offset(api.user, address) == 10
    assert add(api.user, address, DATA[10:], 10).status_code == 204
    assert api.user.get("/uploads").json()["uploads"][0]["bytes"] == len(DATA)


def test_an_upload_may_begin_with_its_first_piece(api):
    told = {"Upload-Length": "4", "Upload-Metadata": "filename YS50aWY="}
    begun = api.user.post("/uploads/incoming", content=b"ab", headers=PIECE | told)
    assert (begun.status_code, begun.headers["upload-offset"]) == (201, "2")
    assert add(api.user, begun.headers["location"], b"cd", 2).status_code == 204
    large = {"Upload-Length": str(len(DATA)), "Upload-Metadata": "filename Yi50aWY="}
    whole = api.user.post("/uploads/incoming", content=DATA, headers=PIECE | large)
    assert whole.headers["upload-offset"] == str(len(DATA))
    names = [upload["name"] for upload in api.user.get("/uploads").json()["uploads"]]
    assert names == ["b.tif", "a.tif"]


def test_a_zip_that_came_in_pieces_has_the_room_of_one_that_is_sent_at_once(api, monkeypatch):
    monkeypatch.setitem(api.services.settings.__dict__, "quota_bytes", 1000)
    begin(api.user, length=100)  # another that is coming counts
    zipped = b"PK" + bytes(598)
    address = begin(api.user, length=len(zipped), filename="dop.zip").headers["location"]
    assert add(api.user, address, zipped, 0).status_code == 204
    assert api.inspections.room == 900


def test_what_nobody_goes_on_with_expires(api):
    kept, gone, swept = (begin(api.user).headers["location"] for _ in range(3))
    incoming = api.services.storage.incoming
    idle_s = api.services.settings.incoming_hours * 3600
    for address in (gone, swept):
        os.utime(incoming.path(address.rpartition("/")[2]), (0, time.time() - idle_s - 1))
    reply = api.user.patch(gone, content=b"x", headers=PIECE | {"Upload-Offset": "0"})
    assert (reply.status_code, reply.json()["code"]) == (410, "upload.expired")
    incoming.remove_idle(idle_s)
    assert api.user.head(swept, headers=TUS).status_code == 404
    told = api.user.head(kept, headers=TUS).headers["upload-expires"]
    left_s = parsedate_to_datetime(told).timestamp() - time.time()
    assert idle_s - 60 < left_s <= idle_s


def test_what_a_killed_api_leaves_of_an_upload_is_removed(api):
    """Killed with the file in its place and no row: while it was looked at, or being removed."""
    storage, kept = api.services.storage, api.upload("ortho.tfw")["id"]
    left = [storage.uploads / name for name in ("a1", "a1.tfw", "a1.unsettled")]
    arriving = [storage.uploads / name for name in ("a2.part", "a2.unsettled")]
    unknown = [storage.uploads / "a3"]  # perhaps of a newer backup of the database
    for path in (*left, *arriving, *unknown, storage.uploads / f"{kept}.unsettled"):
        path.touch()

    def known(ids):
        with api.services.database.reading() as session:
            return UploadRepository(session).known(ids)

    unsettled.settle(storage.uploads, known, PART, 3600)
    assert all(path.exists() for path in left)  # somebody may still be at it
    unsettled.settle(storage.uploads, known, PART, -1)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in (*arriving, *unknown, storage.upload(kept)))
    assert not (storage.uploads / f"{kept}.unsettled").exists()
    assert api.user.delete(f"/uploads/{kept}").status_code == 204
    assert {path.name for path in storage.uploads.iterdir()} == {"a2.part", "a2.unsettled", "a3"}
