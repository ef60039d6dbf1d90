"""What a map may be asked for, by a real worker on a small network: whole, and in parts, alike."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
import torch
from rasterio.transform import from_origin
from worker_host import RUNNER, Redis, WorkerHost

from mfnet.model.config import EncoderConfig, ModelConfig
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.checkpoint import save
from mfnet.service.engine.job_requests import JobRequests
from mfnet.service.engine.protocol import Done
from mfnet.service.engine.runner import Segmenter, answer

pytestmark = pytest.mark.acceptance

HEIGHT, WIDTH, GSD_M = 4608, 96, 0.5
PARTS = 2
FURTHER = ("polygons.gpkg", "polygons.fgb", "zones.gpkg", "zones.csv", "item.json")


@pytest.fixture
def host(tmp_path: Path, redis: Redis) -> Iterator[WorkerHost]:
    """With the real engine, a small network, and a survey whose heights count from the sea."""
    host = WorkerHost(tmp_path / "data", redis, RUNNER)
    torch.manual_seed(0)
    encoder = EncoderConfig(
        embed_dim=32, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=8, grid=16
    )
    (tmp_path / "models").mkdir()
    network = MFNet(ModelConfig(encoder=encoder, window_px=160, decode_channels=16))
    save(network, tmp_path / "models" / "tiny.safetensors")
    random = np.random.default_rng(0)
    ortho = random.integers(1, 255, (3, HEIGHT, WIDTH), dtype=np.uint8)
    surface = 300 + 0.02 * np.arange(HEIGHT, dtype=np.float32)[:, None] + np.zeros(WIDTH)
    for row in range(40, HEIGHT - 40, 90):  # houses
        surface[row : row + 20, 30:50] += 6
    add(host, tmp_path, "ortho", ortho)
    add(host, tmp_path, "surface", surface[np.newaxis].astype(np.float32))
    area = shapely.Polygon([(10, 1000), (90, 1000), (90, 3000), (10, 3000), (10, 1000)])
    crossed = shapely.Polygon([(20, 1200), (30, 1200), (20, 1210), (30, 1210)])
    add_polygons(host, tmp_path / "wanted.gpkg", [area, crossed])
    parcels = [(0, 1500, 96, 2300), (10, 2950, 50, 3050), (0, 10, 96, 500)]
    add_polygons(host, tmp_path / "parcels.fgb", [shapely.box(*parcel) for parcel in parcels])
    yield host
    host.close()


def add(host: WorkerHost, folder: Path, name: str, values: np.ndarray) -> None:
    path = folder / f"{name}.tif"
    bands, height, width = values.shape
    form = {"count": bands, "height": height, "width": width, "dtype": values.dtype}
    form |= {"crs": "EPSG:25832", "transform": from_origin(5e5, 5.7e6, GSD_M, GSD_M)}
    with rasterio.open(path, "w", driver="GTiff", compress="deflate", **form) as raster:
        raster.write(values)
    host.upload(name, path.read_bytes(), height, width)


def add_polygons(host: WorkerHost, path: Path, pixels: list[shapely.Polygon]) -> None:
    def place(xy: np.ndarray) -> np.ndarray:
        return np.column_stack([5e5 + GSD_M * xy[:, 0], 5.7e6 - GSD_M * xy[:, 1]])

    shapes = shapely.to_wkb(shapely.transform(np.array(pixels, object), place))
    fields = [np.array([f"Flur {n}" for n in range(len(pixels))], object)]
    form = {"geometry_type": "Polygon", "crs": "EPSG:25832"}
    pyogrio.raw.write(path, shapes, fields, ["name"], **form)
    host.upload(path.stem, path.read_bytes(), 1, 1)


def check_polygons(folder: Path) -> None:
    """They say what the map says: inside of the area, on each parcel."""
    with rasterio.open(folder / "classes.tif") as raster:
        classes = raster.read(1)
    rows, columns = np.nonzero(classes != 255)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1000, 2999, 10, 89)
    _, _, _, (values, _, _, areas, heights, _) = pyogrio.raw.read(folder / "polygons.gpkg")
    _, _, flat, (flat_values, *_) = pyogrio.raw.read(folder / "polygons.fgb")
    assert (len(flat), sorted(flat_values)) == (len(values), sorted(values))
    assert np.isfinite(heights).all()
    for value in np.unique(classes[classes != 255]):
        pixels = (classes == value).sum()
        assert areas[values == value].sum() == pytest.approx(pixels * GSD_M**2, rel=1e-3)
    with (folder / "zones.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["name"])
    first, second, outside = rows
    assert [row["name"] for row in (first, second, outside)] == ["Flur 0", "Flur 1", "Flur 2"]
    assert float(first["mapped_m2"]) == pytest.approx(800 * 80 * GSD_M**2, rel=1e-3)
    assert float(second["mapped_m2"]) == pytest.approx(50 * 40 * GSD_M**2, rel=1e-3)
    assert float(outside["mapped_m2"]) == 0
    meta, _, _, fields = pyogrio.raw.read(folder / "zones.gpkg")
    known = dict(zip(meta["fields"].tolist(), fields, strict=True))
    place = known["name"].tolist().index("Flur 0")
    assert known["building_m2"][place] == float(first["building_m2"])


def mapped_whole(host: WorkerHost, models: Path, job_id: str) -> dict[str, bytes]:
    """What the engine makes of the job where nobody cuts it, in this process."""
    settings = host.settings.model_copy(update={"models_dir": models})
    job = host.job(job_id)
    job.epoch = 99
    request = JobRequests(settings, host.database, host.storage).map(job)
    done = answer(request, Segmenter(), lambda _: None)
    assert isinstance(done, Done), done
    files = {path.name: path.read_bytes() for path in request.out.iterdir()}
    shutil.rmtree(request.out)
    return files


@pytest.mark.timeout(300)
def test_all_that_a_map_may_be_asked_for_is_the_same_in_parts(
    host: WorkerHost, tmp_path: Path
) -> None:
    asked = {"ortho": "ortho", "height": "surface", "dtm": "auto", "stride": 128}
    asked |= {"confidence": True, "polygons": True, "aoi": "wanted", "zones": "parcels"}
    asked |= {"stac": True, "outputs": dict.fromkeys(FURTHER)}
    models = tmp_path / "models"
    host.start_worker(part_pixels=HEIGHT * WIDTH // PARTS, models_dir=models, lease_s=30)
    job_id = host.submit("tiny", **asked)
    folder = host.result(job_id, 120)
    assert len(host.parts(job_id)) == PARTS
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert files == mapped_whole(host, models, job_id)
    assert set(files) == {
        *("classes.tif", "classes.tif.aux.xml", "classes.qml", "statistics.json"),
        *("confidence.tif", "least_sure.gpkg", "dtm.tif"),
        *FURTHER,
    }
    item = json.loads(files["item.json"])
    hrefs = {asset["href"] for role, asset in item["assets"].items() if role != "model"}
    assert hrefs == set(files) - {"item.json", "classes.tif.aux.xml", "classes.qml"}
    check_polygons(folder)
    statistics = json.loads(files["statistics.json"])
    assert statistics["area_remarks"] == ["a.tif: 1 zones cross themselves and were mended"]
    assert "dtm.derived" in [remark["code"] for remark in statistics["pair"]["remarks"]]
    told = [remark["code"] for remark in host.job(job_id).remarks or ()]
    assert told[0] == "dtm.derived"  # in the place of what was told before
    with rasterio.open(folder / "dtm.tif") as raster:
        terrain = raster.read(1)
    slope = 300 + 0.02 * (np.arange(len(terrain)) + 0.5)
    assert np.abs(np.median(terrain, axis=1) - slope).mean() < 0.3
