"""A job's map as tiles, in a GIS by its address; and by a link, without a key, for a time."""

import base64
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

LEGEND = {"classes": [{"color": "#ff0000"}, {"color": "#00ff00"}]}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    copy_migrated(tmp_path / "test.sqlite3")
    return f"sqlite:///{tmp_path / 'test.sqlite3'}"


@pytest.fixture
def job(api, tmp_path: Path) -> str:
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 255, "crs": "EPSG:25832"}
    profile |= {"transform": from_origin(512_000, 5_403_000, 1, 1), "height": 200, "width": 200}
    with rasterio.open(tmp_path / "classes.tif", "w", **profile) as file:
        file.write(np.ones((1, 200, 200), np.uint8))
    job = api.submit()["id"]
    files = {"classes.tif": (tmp_path / "classes.tif").read_bytes()}
    api.finish(job, files | {"statistics.json": json.dumps(LEGEND).encode()})
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
    (layer,) = document.findall("w:Contents/w:Layer", spaces)
    assert layer.findtext("o:Identifier", namespaces=spaces) == "classes"
    address = layer.find("w:ResourceURL", spaces).get("template")
    for part in ("TileMatrix", "TileCol", "TileRow"):
        address = address.replace(f"{{{part}}}", "0")
    assert api.user.get(address).content == world.content

    # A drawer that something has ended is started again.
    os.kill(api.services.tiles._child.pid, signal.SIGKILL)
    api.services.tiles._child.wait()
    assert api.user.get(address).content == world.content


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
