"""The plugin in qgis_process against a real service: two layers become a styled map."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyogrio
import pytest
import qgis_host
import rasterio
from rasterio.windows import Window
from rio_cogeo import cog_validate

from mfnet.model.classes import ISPRS

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("qgis")]

SLOW_PX = 8000
"""Side of a raster that is inspected for longer than the impatient session waits."""

LEGEND = [[value, item.title, item.color, 255] for value, item in enumerate(ISPRS.classes)]


def connection(service: httpx.Client) -> dict[str, str]:
    """The service in the environment's words."""
    key = service.headers["Authorization"].removeprefix("Bearer ")
    return {"MFNET_URL": str(service.base_url), "MFNET_KEY": key}


@pytest.fixture(scope="module")
def profile(service: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a profile in which the plugin is enabled."""
    folder = tmp_path_factory.mktemp("profile")
    qgis_host.QgisProcess(folder).enable()
    return folder


@pytest.fixture
def process(service: httpx.Client, profile: Path) -> qgis_host.QgisProcess:
    """qgis_process with the plugin, for our service."""
    return qgis_host.QgisProcess(profile, **connection(service))


def boxes(bounds: list[tuple[float, float, float, float]], **properties: str) -> str:
    """Rectangles as GeoJSON in the town's CRS."""
    features = [
        {
            "type": "Feature",
            "properties": properties,
            "geometry": {
                "type": "Polygon",
                "coordinates": [[(w, n), (e, n), (e, s), (w, s), (w, n)]],
            },
        }
        for w, s, e, n in bounds
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}
    return json.dumps({"type": "FeatureCollection", "crs": crs, "features": features})


def result(output: str, name: str) -> str:
    """An output of an algorithm, as qgis_process prints it."""
    found = re.search(rf"^{name}:\t(.*)$", output.partition("Results")[2], re.M)
    assert found, output
    return found[1]


@pytest.fixture(scope="module")
def mapped(
    service: httpx.Client, profile: Path, town: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """What mfnet:segment has printed, and the folder with map.tif, sure.tif and areas.json."""
    folder = tmp_path_factory.mktemp("mapped")
    outputs = {"OUTPUT": "map.tif", "CONFIDENCE": "sure.tif", "STATISTICS": "areas.json"}
    done = qgis_host.QgisProcess(profile, **connection(service)).run(
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
    (told,) = qgis_host.describe(tmp_path, folder / "map.tif")
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
    polygons = tmp_path / "drawn.geojson"
    polygons.write_text(boxes([(left, bottom, right - 16, top)], kind="Tree"))
    done = process.run("mfnet:correct", JOB=job, LABELS=polygons, FIELD="kind")
    assert done.returncode == 0, done.stderr
    report = service.get(f"/tiles/{result(done.stdout, 'TILE')}").json()["report"]
    assert report["labelled"] == 128 * 256
    assert f"{128 * 256:,} of {256 * 256:,} pixels are labelled" in done.stdout


def test_tiles_become_one_map_of_an_area_with_its_zones_and_polygons(
    process: qgis_host.QgisProcess,
    mapped: tuple[subprocess.CompletedProcess[str], Path],
    town: Path,
    tmp_path: Path,
) -> None:
    tiles = {}
    for name in ("ortho", "ndsm"):
        with rasterio.open(town / f"{name}.tif") as whole:
            left, bottom, right, top = whole.bounds
            for side in (0, 1):
                window = Window(128 * side, 0, 128, 256)
                profile = whole.profile | {
                    "width": 128,
                    "transform": whole.window_transform(window),
                }
                tiles[name, side] = tmp_path / f"{name}-{side}.tif"
                with rasterio.open(tiles[name, side], "w", **profile) as tile:
                    tile.write(whole.read(window=window))
    parcels = [(left, bottom, left + 8, top), (left + 8, bottom, left + 16, top)]
    (tmp_path / "area.geojson").write_text(boxes([(left, bottom, right - 8, top)]))
    (tmp_path / "parcels.geojson").write_text(boxes(parcels))
    outputs = {"OUTPUT": "map.tif", "ZONE_AREAS": "zones.gpkg", "POLYGONS": "polygons.gpkg"}
    done = process.run(
        "mfnet:segment",
        **{"ORTHO": tiles["ortho", 0], "ORTHO_TILES": tiles["ortho", 1]},
        **{"HEIGHT": tiles["ndsm", 0], "HEIGHT_TILES": tiles["ndsm", 1]},
        **{"AREA": tmp_path / "area.geojson", "ZONES": tmp_path / "parcels.geojson"},
        **{name: tmp_path / file for name, file in outputs.items()},
        MODEL="town-small",
    )
    assert done.returncode == 0, done.stderr
    with (
        rasterio.open(tmp_path / "map.tif") as part,
        rasterio.open(mapped[1] / "map.tif") as whole,
    ):
        assert part.transform == whole.transform
        inside = np.s_[:, : 256 - 64]
        assert (part.read(1)[inside] == whole.read(1)[inside]).all()
        assert (part.read(1)[:, 256 - 64 :] == 255).all()
    areas = [row["mapped_m2"] for row in rows_of(tmp_path / "zones.gpkg")]
    assert areas == pytest.approx([8 * 32, 8 * 32], rel=2e-3)
    assert sum(row["area_m2"] for row in rows_of(tmp_path / "polygons.gpkg")) == pytest.approx(
        24 * 32, rel=2e-3
    )


def test_the_map_of_a_job_is_summed_up_by_zone(
    process: qgis_host.QgisProcess,
    mapped: tuple[subprocess.CompletedProcess[str], Path],
    town: Path,
    tmp_path: Path,
) -> None:
    with rasterio.open(town / "ortho.tif") as ortho:
        (tmp_path / "all.geojson").write_text(boxes([tuple(ortho.bounds)]))
    out = tmp_path / "areas.gpkg"
    job = result(mapped[0].stdout, "JOB")
    done = process.run("mfnet:zonalareas", JOB=job, ZONES=tmp_path / "all.geojson", OUTPUT=out)
    assert done.returncode == 0, done.stderr
    (row,) = rows_of(out)
    for each in json.loads((mapped[1] / "areas.json").read_text())["classes"]:
        assert row[f"{each['name']}_m2"] == pytest.approx(each["area_m2"], abs=0.01)


def test_the_program_on_this_machine_makes_the_same_map(
    process: qgis_host.QgisProcess,
    mapped: tuple[subprocess.CompletedProcess[str], Path],
    town: Path,
    tmp_path: Path,
) -> None:
    process.environment["MFNET_PROGRAM"] = str(Path(sys.executable).with_name("mfnet"))
    out = tmp_path / "here.tif"
    pair = {"ORTHO": town / "ortho.tif", "HEIGHT": town / "ndsm.tif", "MODEL": "town-small"}
    done = process.run("mfnet:segmenthere", **pair, OUTPUT=out)
    assert done.returncode == 0, done.stderr
    with rasterio.open(out) as here, rasterio.open(mapped[1] / "map.tif") as there:
        assert (here.read() == there.read()).all()
    swapped = {"ORTHO": town / "ndsm.tif", "HEIGHT": town / "ortho.tif"}
    done = process.run("mfnet:segmenthere", **swapped, OUTPUT=tmp_path / "none.tif")
    assert done.returncode == 1
    assert "expected red, green, blue" in done.stderr
    assert "Traceback" not in done.stderr


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The columns of a GeoPackage's only layer."""
    meta, _, _, values = pyogrio.raw.read(path, read_geometry=False)
    return [dict(zip(meta["fields"], row, strict=True)) for row in zip(*values, strict=True)]


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
        profile = small.profile | {"width": SLOW_PX, "height": SLOW_PX}
        profile |= {"compress": "deflate", "predictor": 3}
    with rasterio.open(raster, "w", **profile) as large:  # soon sent, and long to decode
        large.write(np.tile(np.arange(100, dtype="float32"), (1, SLOW_PX, SLOW_PX // 100)))
    env = qgis_host.environment(tmp_path, PYTHONPATH=str(qgis_host.PLUGINS))
    url, key = connection(service).values()
    session = Path(__file__).with_name("sessions") / "impatient.py"
    seen = qgis_host.run_pyqgis(session.read_text(), url, key, raster, env=env)
    assert "looks at it; waiting" in seen["log"]
    assert seen["name"].startswith("slow-")
    assert seen["report"]
