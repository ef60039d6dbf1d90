"""The API where a store that speaks S3 keeps the files, and its own disk is lost between steps."""

import io
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from databases import copy_migrated
from faulty_relay import FaultyRelay

from mfnet.service.errors import Refused
from mfnet.service.files.storage import Storage, storage_of
from mfnet.service.operations.tidy_copies import TidyCopies
from mfnet.service.settings import Settings

MAP = {"classes.tif": b"the map", "classes.qml": b"<qgis/>", "statistics.json": b"{}"}


class Api(Protocol):
    """Of conftest.py."""

    services: Any
    inspections: Any
    user: Any
    admin: Any

    def upload(self, name: str = "a.tif") -> dict[str, Any]: ...
    def submit(self, **inputs: Any) -> dict[str, Any]: ...


@pytest.fixture
def settings(tmp_path: Path, relay: FaultyRelay) -> Settings:
    """On SQLite, with a folder of the API's own."""
    copy_migrated(tmp_path / "test.sqlite3")
    return Settings(
        data_dir=tmp_path / "api",
        database_url=f"sqlite:///{tmp_path / 'test.sqlite3'}",
        storage=f"s3://bucket/{tmp_path.name}",
        storage_endpoint=relay.address,
        storage_key_id="key",
        storage_secret="secret",
    )


@pytest.fixture
def elsewhere(settings: Settings, tmp_path: Path) -> Storage:
    """A worker's view."""
    return storage_of(settings, tmp_path / "worker")


def keys(storage: Storage) -> list[str]:
    return [
        each.path.relative_to(storage.root).as_posix() for each in storage.store.found(storage.root)
    ]


def lose_disk(api: Api) -> None:
    """As another API would begin."""
    for name in ("uploads", "jobs", "pictures", "registry", "tiles"):
        shutil.rmtree(api.services.storage.root / name, ignore_errors=True)
        (api.services.storage.root / name).mkdir()


def finish(api: Api, elsewhere: Storage, job_id: str, files: dict[str, bytes] = MAP) -> None:
    """Do what a worker does."""
    from mfnet.service.db.repositories.jobs import JobRepository

    with api.services.database.writing() as session:
        job = JobRepository(session).claim(job_id, "test", 60, 3)
        assert job is not None
    folder = elsewhere.begin(job_id, job.epoch)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    elsewhere.seal(job_id, job.epoch)
    with api.services.database.writing() as session:
        assert JobRepository(session).publish(job)


def test_from_an_upload_to_a_map_no_disk_is_shared(api: Api, elsewhere: Storage) -> None:
    api.upload("ortho.tfw")
    job = api.submit()
    ortho = api.services.storage.upload(job["inputs"]["ortho"]).name
    assert elsewhere.upload_here(ortho).read_bytes() == b"pixels"
    assert elsewhere.upload(f"{ortho}.tfw").read_bytes() == b"pixels"
    finish(api, elsewhere, job["jobID"])
    lose_disk(api)
    results = f"/jobs/{job['jobID']}/results"
    assert set(api.user.get(results).raise_for_status().json()) == set(MAP)
    with zipfile.ZipFile(io.BytesIO(api.user.get(f"{results}.zip").content)) as archive:
        assert archive.read("classes.tif") == b"the map"
    assert api.user.get(f"/jobs/{job['jobID']}/pictures").status_code == 200
    lose_disk(api)
    assert api.user.get(f"/jobs/{job['jobID']}/pictures/ortho.jpg").content == b"\xff\xd8"
    assert len(api.inspections.drawn) == 1
    assert api.user.post(f"/jobs/{job['jobID']}/links", json={}).json()["files"].keys() == set(MAP)


def test_a_result_passes_through_in_ranges_or_is_at_a_link(
    api: Api, elsewhere: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = api.submit()
    large = bytes(range(256)) * (40 << 10)
    finish(api, elsewhere, job["jobID"], {"classes.tif": large})
    address = f"/jobs/{job['jobID']}/results/classes.tif"
    whole = api.user.get(address)
    assert whole.content == large
    again = api.user.get(address, headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    part = api.user.get(address, headers={"Range": "bytes=5000000-5000003"})
    assert (part.status_code, part.content) == (206, large[5000000:5000004])
    two = api.user.get(address, headers={"Range": "bytes=0-1,9-10"})
    assert (two.status_code, large[9:11] in two.content) == (206, True)
    head = api.user.head(address)
    assert (head.headers["content-length"], head.content) == (str(len(large)), b"")
    assert api.user.get(address, headers={"Range": "bytes=99999999-"}).status_code == 416
    assert not list(api.services.storage.folder(job["jobID"], 1).parent.glob("*/*"))
    monkeypatch.setitem(api.services.settings.__dict__, "storage_links", True)
    sent_on = api.user.get(address)
    assert (sent_on.status_code, sent_on.headers["cache-control"]) == (307, "no-store")
    assert httpx.get(sent_on.headers["location"]).content == large
    assert api.user.head(address).status_code == 200
    elsewhere.keep_only(job["jobID"], None)
    assert api.user.head(address).status_code == 404


def test_what_is_removed_leaves_nothing_in_the_store(api: Api, elsewhere: Storage) -> None:
    job = api.submit()
    finish(api, elsewhere, job["jobID"])
    again = api.user.post("/processes/segment/execution", json={"inputs": job["inputs"]})
    assert again.raise_for_status().json()["status"] == "successful"
    for each in (job["jobID"], again.json()["jobID"]):
        assert api.user.delete(f"/jobs/{each}").status_code == 200
    for upload in (job["inputs"]["ortho"], job["inputs"]["height"]):
        assert api.user.delete(f"/uploads/{upload}").status_code == 204
    assert {key.partition("/")[0] for key in keys(elsewhere)} == {"link_secret", "registry"}


def test_a_file_that_is_refused_never_comes_into_the_store(api: Api, elsewhere: Storage) -> None:
    api.inspections.fault = Refused("raster.not_geotiff", "no GeoTIFF")
    assert api.user.put("/uploads/a.tif", content=b"text").status_code == 422
    assert not [key for key in keys(elsewhere) if key.startswith("uploads/")]


def test_of_a_store_that_is_away_the_sender_is_told(
    api: Api, relay: FaultyRelay, elsewhere: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay.meet(["503"])
    store = api.services.storage.store
    monkeypatch.setattr(store, "_bucket", impatient(store))
    answer = api.user.put("/uploads/a.tif", content=b"pixels")
    assert (answer.status_code, answer.json()["code"]) == (503, "storage.away")
    relay.meet([])
    assert api.user.get("/uploads").json()["uploads"] == []
    assert not [key for key in keys(elsewhere) if key.startswith("uploads/")]
    assert not list(api.services.storage.uploads.iterdir())


def impatient(store: Any) -> Any:
    """The same bucket, which is not asked again."""
    from obstore.store import S3Store

    bucket = store._bucket
    return S3Store(
        prefix=bucket.prefix,
        config=bucket.config,
        client_options=bucket.client_options,
        retry_config={"max_retries": 0},
    )


def test_what_a_killed_api_left_in_the_store_goes(api: Api, elsewhere: Storage) -> None:
    storage = api.services.storage
    kept = api.upload()["id"]
    for name in ("lost", "lost.tfw", "lost.unsettled", f"{kept}.unsettled"):
        (storage.uploads / name).write_bytes(b"x")
        storage.share(storage.uploads / name)
    elsewhere.settle_uploads(lambda ids: [each for each in ids if each == kept], 3600)
    assert "uploads/lost" in keys(elsewhere)
    time.sleep(1)  # the store's clock has whole seconds
    elsewhere.settle_uploads(lambda ids: [each for each in ids if each == kept], 0)
    assert [key for key in keys(elsewhere) if key.startswith("uploads/")] == [f"uploads/{kept}"]


def test_copies_that_nobody_asks_for_are_removed(api: Api, elsewhere: Storage) -> None:
    upload = api.upload()["id"]
    path = api.services.storage.upload(upload)
    arriving = api.services.storage.uploads / "b.tfw"
    left = api.services.storage.root / "fetching" / "left"  # by a process that was killed
    left.parent.mkdir(exist_ok=True)
    for each in (arriving, api.services.storage.uploads / "b.unsettled", left):
        each.touch()
    tidy = TidyCopies(api.services.settings, api.services.storage)
    tidy.tidy()
    assert path.exists()
    tidy.tidy(idle_s=-1)
    assert not path.exists()
    assert not left.exists()
    assert arriving.exists()
    assert api.services.storage.upload_here(upload).read_bytes() == b"pixels"


def test_a_model_is_the_same_on_every_machine(api: Api, elsewhere: Storage) -> None:
    (town,) = (m for m in api.user.get("/models").json()["models"] if m["name"] == "town")
    assert elsewhere.models.here(town["sha256"]).read_bytes() == b"town"
    elsewhere.models.check(town["sha256"])
    assert elsewhere.link_secret() == api.services.link_secret
