"""Corrections over HTTP, looked at by the real child: labelled tiles, and what is refused."""

import hashlib
import json
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine
from inspections import CHILDREN
from prometheus_client.parser import text_string_to_metric_families
from standins.folder import write_geopackage

from mfnet.model.classes import ISPRS, NODATA
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.areas.class_areas import ClassAreas
from mfnet.model.raster.products.cog import CogWriter
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.tiles import TileRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.files.dataset_manifest import write_manifest
from mfnet.service.operations.inspection.file_inspection import Inspector
from mfnet.training.datasets.sources.labelled_folder import Folder

SIDE = 64
TRANSFORM = Affine(0.5, 0, 512_000, 0, -0.5, 5_403_000)
CRS = rasterio.CRS.from_epsg(25832)


@pytest.fixture(scope="module")
def classes() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 6, (SIDE, SIDE)).astype(np.uint8)


@pytest.fixture(scope="module")
def the_map(tmp_path_factory: pytest.TempPathFactory, classes: np.ndarray) -> dict[str, bytes]:
    """The files of a job's result."""
    folder, grid = tmp_path_factory.mktemp("map"), Grid(SIDE, SIDE, TRANSFORM, CRS)
    path = folder / "classes.tif"
    with CogWriter(
        path, grid, description="land cover", scheme=ISPRS, tags={"MFNET_WINDOW": "64"}
    ) as raster:
        raster.write(0, classes)
    areas = ClassAreas(grid, ISPRS)
    areas.add(0, classes)
    (folder / "statistics.json").write_text(json.dumps(areas.summary()))
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def real(api, tmp_path):
    """The API with the child that looks at files in earnest; pairs are taken as they are."""
    child = Inspector(
        models_dir=tmp_path, max_memory_mb=1024, max_seconds=60, at_once=2, children=CHILDREN
    )
    api.inspections.correction = child.correction
    return api, child


@pytest.fixture
def mapped(real, the_map) -> tuple:
    """The API, and the id of the user's job with a map."""
    api, child = real
    job = api.submit()["id"]
    api.finish(job, the_map)
    api.inspections.file = child.file
    return api, job


def geotiff(tmp_path: Path, values: np.ndarray, **changed) -> bytes:
    form = {"driver": "GTiff", "count": 1, "dtype": values.dtype, "crs": CRS}
    form |= {"height": values.shape[0], "width": values.shape[1], "transform": TRANSFORM}
    with rasterio.open(tmp_path / "made.tif", "w", **(form | changed)) as raster:
        raster.write(values, 1)
    return (tmp_path / "made.tif").read_bytes()


def geopackage(tmp_path: Path, boxes: list, classes: list) -> bytes:
    path = tmp_path / "made.gpkg"
    path.unlink(missing_ok=True)
    write_geopackage(path, [shapely.box(*box) for box in boxes], classes)
    return path.read_bytes()


def polygons_in(tmp_path: Path, driver: str, name: str, box: tuple) -> bytes:
    """A car in a box, as some other format; zipped where it takes several files."""
    wkb = np.array([shapely.to_wkb(shapely.box(*box))], object)
    fields, form = [np.array(["Car"], object)], {"geometry_type": "Polygon", "crs": "EPSG:25832"}
    pyogrio.raw.write(tmp_path / name, wkb, fields, ["class"], driver=driver, **form)
    if not name.endswith(".shp"):
        return (tmp_path / name).read_bytes()
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        for part in tmp_path.glob(f"{Path(name).stem}.*"):
            archive.write(part, part.name)
    return (tmp_path / "made.zip").read_bytes()


def send(api, name: str, content: bytes, by=None) -> str:
    reply = (by or api.user).put(f"/uploads/{name}", content=content)
    assert reply.status_code == 201, reply.text
    return reply.json()["id"]


def correct(api, job: str, by=None, **body):
    return (by or api.user).post(f"/jobs/{job}/corrections", json=body)


def test_a_tile_keeps_the_terrain_that_was_derived_for_its_map(real, the_map, classes, tmp_path):
    api, child = real
    job = api.submit(dtm="auto")["id"]
    api.finish(job, the_map | {"dtm.tif": b"terrain"})
    api.inspections.file = child.file
    labels = send(api, "labels.tif", geotiff(tmp_path, np.where(classes == 0, 1, classes)))
    reply = correct(api, job, labels=labels)
    assert reply.status_code == 201, reply.text
    assert set(reply.json()["rasters"]) == {"ortho", "height"}
    api.user.delete(f"/jobs/{job}").raise_for_status()
    with api.services.database.reading() as session:
        tiles = [TileRepository(session).get(reply.json()["id"])]
        uploads, storage = UploadRepository(session), api.services.storage
        manifest = write_manifest(tiles, uploads, storage, tmp_path / "learn")
    (tile,) = tomllib.loads(manifest.read_text())["tiles"]
    assert Path(tile["dtm"]).read_bytes() == b"terrain"
    assert tile["reading"]["dtm_unit"] == "m"


def test_a_corrected_map_becomes_a_labelled_tile(mapped, classes, tmp_path):
    api, job = mapped
    corrected = classes.copy()
    corrected[10:20] = 4
    content = geotiff(tmp_path, corrected.astype(np.float32))
    labels = send(api, "my labels.tif", content)
    reply = correct(api, job, labels="my labels.tif")
    assert reply.status_code == 201, reply.text
    tile = reply.json()
    assert api.user.get(reply.headers["Location"]).json() == tile
    assert api.user.get("/tiles").json() == {"tiles": [tile]}
    assert tile["job"] == job
    report = tile["report"]
    assert (report["kind"], report["scheme"]["name"]) == ("raster", "isprs")
    assert report["changed"] == (corrected != classes).sum()
    told = tile["provenance"]
    assert (told["job"], told["model"]) == (job, "town@1")
    assert told["corrected_by"].startswith("user (")
    digest = hashlib.sha256(content).hexdigest()
    assert told["files"]["labels"] == {"upload": labels, "name": "my labels.tif", "sha256": digest}
    assert set(told["files"]) == {"ortho", "height", "labels"}
    raster = api.user.get(f"/tiles/{tile['id']}/labels.tif").content
    assert hashlib.sha256(raster).hexdigest() == tile["sha256"]
    with rasterio.MemoryFile(raster) as file, file.open() as opened:
        assert np.array_equal(opened.read(1), corrected)


@pytest.mark.parametrize(
    ("driver", "name"),
    [("GeoJSON", "c.geojson"), ("ESRI Shapefile", "c.shp"), ("FlatGeobuf", "c.fgb")],
)
def test_polygons_come_in_other_formats(mapped, tmp_path, driver, name):
    api, job = mapped
    left, top = TRANSFORM * (8, 8)
    send(api, "c.x", polygons_in(tmp_path, driver, name, (left, top - 8, left + 8, top)))
    tile = correct(api, job, labels="c.x").raise_for_status().json()
    assert (tile["report"]["kind"], tile["report"]["labelled"]) == ("polygons", 256)


def test_polygons_become_one_too_and_retraining_reads_it(mapped, tmp_path):
    api, job = mapped
    left, top = TRANSFORM * (8, 8)
    send(api, "c.gpkg", geopackage(tmp_path, [(left, top - 8, left + 8, top)], ["car"]))
    tile = correct(api, job, labels="c.gpkg").raise_for_status().json()
    assert (tile["report"]["kind"], tile["report"]["labelled"]) == ("polygons", 256)
    services = api.services
    with services.database.reading() as session:
        row = TileRepository(session).get(tile["id"])
        uploads = UploadRepository(session)
        path = write_manifest([row], uploads, services.storage, tmp_path / "retrain")
    folder = Folder(path.parent)
    assert folder.scheme == ISPRS
    truth = folder._labels(folder.manifest.tiles[0].labels, Grid(SIDE, SIDE, TRANSFORM, CRS))
    expected = np.full((SIDE, SIDE), NODATA)
    expected[8:24, 8:24] = 4
    window = rasterio.windows.Window(0, 0, SIDE, SIDE)
    assert np.array_equal(truth.read(window), expected)


def test_the_same_correction_makes_one_tile(mapped, classes, tmp_path):
    api, job = mapped
    labels = send(api, "c.tif", geotiff(tmp_path, (classes + 1) % 6))
    first = correct(api, job, labels=labels).json()
    again = send(api, "c.tif", geotiff(tmp_path, (classes + 1) % 6))
    assert correct(api, job, labels=again).json() == first
    assert len(list((api.services.storage.root / "tiles").iterdir())) == 1


def test_a_tile_outlives_job_and_correction_and_keeps_its_rasters(mapped, classes, tmp_path):
    api, job = mapped
    labels = send(api, "c.tif", geotiff(tmp_path, (classes + 1) % 6))
    tile = correct(api, job, labels=labels).json()
    assert api.user.delete(f"/jobs/{job}").status_code == 200
    assert api.user.delete(f"/uploads/{labels}").status_code == 204
    for upload in tile["rasters"].values():
        reply = api.user.delete(f"/uploads/{upload}")
        assert (reply.status_code, reply.json()["code"]) == (409, "upload.in_use")
        assert reply.json()["params"] == {"tile": tile["id"]}
    assert api.user.get(f"/tiles/{tile['id']}").json() == tile
    assert api.user.delete(f"/tiles/{tile['id']}").status_code == 204
    assert list((api.services.storage.root / "tiles").iterdir()) == []
    for upload in tile["rasters"].values():
        assert api.user.delete(f"/uploads/{upload}").status_code == 204


def test_a_tile_that_a_retraining_takes_stays_until_it_is_done(
    mapped, classes, tmp_path, monkeypatch
):
    api, job = mapped
    monkeypatch.setattr(
        "mfnet.service.operations.labelled_tiles._MANY", 1
    )  # however many maps wait, too
    labels = send(api, "c.tif", geotiff(tmp_path, (classes + 1) % 6))
    tile = correct(api, job, labels=labels).json()["id"]
    with api.services.database.writing() as session:
        owner = JobRepository(session).get(job).owner
        taking = JobRepository(session).submit(owner, "retrain", {"tiles": [tile]})[0].id
        JobRepository(session).submit(owner, "segment", {})
    reply = api.user.delete(f"/tiles/{tile}")
    assert (reply.status_code, reply.json()["code"]) == (409, "tile.in_use")
    with api.services.database.writing() as session:
        JobRepository(session).cancel(taking)
    assert api.user.delete(f"/tiles/{tile}").status_code == 204


def test_an_admin_corrects_everybodys_map_and_the_tile_is_its_owners(mapped, classes, tmp_path):
    api, job = mapped
    labels = send(api, "c.tif", geotiff(tmp_path, (classes + 1) % 6), by=api.admin)
    assert correct(api, job, by=api.other, labels=labels).json()["code"] == "job.unknown"
    assert correct(api, job, labels=labels).json()["code"] == "upload.unknown"
    tile = correct(api, job, by=api.admin, labels=labels).raise_for_status().json()
    assert tile["provenance"]["corrected_by"].startswith("admin (")
    assert api.user.get(f"/tiles/{tile['id']}").json() == tile
    assert api.other.get("/tiles").json() == {"tiles": []}


def far(tmp_path, classes):
    return geotiff(tmp_path, (classes + 1) % 6, transform=TRANSFORM * Affine.translation(1, 1))


def unknown(tmp_path, classes):
    return geotiff(tmp_path, np.where(classes == 3, 77, classes).astype(np.uint8))


def same(tmp_path, classes):
    return geotiff(tmp_path, classes)


def nothing(tmp_path, classes):
    # not declared nodata: a raster without a valid pixel is refused when it is sent
    values = np.full_like(classes, NODATA)
    return geotiff(tmp_path, values)


def strange(tmp_path, classes):
    return geopackage(tmp_path, [(512_000, 5_402_990, 512_010, 5_403_000)], ["buildings"])


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (far, "correction.other_grid", "c.x: its upper left corner lies +1.000 columns"),
        (unknown, "raster.wrong_classes", "c.x: unknown values 77 ("),
        (same, "correction.empty", "says what the map says"),
        (nothing, "correction.empty", "labels not one pixel"),
        (strange, "data.labels", "the nearest is 'building' for 'buildings'"),
    ],
)
def test_a_bad_correction_is_refused_in_its_own_words(mapped, classes, tmp_path, make, code, words):
    api, job = mapped
    send(api, "c.x", make(tmp_path, classes))
    reply = correct(api, job, labels="c.x")
    assert (reply.status_code, reply.json()["code"]) == (422, code), reply.text
    assert words in reply.json()["detail"]
    assert list((api.services.storage.root / "tiles").iterdir()) == []
    assert api.user.get("/tiles").json() == {"tiles": []}


@pytest.mark.parametrize(
    "body", [{"column": "--model"}, {"column": "kind"}, {"layer": "--keep-map"}]
)
def test_a_column_or_layer_that_is_not_there_is_named(mapped, tmp_path, body):
    api, job = mapped
    send(api, "c.gpkg", strange(tmp_path, None))
    reply = correct(api, job, labels="c.gpkg", **body)
    assert (reply.status_code, reply.json()["code"]) == (422, "data.geopackage"), reply.text
    assert next(iter(body.values())) in reply.json()["detail"]


@pytest.mark.parametrize(
    "body", [{}, {"labels": "x", "column": ""}, {"labels": "x", "column": "a\0"}, {"label": "x"}]
)
def test_a_body_that_says_something_else_is_refused(mapped, body):
    api, job = mapped
    assert correct(api, job, **body).json()["code"] == "request.invalid"


def test_a_job_without_a_map_cannot_be_corrected(api):
    job, labels = api.submit()["id"], api.upload("c.tif")["id"]
    reply = correct(api, job, labels=labels)
    assert (reply.status_code, reply.json()["code"]) == (409, "job.no_map")
    assert reply.json()["params"] == {"job": job, "status": "accepted"}
    api.user.delete(f"/jobs/{job}")
    assert correct(api, job, labels=labels).json()["params"]["status"] == "dismissed"


def test_a_map_whose_rasters_are_gone_teaches_nothing(api):
    job, labels = api.submit()["id"], api.upload("c.tif")["id"]
    api.finish(job, {"classes.tif": b"map"})
    with api.services.database.reading() as session:
        height = JobRepository(session).get(job).inputs["height"]
    assert api.user.delete(f"/uploads/{height}").status_code == 204
    reply = correct(api, job, labels=labels)
    assert (reply.status_code, reply.json()["code"]) == (409, "upload.gone")
    assert reply.json()["params"] == {"job": job, "input": "height"}


def test_a_file_that_is_neither_raster_nor_polygons_is_not_kept(mapped, tmp_path):
    api, _ = mapped
    for content in (b"SQLite format 3\0 and no more", b"<gpx/>"):
        assert api.user.put("/uploads/c.gpkg", content=content).status_code == 422
    names = {upload["name"] for upload in api.user.get("/uploads").json()["uploads"]}
    assert "c.gpkg" not in names


def test_prometheus_is_told_of_jobs_drift_and_tiles(mapped, classes, tmp_path):
    api, job = mapped
    labels = send(api, "c.tif", geotiff(tmp_path, (classes + 1) % 6))
    correct(api, job, labels=labels).raise_for_status()
    with api.services.database.writing() as session:
        jobs = JobRepository(session)
        owner = jobs.get(job).owner
        for number in range(3):
            drift = {"remarks": [{"code": "drift.gsd"}]} if number else None
            jobs.submit(owner, "segment", {"model": 'a"\\b@1'}, drift=drift)
    reply = api.admin.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    told = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }
    assert told["mfnet_jobs", "segment", "successful"] == 1
    assert told["mfnet_jobs", "segment", "accepted"] == 3
    assert told["mfnet_jobs", "segment", "failed"] == 0
    assert told["mfnet_drifted_jobs", 'a"\\b@1'] == 2
    assert told["mfnet_labelled_tiles",] == 1
    assert api.user.get("/metrics").json()["code"] == "auth.forbidden"


def during(api, act):
    """Has something happen while the child compares, once."""
    compare, rest = api.inspections.correction, [act]

    def correction(*what):
        while rest:
            rest.pop()()
        return compare(*what)

    api.inspections.correction = correction


def test_the_same_correction_twice_at_once_makes_one_tile(api):
    job, labels = api.submit()["id"], api.upload("c.tif")["id"]
    api.finish(job, {"classes.tif": b"map"})
    first: list[dict] = []
    during(api, lambda: first.append(correct(api, job, labels=labels).json()))
    assert correct(api, job, labels=labels).json() == first[0]
    (folder,) = (api.services.storage.root / "tiles").iterdir()
    assert folder.name == first[0]["id"]


def test_a_raster_that_is_removed_meanwhile_leaves_no_tile(api):
    job, labels = api.submit()["id"], api.upload("c.tif")["id"]
    api.finish(job, {"classes.tif": b"map"})
    with api.services.database.reading() as session:
        ortho = JobRepository(session).get(job).inputs["ortho"]
    during(api, lambda: api.user.delete(f"/uploads/{ortho}").raise_for_status())
    reply = correct(api, job, labels=labels)
    assert (reply.status_code, reply.json()["code"]) == (409, "upload.gone")
    assert list((api.services.storage.root / "tiles").iterdir()) == []
