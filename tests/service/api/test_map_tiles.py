"""A job's map as tiles, in a GIS by its address; and by a link, without a key, for a time."""

import base64
import dataclasses
import io
import json
import os
import signal
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import rasterio
from databases import copy_migrated
from PIL import Image
from rasterio.transform import from_origin

from mfnet.service.api import shared_links
from mfnet.service.api.shared_links import Shared, read_token, token
from mfnet.service.operations.inspection.file_inspection import Inspector
from mfnet.service.operations.pictures.tile_drawer import TileDrawer

PLACE = {"crs": "EPSG:25832", "transform": from_origin(512_000, 5_403_000, 1, 1)}
SIDE = 200
LEGEND = {"classes": [{"color": "#ff0000"}, {"color": "#00ff00"}]}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    copy_migrated(tmp_path / "test.sqlite3")
    return f"sqlite:///{tmp_path / 'test.sqlite3'}"


def written(path: Path, values_CHW: np.ndarray, **told) -> bytes:
    profile = {"driver": "GTiff", "count": len(values_CHW), "dtype": values_CHW.dtype} | PLACE
    with rasterio.open(path, "w", height=SIDE, width=SIDE, **profile, **told) as file:
        file.write(values_CHW)
    return path.read_bytes()


@pytest.fixture
def job(api, tmp_path: Path) -> str:
    classes = written(tmp_path / "classes.tif", np.ones((1, SIDE, SIDE), np.uint8), nodata=255)
    job = api.submit()["id"]
    api.finish(job, {"classes.tif": classes, "statistics.json": json.dumps(LEGEND).encode()})
    return job


@pytest.fixture
def pair(api, job: str, tmp_path: Path) -> str:
    """The same job, made of rasters: red in the west, blue in the east; a slope to the east."""
    inspector = Inspector(models_dir=tmp_path, max_memory_mb=1024, max_seconds=60, at_once=1)
    api.app.state.services = dataclasses.replace(api.services, inspector=inspector)
    ortho = np.zeros((3, SIDE, SIDE), np.uint8)
    ortho[0, :, : SIDE // 2] = ortho[2, :, SIDE // 2 :] = 255
    height = np.broadcast_to(np.arange(SIDE, dtype=np.float32) / 10, (1, SIDE, SIDE))
    sent = api.user.get(f"/jobs/{job}").json()["inputs"]
    for role, values, told in (("ortho", ortho, {"photometric": "RGB"}), ("height", height, {})):
        api.services.storage.upload(sent[role]).write_bytes(
            written(tmp_path / f"{role}.tif", values, **told)
        )
    return job


def colors(png: bytes) -> set[tuple[int, ...]]:
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    return {color for _, color in image.getcolors(70_000)}


def test_a_map_has_tiles_tilejson_and_capabilities(api, job):
    told = api.user.get(f"/jobs/{job}/tiles/classes.json").raise_for_status().json()
    west, south, east, north = told["bounds"]
    assert (round(west, 2), round(south, 2)) == (9.16, 48.78)
    world = api.user.get(told["tiles"][0].format(z=0, x=0, y=0))
    assert world.headers["content-type"] == "image/png"
    z = told["minzoom"]
    tiles = [
        api.user.get(told["tiles"][0].format(z=z, x=x, y=y)).content
        for x, y in [
            (int((lon + 180) / 360 * 2**z), _row((south + north) / 2, z)) for lon in (west, east)
        ]
    ]
    assert (0, 255, 0, 255) in set().union(*map(colors, tiles))
    assert api.user.get(f"/jobs/{job}/tiles/confidence.json").json()["code"] == "result.unknown"
    assert api.user.get(f"/jobs/{job}/tiles/classes/1/2/0.png").json()["code"] == "result.unknown"

    reply = api.user.get(f"/jobs/{job}/wmts", params={"SERVICE": "WMTS"})
    spaces = {"w": "http://www.opengis.net/wmts/1.0", "o": "http://www.opengis.net/ows/1.1"}
    document = ET.fromstring(reply.content)
    layers = document.findall("w:Contents/w:Layer", spaces)
    names = [each.findtext("o:Identifier", namespaces=spaces) for each in layers]
    assert names == ["classes", "ortho", "hillshade"]
    layer = layers[0]
    address = layer.find("w:ResourceURL", spaces).get("template")
    for part in ("TileMatrix", "TileCol", "TileRow"):
        address = address.replace(f"{{{part}}}", "0")
    assert api.user.get(address).content == world.content

    # A drawer that something has ended is started again.
    child = api.services.tiles._of_maps
    os.kill(child.pid, signal.SIGKILL)
    child._process.wait()
    api.services.tiles._drawn.clear()
    assert api.user.get(address).content == world.content


def test_the_rasters_of_a_map_have_tiles_as_long_as_they_are_there(api, pair):
    shown = {}
    for layer in ("ortho", "hillshade"):
        told = api.user.get(f"/jobs/{pair}/tiles/{layer}.json").raise_for_status().json()
        z, (west, south, east, north) = told["maxzoom"], told["bounds"]
        row = _row((south + north) / 2, z)
        columns = [int((lon + 180) / 360 * 2**z) for lon in (west, east)]
        tiles = {
            api.user.get(told["tiles"][0].format(z=z, x=x, y=row)).raise_for_status().content
            for x in range(columns[0], columns[1] + 1)
        }
        shown[layer] = set().union(*map(colors, tiles))
    assert {color for color in shown["ortho"] if color[3]} == {(255, 0, 0, 255), (0, 0, 255, 255)}
    light = round(255 * (0.05 + 0.5**0.5) / np.sqrt(1.01))
    assert {color[0] for color in shown["hillshade"] if color[3]} <= {light - 1, light, light + 1}

    tile = f"/jobs/{pair}/tiles/ortho/0/0/0.png"
    assert api.user.get(tile).status_code == 200
    assert api.other.get(tile).status_code == 404
    assert api.nobody.get(tile).status_code == 401
    link = api.user.post(f"/jobs/{pair}/links", json={}).json()["tilejson"]
    template = api.nobody.get(link.replace("classes", "hillshade")).json()["tiles"][0]
    assert api.nobody.get(template.format(z=0, x=0, y=0)).status_code == 200
    # What is drawn for the tiles alone is no picture.
    assert "known" not in api.user.get(f"/jobs/{pair}/pictures").json()["pictures"]
    assert api.user.get(f"/jobs/{pair}/pictures/known.png").status_code == 404

    ortho = api.user.get(f"/jobs/{pair}").json()["inputs"]["ortho"]
    api.user.delete(f"/uploads/{ortho}").raise_for_status()
    assert api.user.get(tile).json()["code"] == "result.unknown"
    assert api.user.get(tile.replace("ortho", "classes")).status_code == 200


def test_each_jobs_rasters_are_drawn_by_a_process_of_their_own(tmp_path):
    raster = tmp_path / "map.tif"
    written(raster, np.ones((1, SIDE, SIDE), np.uint8))
    drawer = TileDrawer(memory_mb=1024)
    asked = {"raster": str(raster)}
    ids = [drawer._child(job).pid for job in (None, "a", "b") if drawer.ask(asked, job)]
    assert len(set(ids)) == 3
    drawer.ask(asked, "c")
    assert not Path(f"/proc/{ids[1]}").exists(), "the one that was asked longest ago has ended"
    limits = Path(f"/proc/{drawer._child('c').pid}/limits").read_text()
    assert f"{1024 << 20}" in limits
    drawer.close()
    assert not any(Path(f"/proc/{each}").exists() for each in ids)


def test_a_link_needs_no_key_and_leads_to_one_job_alone(api, job):
    other = api.submit()["id"]
    api.finish(other, {"classes.tif": b"secret"})
    assert api.other.post(f"/jobs/{job}/links", json={}).status_code == 404
    told = api.user.post(f"/jobs/{job}/links", json={"days": 1}).json()
    results = api.nobody.get(told["results"]).json()
    assert results["classes.tif"]["href"] == told["files"]["classes.tif"]
    assert api.nobody.get(told["files"]["classes.tif"]).content[:2] == b"II"
    assert api.nobody.head(told["files"]["classes.tif"]).status_code == 200
    tiles = api.nobody.get(told["tilejson"]).json()["tiles"][0]
    assert api.nobody.get(tiles.format(z=0, x=0, y=0)).status_code == 200
    assert "/shared/" in api.nobody.get(told["wmts"]).text

    base = told["results"].removesuffix(f"/jobs/{job}/results")
    for path in (
        f"/jobs/{other}/results/classes.tif",
        f"/jobs/{job}",
        "/jobs",
        f"/jobs/{job}/x",
        f"/jobs/{job}/results/../../{other}/results",
    ):
        assert api.nobody.get(base + path).status_code in (401, 404), path
    assert api.nobody.delete(told["results"]).status_code in (401, 405)
    assert api.nobody.post(f"{base}/jobs/{job}/links", json={}).status_code == 401
    forged = told["results"].replace("/shared/", "/shared/A")
    assert api.nobody.get(forged).status_code == 401
    key = api.user.get("/keys/mine").json()["id"]
    api.admin.delete(f"/keys/{key}").raise_for_status()
    assert api.nobody.get(told["results"]).status_code == 401


def test_a_token_ends_and_cannot_be_changed(monkeypatch):
    shared = Shared("ab" * 16, "cd" * 16)
    given = token(b"secret", shared, 1000)
    monkeypatch.setattr(shared_links.time, "time", lambda: 999.0)
    assert read_token(b"secret", given) == shared
    assert read_token(b"another", given) is None
    raw = base64.urlsafe_b64decode(given + "=" * (-len(given) % 4))
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1
        assert read_token(b"secret", base64.urlsafe_b64encode(changed).decode()) is None
    assert read_token(b"secret", "") is None
    assert read_token(b"secret", "ü?") is None
    monkeypatch.setattr(shared_links.time, "time", lambda: 1000.0)
    assert read_token(b"secret", given) is None


def _row(latitude: float, z: int) -> int:
    shifted = np.arcsinh(np.tan(np.radians(latitude)))
    return int((1 - shifted / np.pi) / 2 * 2**z)
