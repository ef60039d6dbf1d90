"""Files of the server's own as uploads: those below the allowed folders, and no others."""

import dataclasses
import hashlib
import os
from pathlib import Path

import pytest

from mfnet.service.errors import NotImportable, Refused
from mfnet.service.operations.uploads import import_upload


@pytest.fixture
def folder(api, tmp_path) -> Path:
    """A folder that is open to imports, beside one that is not."""
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "secret.tif").write_bytes(b"secret")
    (tmp_path / "dop" / "2024").mkdir(parents=True)
    settings = api.services.settings.model_copy(
        update={"import_folders": f"{tmp_path / 'none'}:{tmp_path / 'dop'}"}
    )
    api.app.state.services = dataclasses.replace(api.app.state.services, settings=settings)
    return tmp_path / "dop"


def refused(api, path, by=None):
    reply = (by or api.user).post("/imports", json={"path": str(path)})
    return reply.status_code, reply.json()["code"]


def test_a_file_becomes_an_upload_of_its_own(api, folder):
    file = folder / "2024" / "Ortho.tif"
    file.write_bytes(b"pixels")
    reply = api.user.post("/imports", json={"path": str(file)})
    got = reply.json()
    assert reply.status_code == 201, got
    told = (got["name"], got["bytes"], got["sha256"], got["report"]["imported_from"])
    assert told == ("Ortho.tif", 6, hashlib.sha256(b"pixels").hexdigest(), str(file))
    assert api.user.get(reply.headers["Location"]).json() == got
    assert api.user.get("/uploads").json()["uploads"] == [got]
    assert api.other.get(f"/uploads/{got['id']}").status_code == 404
    file.write_bytes(b"others")  # of its owner's
    path = api.services.storage.upload(got["id"])
    assert path.read_bytes() == b"pixels"
    assert [each.name for each in path.parent.iterdir()] == [got["id"]]


def test_what_stands_beside_a_raster_comes_with_it(api, folder):
    for name in ("a.tif", "A.TFW", "a.tif.aux.xml", "b.tfw", "a.pdf"):
        (folder / name).write_bytes(name.encode())
    api.user.post("/imports", json={"path": str(folder / "a.tif")}).raise_for_status()
    names = {upload["name"] for upload in api.user.get("/uploads").json()["uploads"]}
    assert names == {"a.tif", "A.TFW", "a.tif.aux.xml"}
    assert {name.partition(".")[2] for name in api.inspections.beside} == {
        "tfw",
        "aux.xml",
        "unsettled",
    }


def test_no_sidecar_of_another_folder_or_upload_is_taken_for_a_rasters_own(api, folder):
    (folder / "2023").mkdir()
    for name in ("2023/a.tif", "2023/a.tfw", "2023/a.tif.msk", "2024/a.tif"):
        (folder / name).write_bytes(name.encode())
    api.upload("a.prj")
    beside = {}
    for year in ("2023", "2024"):
        reply = api.user.post("/imports", json={"path": str(folder / year / "a.tif")})
        path = api.services.storage.upload(reply.json()["id"])
        found = path.parent.glob(f"{path.name}.*")
        beside[year] = {file.suffix: file.read_text() for file in found}
    assert beside == {"2023": {".tfw": "2023/a.tfw", ".msk": "2023/a.tif.msk"}, "2024": {}}


def test_nothing_else_is_to_be_had_and_nothing_is_told_of_it(api, folder, tmp_path):
    (folder / "file.tif").write_bytes(b"pixels")
    (folder / "out.tif").symlink_to(tmp_path / "private" / "secret.tif")
    (folder / "out").symlink_to(tmp_path / "private")
    (folder / "circle.tif").symlink_to(folder / "circle.tif")
    os.mkfifo(folder / "pipe.tif")
    (tmp_path / "dop-too").mkdir()
    (tmp_path / "dop-too" / "file.tif").write_bytes(b"x")
    for path in (
        *("/etc/passwd", "/proc/self/environ", "dop/file.tif", "2024", "\0", "..", "~/x"),
        *(folder, folder / "none.tif", folder / "2024"),
        *(folder / "out.tif", folder / "out" / "secret.tif", folder / "circle.tif"),
        *(folder / "pipe.tif", tmp_path / "private" / "secret.tif"),
        *(f"{folder}/../private/secret.tif", tmp_path / "dop-too" / "file.tif"),
        tmp_path / "private" / "none.tif",
        "x" * 4000,
    ):
        assert refused(api, path) == (422, "upload.not_importable"), path
    assert refused(api, "x" * 5000) == (400, "request.invalid")
    assert list(api.services.storage.uploads.iterdir()) == []
    (folder / "in.tif").symlink_to(folder / "file.tif")
    assert api.user.post("/imports", json={"path": str(folder / "in.tif")}).status_code == 201


def test_no_link_that_takes_a_folders_place_after_the_check_is_followed(folder, tmp_path):
    path = folder.resolve() / "2024" / "secret.tif"
    path.parent.rmdir()
    path.parent.symlink_to(tmp_path / "private")
    with pytest.raises(NotImportable), import_upload._opened(path):
        pass


def test_a_name_is_held_to_what_holds_for_files_that_are_sent(api, folder):
    (folder / "a\nb.tif").write_bytes(b"pixels")
    assert refused(api, folder / "a\nb.tif") == (400, "upload.bad_name")
    Path(os.fsdecode(bytes(folder) + b"/\xff.tif")).write_bytes(b"pixels")
    (folder / "link.tif").symlink_to(os.fsdecode(b"\xff.tif"))
    assert refused(api, folder / "link.tif") == (422, "upload.not_importable")
    assert list(api.services.storage.uploads.iterdir()) == []


def test_without_the_setting_nothing_is_open(api, tmp_path):
    (tmp_path / "file.tif").write_bytes(b"pixels")
    assert refused(api, tmp_path / "file.tif") == (422, "upload.not_importable")
    assert refused(api, tmp_path / "file.tif", api.nobody) == (401, "auth.required")


def test_limits_are_those_of_files_that_are_sent(api, folder, monkeypatch):
    (folder / "a.tif").write_bytes(b"pixels")
    (folder / "empty.tif").write_bytes(b"")
    settings = api.app.state.services.settings.__dict__
    assert refused(api, folder / "empty.tif") == (400, "upload.empty")
    monkeypatch.setitem(settings, "quota_bytes", 5)
    assert refused(api, folder / "a.tif") == (507, "quota.bytes")
    monkeypatch.setitem(settings, "upload_limit_bytes", 5)
    assert refused(api, folder / "a.tif", api.admin) == (413, "upload.too_large")
    monkeypatch.undo()
    api.inspections.fault = Refused("raster.not_geotiff", "no")
    assert refused(api, folder / "a.tif") == (422, "raster.not_geotiff")
    assert list(api.services.storage.uploads.iterdir()) == []
