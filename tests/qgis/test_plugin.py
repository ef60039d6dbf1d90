"""The plugin in qgis_process against a real service: two layers become a styled map."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import numpy as np
import pytest
import qgis_host
import rasterio
from rio_cogeo import cog_validate

from mfnet.model.classes import ISPRS

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("qgis")]

SLOW_PX = 6000
"""Side of a raster that is inspected for longer than the impatient session waits."""

LEGEND = [[value, item.title, item.color, 255] for value, item in enumerate(ISPRS.classes)]


def connection(service: httpx.Client) -> dict[str, str]:
    """The service in the environment's words."""
    key = service.headers["Authorization"].removeprefix("Bearer ")
    return {"MFNET_URL": str(service.base_url), "MFNET_KEY": key}


@pytest.fixture
def process(service: httpx.Client, tmp_path: Path) -> qgis_host.QgisProcess:
    """qgis_process with the plugin, for our service."""
    return qgis_host.QgisProcess(tmp_path, **connection(service))


def result(output: str, name: str) -> str:
    """An output of an algorithm, as qgis_process prints it."""
    found = re.search(rf"^{name}:\t(.*)$", output.partition("Results")[2], re.M)
    assert found, output
    return found[1]


@pytest.fixture(scope="module")
def mapped(
    service: httpx.Client, town: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """What mfnet:segment has printed, and the folder with map.tif, sure.tif and areas.json."""
    folder = tmp_path_factory.mktemp("mapped")
    outputs = {"OUTPUT": "map.tif", "CONFIDENCE": "sure.tif", "STATISTICS": "areas.json"}
    done = qgis_host.QgisProcess(folder, **connection(service)).run(
        "mfnet:segment",
        **{"ORTHO": town / "ortho.tif", "HEIGHT": town / "ndsm.tif", "MODEL": "town-small"},
        **{name: folder / file for name, file in outputs.items()},
    )
    assert done.returncode == 0, done.stderr
    return done, folder


def test_two_layers_become_a_map_in_its_style(
    mapped: tuple[subprocess.CompletedProcess[str], Path], town: Path, tmp_path: Path
) -> None:
    _, folder = mapped
    assert cog_validate(folder / "map.tif", strict=True)[0]
    told = qgis_host.describe(folder / "map.tif", tmp_path)
    assert told["classes"] == LEGEND
    assert (told["renderer"], told["nodata"]) == ("paletted", 255)
    with rasterio.open(folder / "map.tif") as raster, rasterio.open(town / "ortho.tif") as ortho:
        assert (raster.crs, raster.transform) == (ortho.crs, ortho.transform)
    with rasterio.open(folder / "sure.tif") as raster:
        assert raster.read(1).max() <= 100
    assert json.loads((folder / "areas.json").read_text())["classes"]


def test_what_the_service_remarks_is_said_here_of_the_files_as_they_are_called_here(
    mapped: tuple[subprocess.CompletedProcess[str], Path], service: httpx.Client
) -> None:
    done, _ = mapped
    job = service.get(f"/jobs/{result(done.stdout, 'JOB')}").json()
    remarks = [re.sub(r"-[0-9a-f]{8}\.tif", ".tif", each["message"]) for each in job["remarks"]]
    assert remarks
    assert all(f"WARNING:\t{remark}" in done.stdout for remark in remarks)
    assert re.search(r"MFNet \d+\.\d+\.\d+ at http.*; this plugin is \d+\.\d+\.\d+", done.stdout)


def test_a_pair_that_does_not_fit_is_refused_in_the_services_words(
    process: qgis_host.QgisProcess, town: Path, tmp_path: Path
) -> None:
    swapped = {"ORTHO": town / "ndsm.tif", "HEIGHT": town / "ortho.tif", "MODEL": "town-small"}
    done = process.run("mfnet:segment", **swapped, OUTPUT=tmp_path / "map.tif")
    assert done.returncode == 1
    assert "ndsm.tif: 1 bands beside alpha; expected red, green, blue" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("map*"))


def test_a_wrong_key_is_told_before_anything_is_sent(
    process: qgis_host.QgisProcess, service: httpx.Client, town: Path, tmp_path: Path
) -> None:
    before = service.get("/uploads").json()
    process.environment["MFNET_KEY"] = "wrong"
    unsent = town.parent / "unsent.tif"
    shutil.copy(town / "ortho.tif", unsent)
    pair = {"ORTHO": unsent, "HEIGHT": town / "ndsm.tif"}
    done = process.run("mfnet:segment", **pair, OUTPUT=tmp_path / "map.tif")
    assert done.returncode == 1
    assert "does not accept the key" in done.stderr
    assert "Traceback" not in done.stderr
    assert service.get("/uploads").json() == before


def test_a_job_is_fetched_by_its_id(
    process: qgis_host.QgisProcess,
    mapped: tuple[subprocess.CompletedProcess[str], Path],
    tmp_path: Path,
) -> None:
    done, folder = mapped
    job, again = result(done.stdout, "JOB"), tmp_path / "again.tif"
    done = process.run("mfnet:fetchjob", JOB=job, OUTPUT=again)
    assert done.returncode == 0, done.stderr
    assert again.read_bytes() == (folder / "map.tif").read_bytes()
    assert again.with_suffix(".qml").is_file()


def test_polygons_of_any_format_correct_a_map(
    process: qgis_host.QgisProcess,
    mapped: tuple[subprocess.CompletedProcess[str], Path],
    service: httpx.Client,
    town: Path,
    tmp_path: Path,
) -> None:
    job = result(mapped[0].stdout, "JOB")
    with rasterio.open(town / "ortho.tif") as ortho:
        left, bottom, right, top = ortho.bounds
    square = [(left, top), (right - 16, top), (right - 16, bottom), (left, bottom), (left, top)]
    feature = {
        "type": "Feature",
        "properties": {"kind": "Tree"},
        "geometry": {"type": "Polygon", "coordinates": [square]},
    }
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}
    collection = {"type": "FeatureCollection", "crs": crs, "features": [feature]}
    polygons = tmp_path / "drawn.geojson"
    polygons.write_text(json.dumps(collection))
    done = process.run("mfnet:correct", JOB=job, LABELS=polygons, FIELD="kind")
    assert done.returncode == 0, done.stderr
    report = service.get(f"/tiles/{result(done.stdout, 'TILE')}").json()["report"]
    assert report["labelled"] == 128 * 256
    assert f"{128 * 256:,} of {256 * 256:,} pixels are labelled" in done.stdout


def test_what_the_service_has_is_not_sent_again(
    process: qgis_host.QgisProcess, service: httpx.Client, town: Path, tmp_path: Path
) -> None:
    for again in (False, True):
        done = process.run("mfnet:inspect", LAYERS=town / "truth.tif")
        assert done.returncode == 0, done.stderr
        assert ("the service has it already" in done.stdout) is again
    names = [each["name"] for each in service.get("/uploads?limit=1000").json()["uploads"]]
    assert sum(name.startswith("truth-") for name in names) == 1


def test_a_raster_that_arrived_is_found_though_its_inspection_took_longer_than_qgis_waits(
    service: httpx.Client, town: Path, tmp_path: Path
) -> None:
    raster = tmp_path / "slow.tif"
    with rasterio.open(town / "ndsm.tif") as small:
        profile = small.profile | {"width": SLOW_PX, "height": SLOW_PX, "compress": "deflate"}
    with rasterio.open(raster, "w", **profile) as large:  # soon sent, and long to decode
        large.write(np.tile(np.arange(100, dtype="float32"), (1, SLOW_PX, SLOW_PX // 100)))
    env = qgis_host.environment(tmp_path, PYTHONPATH=str(qgis_host.PLUGINS))
    url, key = connection(service).values()
    session = Path(__file__).with_name("sessions") / "impatient.py"
    seen = qgis_host.run_pyqgis(session.read_text(), url, key, raster, env=env)
    assert "looks at it; waiting" in seen["log"]
    assert seen["name"].startswith("slow-")
    assert seen["report"]
