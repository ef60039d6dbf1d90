"""The class raster as others see it: COG rules, grid, colours, names; nothing left on failure."""

import errno
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rio_cogeo import cog_validate

from mfnet.model.classes import ISPRS, MMHUNAN
from mfnet.model.errors import DiskFull, OutputNotWritable
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.files.tags import walk
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products import cog
from mfnet.model.raster.products.cog import CogWriter

UTM = CRS.from_epsg(25832)
NORTH_UP = Affine(0.2, 0, 500_000, 0, -0.2, 5_700_000)


def grid(height: int, width: int, transform: Affine = NORTH_UP, crs: CRS | None = UTM) -> Grid:
    return Grid(height, width, transform, crs)


def classes(height: int, width: int) -> np.ndarray:
    values = np.random.default_rng(8).integers(0, 7, (height, width)).astype(np.uint8)
    values[values == 6] = 255
    return values


def write(path: Path, place: Grid, values: np.ndarray, cuts: list[int] | None = None) -> None:
    with CogWriter(path, place, description="land cover", scheme=ISPRS, tags={"A": "b"}) as out:
        edges = sorted({0, *(cuts or []), place.height})
        for row, stop in pairwise(edges):
            out.write(row, values[row:stop])


@settings(max_examples=25)
@given(
    height=st.integers(1, 600),
    width=st.integers(2, 600),
    cuts=st.lists(st.integers(1, 599), max_size=5),
)
@example(height=1, width=2, cuts=[])
@example(height=600, width=2, cuts=[])
@example(height=600, width=512, cuts=[])
@example(height=513, width=513, cuts=[512])
def test_any_size_is_a_valid_cog_and_reads_back(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, cuts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("cog") / "classes.tif"
    values = classes(height, width)
    write(path, grid(height, width), values, [cut for cut in cuts if cut < height])
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as raster:
        assert np.array_equal(raster.read(1), values)
        assert (raster.crs, raster.transform) == (UTM, NORTH_UP)
        assert raster.nodata == 255
        assert raster.tags()["A"] == "b"
        assert raster.descriptions == ("land cover",)
        assert [raster.colormap(1)[v][:3] for v in range(6)] == [c.rgb for c in ISPRS.classes]
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "classes.qml",
        "classes.tif",
        "classes.tif.aux.xml",
    ]


def test_a_single_column_is_a_cog_though_without_overviews(tmp_path: Path) -> None:
    for height in (1, 700):
        path = tmp_path / f"{height}.tif"
        write(path, grid(height, 1), classes(height, 1))
        assert cog_validate(path, strict=height == 1)[:2] == (True, [])


def test_overviews_show_the_most_frequent_class_and_no_other(tmp_path: Path) -> None:
    values = np.full((1100, 1300), 4, np.uint8)
    values[::2, ::2] = 1
    path = tmp_path / "a.tif"
    write(path, grid(1100, 1300), values)
    assert cog_validate(path, strict=True)[0]
    with rasterio.open(path) as raster:
        assert raster.overviews(1)
        assert np.unique(raster.read(1, out_shape=(550, 650))).tolist() == [4]


@pytest.mark.parametrize(
    "transform",
    [
        Affine(0.3, 0, 10, 0, 0.3, 20),
        Affine.translation(9, 8) @ Affine.rotation(20) @ Affine.scale(0.5, -0.4),
        Affine(0.19999999999963042, 0, 770549.8, 0, -0.2000000000014783, 6277600.2),
    ],
)
@pytest.mark.parametrize("crs", [UTM, CRS.from_epsg(4326), None])
def test_the_grid_comes_back_exactly(tmp_path: Path, transform: Affine, crs: CRS | None) -> None:
    path = tmp_path / "a.tif"
    write(path, grid(20, 30, transform, crs), classes(20, 30))
    with rasterio.open(path) as raster:
        assert raster.crs == crs
        assert np.allclose(tuple(raster.transform), tuple(transform), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["ign/ortho_rgb", "neon/SJER_052", "nodeodm/odm_orthophoto"])
def test_the_grids_of_real_orthophotos_come_back(shared: Path, tmp_path: Path, name: str) -> None:
    with GeoTiff(shared / "data/pairs" / f"{name}.tif", Role.ORTHO) as source:
        place = source.grid
    path = tmp_path / "a.tif"
    write(path, place, classes(place.height, place.width))
    assert cog_validate(path, strict=True)[0]
    with rasterio.open(path) as raster:
        assert (raster.crs, raster.transform) == (place.crs, place.transform)


def test_gdal_reads_our_names_and_attribute_table(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with CogWriter(path, grid(4, 4), description="d", scheme=MMHUNAN) as out:
        out.write(0, np.zeros((4, 4), np.uint8))
    # rasterio has no call for names; GDAL copies what it knows of them into a VRT.
    rasterio.shutil.copy(path, tmp_path / "a.vrt", driver="VRT")
    band = ET.parse(tmp_path / "a.vrt").getroot().find("VRTRasterBand")
    assert band is not None
    names = [element.text for element in band.iter("Category")]
    assert names == [item.title for item in MMHUNAN.classes]
    rows = [[cell.text for cell in row] for row in band.iter("Row")]
    assert rows[4] == ["4", "Water", "91", "154", "214"]


def test_names_and_colours_stand_in_the_file_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write(path, grid(1100, 700), classes(1100, 700))
    table = walk(path)[0].metadata[0].rstrip(b"\0")
    rows = [[cell.text for cell in row] for row in ET.fromstring(table).iter("Row")]
    assert rows == [[str(n), c.title, *map(str, c.rgb)] for n, c in enumerate(ISPRS.classes)]
    with GeoTiff(path, Role.LABELS) as labels:  # what we write is no stranger's table to us
        assert labels.grid == grid(1100, 700)


@pytest.mark.skipif(
    tuple(map(int, rasterio.__gdal_version__.split(".")[:2])) < (3, 12),
    reason="GDAL reads a table inside a TIFF from 3.12 on",
)
def test_gdal_reads_the_table_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write(path, grid(4, 4), classes(4, 4))
    path.with_name("a.tif.aux.xml").unlink()
    rasterio.shutil.copy(path, tmp_path / "a.vrt", driver="VRT")
    rows = [[cell.text for cell in row] for row in ET.parse(tmp_path / "a.vrt").iter("Row")]
    assert rows[5][:2] == ["5", ISPRS.classes[5].title]


def test_the_qgis_style_lists_our_classes_alone(tmp_path: Path) -> None:
    path = tmp_path / "map.tif"
    write(path, grid(4, 4), classes(4, 4))
    entries = list(ET.parse(tmp_path / "map.qml").getroot().iter("paletteEntry"))
    assert [(e.get("value"), e.get("color"), e.get("label")) for e in entries] == [
        (str(value), item.color, item.title) for value, item in enumerate(ISPRS.classes)
    ]


def test_a_raster_without_scheme_has_no_sidecars(tmp_path: Path) -> None:
    path = tmp_path / "confidence.tif"
    with CogWriter(path, grid(700, 600), description="confidence, percent") as out:
        out.write(0, np.full((700, 600), 87, np.uint8))
    assert [p.name for p in tmp_path.iterdir()] == ["confidence.tif"]
    assert cog_validate(path, strict=True) == (True, [], [])


def test_an_earlier_result_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for value in (1, 2):
        write(path, grid(4, 4), np.full((4, 4), value, np.uint8))
    with rasterio.open(path) as raster:
        assert (raster.read(1) == 2).all()


def test_an_exception_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_text("earlier")

    def fail_after_some_rows() -> None:
        with CogWriter(path, grid(700, 4), description="d", scheme=ISPRS) as out:
            out.write(0, np.zeros((600, 4), np.uint8))
            raise KeyError

    with pytest.raises(KeyError):
        fail_after_some_rows()
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
    assert path.read_text() == "earlier"


def test_a_disk_that_is_full_while_publishing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cog.rasterio.shutil, "copy", full)
    with pytest.raises(DiskFull, match="the disk ran full"):
        write(tmp_path / "a.tif", grid(4, 4), classes(4, 4))
    assert list(tmp_path.iterdir()) == []


def test_missing_rows_are_our_fault_and_publish_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="3 of 4 rows"),
        CogWriter(tmp_path / "a.tif", grid(4, 4), description="d") as out,
    ):
        out.write(0, np.zeros((3, 4), np.uint8))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["none/a.tif", ".", "file/a.tif", "/proc/a.tif"])
def test_a_path_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, where: str
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable), CogWriter(tmp_path / where, grid(4, 4), description="d"):
        pytest.fail("the block was entered")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
