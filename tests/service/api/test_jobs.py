"""Submitting, watching, fetching and dismissing jobs over HTTP."""

import dataclasses
import hashlib
import io
import threading
import zipfile
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event
from waiting import PATIENCE_S

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.domain.job import Failure
from mfnet.service.domain.map_outputs import further_files
from mfnet.service.errors import Refused
from mfnet.service.operations.uploads import tiled_upload

OGC = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"


def test_execution_accepts_a_job_and_rings_for_it(api):
    ids = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height", "dtm")}
    reply = api.user.post(
        "/processes/segment/execution",
        json={"inputs": ids | {"model": "mine", "stride": 64}, "response": "document"},
    )
    assert reply.status_code == 201
    job = reply.json()
    assert job["jobID"] == job["id"]
    assert (job["type"], job["processingEntityType"]) == ("process", "ogc-api-processes")
    assert (job["processID"], job["status"], job["progress"]) == ("segment", "accepted", 0)
    assert api.notified.jobs == [job["id"]]
    assert api.user.get(reply.headers["Location"]).json() == job
    paths = {role: api.services.storage.uploads / upload for role, upload in ids.items()}
    names = {upload: f"{role}.tif" for role, upload in ids.items()}
    sha256 = hashlib.sha256(b"mine").hexdigest()
    file = api.services.storage.models.path(sha256)
    names |= {str(file): "mine", file.name: "mine"}
    assert api.inspections.pairs == [(paths, str(file), {"stride": 64}, names)]
    with api.services.database.reading() as session:
        kept = JobRepository(session).get(job["id"]).inputs
    options = {"stride": 64, "blend": "hann", "tta": "none"}
    options |= dict.fromkeys(("confidence", "align", "quality", "polygons", "stac"), False)
    options |= {"min_area": 0, "simplify": 0}
    assert kept == ids | options | {"model": "mine@1", "model_sha256": sha256}


def tile(api, name="a.tif", by=None, raster=True):
    """An upload that the inspection takes for a raster, or for polygons."""
    api.inspections.of_file = {"raster": {}} if raster else {}
    return api.upload(name, by)["id"]


def test_several_uploads_make_one_raster(api):
    api.upload("b.tfw")
    tiles = [tile(api), tile(api, "b.tif")]
    asked = {"ortho": [tiles[0], {"href": f"{api.url}/uploads/{tiles[1]}"}], "height": ["a.tif"]}
    job = api.user.post("/processes/segment/execution", json={"inputs": asked}).json()
    ortho, height = (job["inputs"][role] for role in ("ortho", "height"))
    assert height == tiles[0]
    one = api.user.get(f"/uploads/{ortho}").json()
    assert (one["name"], one["bytes"]) == ("a.tif and 1 more", 2 * len(b"pixels"))
    files = [f"{ortho}-0000{number}.tif" for number in (1, 2)]
    told = [
        {"file": file, "name": name} for file, name in zip(files, ("a.tif", "b.tif"), strict=True)
    ]
    assert one["report"]["tiles"] == told
    (listed, *_) = api.user.get("/uploads").json()["uploads"]
    assert listed["report"] == {"tile_count": 2} | {
        name: value for name, value in one["report"].items() if name != "tiles"
    }
    rasters, *_, names = api.inspections.pairs[-1]
    folder = rasters["ortho"]
    assert {path.name for path in folder.iterdir()} == {*files, f"{ortho}-00002.tfw"}
    assert (names[files[0]], names[f"{ortho}.vrt"]) == ("a.tif", "a.tif and 1 more")

    again = api.user.post("/processes/segment/execution", json={"inputs": asked}).json()
    assert again["inputs"]["ortho"] == ortho
    turned = api.user.post(
        "/processes/segment/execution", json={"inputs": {"ortho": tiles[::-1]}}
    ).json()
    assert turned["inputs"]["ortho"] != ortho  # of two that overlap the later one counts
    assert api.user.delete(f"/uploads/{tiles[1]}").status_code == 204
    assert len(list(folder.iterdir())) == 3
    assert api.user.delete(f"/uploads/{ortho}").json()["code"] == "upload.in_use"
    for each in (job, again):
        api.user.delete(f"/jobs/{each['id']}")
    assert api.user.delete(f"/uploads/{ortho}").status_code == 204
    assert not folder.exists()


def test_what_cannot_be_one_raster_is_refused_and_leaves_nothing(api, settings, monkeypatch):
    rasters, others = [tile(api), tile(api)], [tile(api, "parcels.gpkg", raster=False)]
    theirs = tile(api, by=api.other)
    before = sorted(api.services.storage.uploads.iterdir())

    def refused(ortho):
        reply = api.user.post("/processes/segment/execution", json={"inputs": {"ortho": ortho}})
        return reply.status_code, reply.json()["code"]

    assert refused([*rasters, *others]) == (422, "upload.not_a_tile")
    assert refused([*rasters, theirs]) == (422, "upload.unknown")
    assert refused([]) == (400, "request.invalid")
    assert refused([rasters]) == (400, "request.invalid")
    assert refused([*rasters, "https://elsewhere/a.tif"]) == (400, "request.foreign_reference")
    assert refused([*rasters, rasters[0]]) == (422, "upload.not_a_tile")
    with monkeypatch.context() as patch:
        patch.setattr(tiled_upload, "MOST_TILES", 1)
        assert refused(rasters) == (422, "upload.not_a_tile")
    api.inspections.fault = Refused("raster.tiles_differ", "a.tif: the CRS is another")
    with monkeypatch.context() as patch:  # refused before anything is linked or looked at
        patch.setitem(settings.__dict__, "quota_bytes", 20)
        assert refused(rasters) == (507, "quota.bytes")
    assert refused(rasters) == (422, "raster.tiles_differ")
    assert sorted(api.services.storage.uploads.iterdir()) == before
    assert len(api.user.get("/uploads").json()["uploads"]) == 3


def looked_at(**changed):
    """What an inspection says of a pair."""
    takes = {"memory_bytes": 5_000_000, "disk_bytes": 2_333, "windows": 12, "seconds": None}
    return {"ortho": {"height": 20, "width": 50}, "estimate": takes | changed}


def test_before_it_runs_a_job_tells_what_it_will_take(api):
    api.inspections.report = looked_at()
    first = api.submit(confidence=True)
    told = {"pixels": 1000, "windows": 12, "memory_bytes": 5_000_000, "disk_bytes": 4_666}
    assert first["estimate"] == told
    api.finish(first["id"], {"classes.tif": b"map"})
    assert api.user.get(f"/jobs/{first['id']}").json()["estimate"] == told
    seconds = api.submit(by=api.other, confidence=True)["estimate"]["seconds"]
    assert 0 <= seconds < PATIENCE_S


@pytest.mark.parametrize(
    ("needed", "status", "code"),
    [("memory_bytes", 422, "run.too_little_memory"), ("disk_bytes", 507, "output.disk_full")],
)
def test_what_will_not_fit_is_refused_with_the_numbers_before_it_waits(api, needed, status, code):
    api.inspections.report = looked_at(**{needed: 1 << 60})
    rasters = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}
    reply = api.user.post("/processes/segment/execution", json={"inputs": rasters})
    problem = reply.json()
    assert (reply.status_code, problem["code"]) == (status, code), problem
    assert problem["params"]["needed_bytes"] == 1 << 60
    assert f"{1 << 60:,}" in problem["detail"]
    assert api.user.get("/jobs").json()["jobs"] == []
    assert api.notified.jobs == []


def test_how_much_a_worker_elsewhere_has_is_a_setting(api):
    def submit(**changed):
        settings = api.services.settings.model_copy(update=changed)
        api.app.state.services = dataclasses.replace(api.app.state.services, settings=settings)
        return api.user.post("/processes/segment/execution", json={"inputs": rasters})

    api.inspections.report = looked_at(memory_bytes=1 << 60)
    rasters = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}
    assert submit(redis_url="redis://elsewhere").status_code == 201
    refused = submit(worker_memory_mb=2).json()
    assert (refused["code"], refused["params"]["worker_bytes"]) == (
        "run.too_little_memory",
        2 << 20,
    )
    assert submit(worker_memory_mb=1 << 41).status_code == 201


def test_the_terrain_may_be_derived(api):
    job = api.submit(dtm="auto", largest_building=40, dtm_band=3)
    files, _, options, _ = api.inspections.pairs[-1]
    assert set(files) == {"ortho", "height"}
    assert options == {"dtm": "auto", "largest_building": 40, "dtm_unit": "m"}
    with api.services.database.reading() as session:
        assert JobRepository(session).get(job["id"]).inputs["dtm"] == "auto"
    reply = api.user.delete(f"/uploads/{files['height'].name}")
    assert reply.json()["code"] == "upload.in_use"


def test_an_orthophoto_alone_is_mapped_by_its_colour(api):
    ortho = api.upload("ortho.tif")["id"]
    reply = api.user.post("/processes/segment/execution", json={"inputs": {"ortho": ortho}})
    assert reply.status_code == 201, reply.text
    assert set(api.inspections.pairs[-1][0]) == {"ortho"}
    for needing in ({"dtm": "auto"}, {"align": True}):
        body = {"inputs": {"ortho": ortho} | needing}
        refused = api.user.post("/processes/segment/execution", json=body)
        assert (refused.status_code, refused.json()["code"]) == (400, "request.invalid")
        assert "inputs.height" in refused.text
    job = reply.json()["id"]
    api.finish(job, {"classes.tif": b"map"})
    labels = api.upload("labels.tif")["id"]
    corrected = api.user.post(f"/jobs/{job}/corrections", json={"labels": labels})
    assert (corrected.status_code, "without heights" in corrected.text) == (409, True)


def test_heights_are_moved_as_far_as_was_measured_when_the_job_came(api):
    api.inspections.options = {"height_shift": [1.25, -2.0]}
    job = api.submit(align=True)
    assert api.inspections.pairs[-1][2] == {"align": True}
    with api.services.database.reading() as session:
        kept = JobRepository(session).get(job["id"]).inputs
    assert (kept["height_shift"], kept["align"]) == ([1.25, -2.0], True)
    assert job["remarks"] == []

    api.inspections.options = {}
    told = api.submit(align=True)["remarks"]
    assert [remark["code"] for remark in told] == ["pair.shift_unknown"]


def test_polygons_go_with_a_pair_and_are_kept_while_a_job_needs_them(api):
    aoi, zones = (api.upload(f"{name}.gpkg")["id"] for name in ("aoi", "zones"))
    href = {"href": f"{api.url}/uploads/{aoi}"}
    api.submit(aoi=href, aoi_layer="inside", zones="zones.gpkg")
    files, _, options, names = api.inspections.pairs[-1]
    assert (files["aoi"].name, files["zones"].name) == (aoi, zones)
    assert options == {"aoi_layer": "inside"}
    assert (names[aoi], names[zones]) == ("aoi.gpkg", "zones.gpkg")
    for upload in (aoi, zones):
        assert api.user.delete(f"/uploads/{upload}").json()["code"] == "upload.in_use"
    body = {"inputs": {"ortho": "ortho.tif", "height": "height.tif", "zones": "none.gpkg"}}
    refused = api.user.post("/processes/segment/execution", json=body)
    assert (refused.status_code, refused.json()["params"]["role"]) == (422, "zones")


@pytest.mark.parametrize(
    ("inputs", "outputs", "made"),
    [
        ({}, None, ()),
        ({"polygons": True}, None, ("polygons.gpkg",)),
        ({}, ["polygons.gpkg"], ("polygons.gpkg",)),
        ({}, ["polygons.fgb"], ("polygons.fgb",)),
        ({}, ["polygons.fgb", "polygons.gpkg"], ("polygons.gpkg", "polygons.fgb")),
        ({"polygons": True}, ["classes.tif"], ()),
        ({"quality": True}, None, ("quality.tif", "quality.json")),
        ({}, ["quality.tif"], ("quality.tif",)),
        ({}, ["item.json"], ("item.json",)),
        ({"zones": "zones.gpkg"}, None, ("zones.gpkg", "zones.csv")),
        ({"zones": "zones.gpkg"}, ["zones.csv"], ("zones.csv",)),
    ],
)
def test_outputs_that_were_not_chosen_are_not_made(api, inputs, outputs, made):
    rasters = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}
    api.upload("zones.gpkg")
    body = {"inputs": rasters | inputs}
    body |= {} if outputs is None else {"outputs": {name: {} for name in outputs}}
    reply = api.user.post("/processes/segment/execution", json=body)
    assert reply.status_code == 201, reply.text
    with api.services.database.reading() as session:
        job = JobRepository(session).get(reply.json()["id"])
    assert further_files(job.inputs) == made


@pytest.mark.parametrize(
    ("output", "needed"),
    [("zones.csv", "inputs.zones"), ("zones.gpkg", "inputs.zones"), ("dtm.tif", "inputs.dtm")],
)
def test_an_output_of_what_was_not_given_is_refused(api, output, needed):
    rasters = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}
    body = {"inputs": rasters, "outputs": {output: {}}}
    refused = api.user.post("/processes/segment/execution", json=body)
    assert (refused.status_code, refused.json()["code"]) == (400, "request.bad_output")
    assert needed in refused.json()["detail"]


def test_polygons_and_tables_have_media_types_and_ranges(api):
    job = api.submit()["id"]
    files = {"polygons.gpkg": b"0123456789", "zones.csv": b"name,mapped_m2", "polygons.fgb": b"0"}
    api.finish(job, files)
    found = api.user.get(f"/jobs/{job}/results").json()
    assert found["polygons.gpkg"]["type"] == "application/geopackage+sqlite3"
    assert found["polygons.fgb"]["type"] == "application/vnd.flatgeobuf"
    assert found["zones.csv"]["type"] == "text/csv"
    part = api.user.get(found["polygons.gpkg"]["href"], headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")


def test_all_results_come_in_one_zip_and_sidecars_with_what_was_chosen(api):
    rasters = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}
    body = {"inputs": rasters, "outputs": {"quality.tif": {}}, "response": "raw"}
    job = api.user.post("/processes/segment/execution", json=body).json()["id"]
    address = f"/jobs/{job}/results.zip"
    assert api.user.get(address).json()["code"] == "result.not_ready"
    large = bytes(range(256)) * 20_000
    files = {"quality.tif": large, "quality.qml": b"<qgis/>" * 1000, "classes.tif": b"not chosen"}
    api.finish(job, files)
    assert api.user.get(f"/jobs/{job}/results").content == large
    answer = api.user.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert job[:8] in answer.headers["content-disposition"]
    assert len(answer.content) < len(large) + 2000  # text is compressed
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["quality.qml", "quality.tif"]
        assert archive.read("quality.tif") == large
    head = api.user.head(address)
    assert (head.status_code, head.headers["content-type"]) == (200, "application/zip")
    assert api.other.get(address).status_code == 404


def test_a_job_says_when_it_will_be_removed(api):
    job = api.submit()["id"]
    api.finish(job, {"classes.tif": b"x"})
    assert "expires" not in api.user.get(f"/jobs/{job}").json()
    settings = api.services.settings.model_copy(update={"keep_days": 30})
    api.app.state.services = dataclasses.replace(api.services, settings=settings)
    told = api.user.get(f"/jobs/{job}").json()
    kept = datetime.fromisoformat(told["expires"]) - datetime.fromisoformat(told["finished"])
    assert kept == timedelta(days=30)


def test_a_job_says_how_its_rasters_are_read(api):
    told = {"code": "height.unit", "message": "heights are in feet"}
    strange = {"code": "drift.gsd", "message": "pixels of 1 m"}
    api.inspections.remarks = [told]
    api.inspections.drift = {"remarks": [strange], "compared": True}
    job = api.submit()
    assert api.user.get(f"/jobs/{job['jobID']}").json()["remarks"] == [told, strange]


def test_a_job_says_what_of_its_input_the_model_has_never_seen(api):
    remark = {"code": "drift.gsd", "message": "pixels of 1 m"}
    api.inspections.drift = {"remarks": [], "compared": True}
    usual = api.submit(white=4095, height_unit="us-ft", collar=False)
    assert api.inspections.pairs[-1][-2] == {
        "white": 4095,
        "collar": False,
        "height_unit": "us-ft",
    }
    api.inspections.drift = {"remarks": [remark], "compared": True}
    strange = api.submit()
    assert (usual["remarks"], strange["remarks"]) == ([], [remark])
    listed = {job["id"]: job["remarks"] for job in api.user.get("/jobs").json()["jobs"]}
    assert listed == {usual["id"]: [], strange["id"]: [remark]}


def test_an_upload_may_be_called_by_its_name_and_the_newest_is_meant(api):
    api.upload("ortho.tif")
    newest = {name: api.upload(f"{name}.tif")["id"] for name in ("ortho", "height")}
    body = {"inputs": {"ortho": "ortho.tif", "height": "height.tif"}}
    job = api.user.post("/processes/segment/execution", json=body).raise_for_status().json()
    with api.services.database.reading() as session:
        kept = JobRepository(session).get(job["id"]).inputs
    assert {"ortho": kept["ortho"], "height": kept["height"]} == newest


def test_a_bad_pair_is_refused_before_there_is_a_job(api):
    ids = {role: api.upload()["id"] for role in ("ortho", "height")}
    api.inspections.fault = Refused("pair.no_overlap", "2 % overlap", overlap_percent=2)
    reply = api.user.post("/processes/segment/execution", json={"inputs": ids})
    assert (reply.status_code, reply.json()["code"]) == (422, "pair.no_overlap")
    assert reply.json()["params"] == {"overlap_percent": 2}
    assert api.user.get("/jobs").json()["jobs"] == []
    assert api.notified.jobs == []


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"height": "y"},
        {"ortho": "x", "height": 3},
        {"ortho": "x", "height": "y", "colour": "red"},
        {"ortho": "x", "height": "y", "model": "../../etc/passwd"},
        {"ortho": "x", "height": "y", "model": "--help"},
        {"ortho": "x", "height": "y", "model": "mine@0"},
        {"ortho": "x", "height": "y", "model": "mine@"},
        {"ortho": "x", "height": "y", "stride": 0},
        {"ortho": "x", "height": "y", "blend": "max"},
        {"ortho": "x", "height": "y", "white": -1},
    ],
)
def test_bad_inputs_are_named(api, inputs):
    reply = api.user.post("/processes/segment/execution", json={"inputs": inputs})
    assert (reply.status_code, reply.json()["code"]) == (400, "request.invalid")
    assert reply.json()["params"]["errors"][0]["loc"][:2] == ["body", "inputs"]
    assert reply.json()["detail"].startswith("body.inputs.")


def test_idempotency_key_makes_one_job(api):
    ids = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}

    def execute(**inputs):
        return api.user.post(
            "/processes/segment/execution",
            json={"inputs": ids | inputs},
            headers={"Idempotency-Key": "monday"},
        )

    first, second = execute(), execute()
    assert first.status_code == second.status_code == 201
    assert first.json()["id"] == second.json()["id"]
    assert api.notified.jobs == [first.json()["id"]]
    other = execute(stride=32)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.mismatch")
    assert len(api.user.get("/jobs").json()["jobs"]) == 1


def test_a_repeated_request_is_answered_without_a_second_look(api):
    uploads = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}
    body = {"inputs": {role: f"{role}.tif" for role in uploads}}
    headers = {"Idempotency-Key": "monday"}
    first = api.user.post("/processes/segment/execution", json=body, headers=headers).json()
    api.finish(first["id"], {"classes.tif": b"x"})
    api.upload("ortho.tif")
    api.user.delete(f"/uploads/{uploads['height']}").raise_for_status()
    again = api.user.post("/processes/segment/execution", json=body, headers=headers)
    assert (again.status_code, again.json()["id"]) == (201, first["id"])
    assert again.json()["status"] == "successful"
    assert len(api.inspections.pairs) == len(api.notified.jobs) == 1


def test_the_same_request_twice_at_once_makes_one_job(api, monkeypatch):
    ids = {role: api.upload(f"{role}.tif")["id"] for role in ("ortho", "height")}
    body, headers = {"inputs": ids}, {"Idempotency-Key": "monday"}
    first = api.user.post("/processes/segment/execution", json=body, headers=headers).json()
    found, looked = JobRepository.submitted, []

    def too_early(jobs, *key):
        looked.append(key)
        return found(jobs, *key) if len(looked) > 1 else None

    monkeypatch.setattr(JobRepository, "submitted", too_early)
    again = api.user.post("/processes/segment/execution", json=body, headers=headers)
    assert (again.status_code, again.json()["id"]) == (201, first["id"])
    assert api.notified.jobs == [first["id"]]


def test_jobs_come_in_pages_newest_first(api):
    ids = [api.submit()["id"] for _ in range(5)]
    api.submit(by=api.other)
    api.user.delete(f"/jobs/{ids[0]}").raise_for_status()
    seen, url = [], "/jobs?limit=2"
    while url:
        page = api.user.get(url).json()
        seen += [job["id"] for job in page["jobs"]]
        url = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    assert seen == ids[::-1]
    page = api.user.get("/jobs", params={"limit": 3, "sortby": "created"}).json()
    (following,) = [link["href"] for link in page["links"] if link["rel"] == "next"]
    pages = page["jobs"] + api.user.get(following).json()["jobs"]
    assert [job["id"] for job in pages] == ids
    dismissed = api.user.get("/jobs", params={"status": "dismissed"}).json()["jobs"]
    assert [job["id"] for job in dismissed] == ids[:1]
    either = api.user.get("/jobs", params={"status": ["dismissed", "accepted"]}).json()["jobs"]
    assert len(either) == 5
    assert len(api.admin.get("/jobs").json()["jobs"]) == 6


def test_jobs_of_a_process(api):
    job = api.submit()["id"]
    for processes, found in (["segment"], [job]), (["other", "segment"], [job]), (["other"], []):
        told = api.user.get("/jobs", params={"processID": processes}).json()["jobs"]
        assert [job["id"] for job in told] == found


def test_jobs_of_a_time(api):
    jobs = [api.submit() for _ in range(3)]
    first, second, third = (job["created"] for job in jobs)

    def created(span):
        reply = api.user.get("/jobs", params={"datetime": span}).raise_for_status()
        return [job["id"] for job in reply.json()["jobs"]][::-1]

    ids = [job["id"] for job in jobs]
    assert created(f"{first}/{third}") == ids
    assert created(f"{second}/..") == created(f"{second}/") == ids[1:]
    assert created(f"../{second}") == ids[:2]
    assert created(second) == [ids[1]]
    assert created("2000-01-01T00:00:00+01:00/2000-01-02T00:00:00+01:00") == []


@pytest.mark.parametrize(
    "span",
    [
        "",
        "..",
        "../..",
        "/",
        "yesterday",
        "2026-01-01T00:00:00",
        "a/b/c",
        "2026-01-02/..",
        "2026-01-02T00:00:00Z/2026-01-01T00:00:00Z",
    ],
)
def test_what_is_no_time_is_refused(api, span):
    reply = api.user.get("/jobs", params={"datetime": span})
    assert (reply.status_code, reply.json()["code"]) == (400, "job.bad_datetime")


def test_results_when_the_job_is_done(api):
    job = api.submit()
    files = {"classes.tif": bytes(range(256)), "classes.tif.aux.xml": b"<x/>", "a.bin": b"?"}
    api.finish(job["id"], files)
    status = api.user.get(f"/jobs/{job['id']}").json()
    assert (status["status"], status["progress"]) == ("successful", 100)
    (results,) = [link["href"] for link in status["links"] if link["rel"].endswith("/results")]
    listed = api.user.get(results).json()
    assert {name: link["type"] for name, link in listed.items()} == {
        "classes.tif": "image/tiff; application=geotiff; profile=cloud-optimized",
        "classes.tif.aux.xml": "application/xml",
        "a.bin": "application/octet-stream",
    }
    for name, content in files.items():
        reply = api.user.get(listed[name]["href"])
        assert reply.content == content
        assert reply.headers["content-type"] == listed[name]["type"]
        assert reply.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert reply.headers["x-content-type-options"] == "nosniff"
    part = api.user.get(listed["classes.tif"]["href"], headers={"Range": "bytes=16-31"})
    assert (part.status_code, part.content) == (206, bytes(range(16, 32)))
    assert part.headers["content-range"] == "bytes 16-31/256"
    beyond = api.user.get(listed["classes.tif"]["href"], headers={"Range": "bytes=999-"})
    assert beyond.status_code == 416


@pytest.mark.parametrize(
    "name", ["nope.tif", "%2E%2E", "..%2F..%2Fmfnet.sqlite3", "%2Fetc%2Fpasswd"]
)
def test_only_results_are_served(api, name):
    job = api.submit()
    api.finish(job["id"], {"classes.tif": b"x"})
    reply = api.user.get(f"/jobs/{job['id']}/results/{name}")
    assert reply.status_code == 404
    assert reply.json()["code"] in {"result.unknown", "route.unknown"}


@pytest.mark.parametrize("path", ["results", "results/classes.tif"])
def test_results_that_go_away_meanwhile(api, path):
    job = api.submit()
    api.finish(job["id"], {"classes.tif": b"x"})
    api.services.storage.keep_only(job["id"], None)
    reply = api.user.get(f"/jobs/{job['id']}/{path}")
    assert (reply.status_code, reply.json()["code"]) == (404, "result.unknown")


@pytest.mark.parametrize("path", ["results", "results/classes.tif"])
def test_results_before_the_job_is_done(api, path):
    job = api.submit()
    reply = api.user.get(f"/jobs/{job['id']}/{path}")
    assert (reply.status_code, reply.json()["code"]) == (404, "result.not_ready")
    assert reply.json()["type"] == OGC + "result-not-ready"
    assert reply.json()["params"] == {"status": "accepted", "progress": 0}


@pytest.mark.parametrize(("input_fault", "status"), [(True, 422), (False, 500)])
def test_results_of_a_failed_job_are_its_error(api, input_fault, status):
    job = api.submit()
    failure = Failure("raster.unreadable", "block 3 is torn", {"block": 3}, input_fault)
    with api.services.database.writing() as session:
        claimed = JobRepository(session).claim(job["id"], "test", 60, 1)
        JobRepository(session).fail(claimed, failure, 1)
    told = api.user.get(f"/jobs/{job['id']}").json()
    assert (told["status"], told["message"]) == ("failed", "block 3 is torn")
    assert told["exception"]["code"] == "raster.unreadable"
    assert told["exception"]["params"] == {"block": 3}
    reply = api.user.get(f"/jobs/{job['id']}/results")
    assert (reply.status_code, reply.json()["code"]) == (status, "raster.unreadable")
    assert ("detail" in reply.json()) == input_fault


def test_a_status_takes_one_query(api):
    job = api.submit()["id"]
    asked: list[str] = []

    def remember(_connection, _cursor, statement, *_):
        if threading.current_thread().name != "callbacks":  # which has queries of its own
            asked.append(statement)

    engine = api.services.database._engine
    event.listen(engine, "before_cursor_execute", remember)
    assert api.user.get(f"/jobs/{job}").json()["id"] == job
    assert len([each for each in asked if each.startswith("SELECT")]) == 1
    event.remove(engine, "before_cursor_execute", remember)


def test_dismissing_cancels_and_then_removes(api):
    job = api.submit()
    reply = api.user.delete(f"/jobs/{job['id']}")
    assert (reply.status_code, reply.json()["status"]) == (200, "dismissed")
    assert api.user.get(f"/jobs/{job['id']}").json()["status"] == "dismissed"
    gone = api.user.get(f"/jobs/{job['id']}/results")
    assert (gone.status_code, gone.json()["code"]) == (410, "result.gone")
    assert api.user.delete(f"/jobs/{job['id']}").json()["status"] == "dismissed"
    assert api.user.get(f"/jobs/{job['id']}").status_code == 404


def test_dismissing_a_successful_job_removes_its_files(api):
    job = api.submit()
    api.finish(job["id"], {"classes.tif": b"x"})
    folder = api.services.storage.folder(job["id"], 1)
    assert folder.exists()
    assert api.user.delete(f"/jobs/{job['id']}").json()["status"] == "dismissed"
    assert not folder.parent.exists()
    reply = api.user.get(f"/jobs/{job['id']}")
    assert (reply.status_code, reply.json()["type"]) == (404, OGC + "no-such-job")
