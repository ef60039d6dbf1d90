"""`mfnet predict` and `inspect` of rasters behind a web server: what is fetched, and the map."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from command_line import mfnet
from range_server import Asked, RangeServer, range_server

from mfnet.model.errors import RasterMissing
from mfnet.model.raster.pairs.inspection import inspect_pair
from tests.model.conftest import at

SIDE, BLOCK = 1536, 256
CHUNK = 16 << 10
"""What GDAL fetches of a header at a time."""


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """A folder with a pair of COGs, the orthophoto with a mask."""
    folder = tmp_path / "survey"
    folder.mkdir()
    random = np.random.default_rng(0)
    grey = random.integers(90, 130, (SIDE, SIDE), dtype=np.uint8)
    ortho = np.stack([grey, grey // 2, random.permuted(grey)])
    heights = random.random((SIDE, SIDE), np.float32)
    heights[:, SIDE // 2 :: 100] += 5
    heights[400:700, 100:600] += 5
    shape = {"driver": "COG", "height": SIDE, "width": SIDE, "crs": "EPSG:25832"}
    shape |= {"transform": at(0.2), "blocksize": BLOCK, "compress": "deflate"}
    path = folder / "ortho.tif"
    with rasterio.open(path, "w", count=3, dtype="uint8", **shape) as raster:
        raster.write(ortho)
        mask = np.full((SIDE, SIDE), 255, np.uint8)
        mask[:300, 200:300] = 0
        raster.write_mask(mask)
    with rasterio.open(folder / "ndsm.tif", "w", count=1, dtype="float32", **shape) as raster:
        raster.write(heights, 1)
    return folder


@pytest.fixture
def server(survey: Path) -> Iterator[RangeServer]:
    with range_server(survey) as serving:
        yield serving


def predict(ortho: object, height: object, out: Path, *more: object) -> None:
    said = mfnet("predict", ortho, height, "-o", out, "--model", "rule", *more)
    assert said.status == 0, said.err


def fetched(path: Path, asked: list[Asked]) -> Counter[tuple[int, int]]:
    """How often each block of a file was fetched: the most that any of its bytes was, ends aside.

    Ranges that begin a block early or end late, by what GDAL fetches of a header, count for none.
    """
    times = np.zeros(path.stat().st_size, np.int32)
    for one in asked:
        if one.name == path.name:
            times[one.start : one.stop] += 1
    found: Counter[tuple[int, int]] = Counter()
    with rasterio.open(path) as raster:
        for row in range(SIDE // BLOCK):
            for column in range(SIDE // BLOCK):
                name = f"{column}_{row}"
                offset = int(raster.get_tag_item(f"BLOCK_OFFSET_{name}", "TIFF", bidx=1))
                size = int(raster.get_tag_item(f"BLOCK_SIZE_{name}", "TIFF", bidx=1))
                assert size > 3 * CHUNK
                found[row, column] = int(times[offset + CHUNK : offset + size - CHUNK].max())
    return found


def test_each_block_is_fetched_once_and_the_map_is_that_of_the_files(
    survey: Path, server: RangeServer, tmp_path: Path
) -> None:
    here, there = tmp_path / "here.tif", tmp_path / "there.tif"
    more = ("--quality", "--polygons")
    predict(survey / "ortho.tif", survey / "ndsm.tif", here, *more, tmp_path / "here.gpkg")
    assert not server.asked
    key = "?key=hunter2"
    ortho, height = f"{server.address}/ortho.tif{key}", f"/vsicurl/{server.address}/ndsm.tif"
    predict(ortho, height, there, *more, tmp_path / "there.gpkg")
    for name in ("ortho.tif", "ndsm.tif"):
        times = fetched(survey / name, server.asked)
        assert set(times.values()) == {1}, (name, times)
    maps, tags = [], []
    for path in (here, there):
        with rasterio.open(path) as raster:
            maps.append(raster.read(1))
            tags.append(raster.tags())
        assert "hunter2" not in str(tags)
    np.testing.assert_array_equal(*maps)
    inputs = [json.loads(each.pop("MFNET_INPUTS")) for each in tags]
    assert tags[0] == tags[1]
    assert [inputs[1][role]["sha256"] for role in ("ortho", "height")] == [None, None]
    assert [inputs[1][role]["file"] for role in ("ortho", "height")] == ["ortho.tif", "ndsm.tif"]
    polygons = [(tmp_path / name).read_bytes() for name in ("here.gpkg", "there.gpkg")]
    assert polygons[0] == polygons[1]


def test_of_an_area_of_interest_its_blocks_alone_are_fetched(
    survey: Path, server: RangeServer, tmp_path: Path
) -> None:
    east, north = at(0.2) @ (2.5 * BLOCK, 3.5 * BLOCK)
    ring = [(east, north), (east + 9, north), (east + 9, north - 9), (east, north)]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}
    polygon = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "properties": {}, "geometry": polygon}
    area = {"type": "FeatureCollection", "crs": crs, "features": [feature]}
    (tmp_path / "area.geojson").write_text(json.dumps(area))
    inspected = mfnet("inspect", f"{server.address}/ortho.tif", f"{server.address}/ndsm.tif")
    assert inspected.status == 0, inspected.err
    sampled = fetched(survey / "ortho.tif", server.asked)
    server.asked.clear()
    aoi = ("--aoi", tmp_path / "area.geojson")
    ortho, height = f"{server.address}/ortho.tif", f"{server.address}/ndsm.tif"
    predict(ortho, height, tmp_path / "map.tif", *aoi)
    times = fetched(survey / "ortho.tif", server.asked)
    assert times - sampled == Counter({}) or set((times - sampled).values()) == {1}
    assert times[3, 2] == 1
    assert max(times.values()) == 1


@pytest.mark.parametrize(
    ("name", "named"),
    [("nothing.tif", "404"), ("text.tif", "not recognized")],
)
def test_what_cannot_be_fetched_is_told_without_its_key(
    name: str, named: str, survey: Path, server: RangeServer
) -> None:
    (survey / "text.tif").write_text("no raster")
    said = mfnet("inspect", f"{server.address}/{name}?key=hunter2")
    assert said.status == 2
    assert f"{name}: cannot be read over the network" in said.err
    assert "hunter2" not in said.err


def test_metadata_that_name_other_files_are_refused_over_the_network_too(
    server: RangeServer, survey: Path, photo: Callable[..., Path]
) -> None:
    path = photo("evil.tif", side=512, tiled=True)
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=f"/vsicurl/{server.address}/ndsm.tif")
    path.rename(survey / "evil.tif")
    said = mfnet("inspect", f"{server.address}/evil.tif")
    assert said.status == 2
    assert "hold the domain 'OVERVIEWS'" in said.err
    assert {one.name for one in server.asked} == {"evil.tif"}


def test_addresses_are_for_the_command_line_alone(server: RangeServer) -> None:
    for path in (f"{server.address}/ortho.tif", f"/vsicurl/{server.address}/ortho.tif"):
        with pytest.raises(RasterMissing):
            inspect_pair(Path(path), Path(path))
    assert not server.asked
