"""The windows where a map is least sure: by brute force, and as any program reads them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS

from mfnet.model.classes import NODATA
from mfnet.model.errors import OutputNotWritable
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.pairs.inspection import inspect_polygons
from mfnet.model.raster.products.cog import CogWriter
from mfnet.model.raster.products.uncertainty_windows import WINDOW_PX, least_sure, write_least_sure
from mfnet.model.raster.vectors.geopackage_reader import GeoPackage

UTM = CRS.from_epsg(25832)
NORTH_UP = Affine(0.2, 0, 512_000, 0, -0.2, 5_403_000)
OWN = CRS.from_proj4("+proj=tmerc +lat_0=40 +lon_0=3.3 +k=0.97 +x_0=12 +ellps=bessel +units=m")


def write(folder: Path, percent: NDArray[np.uint8], grid: Grid) -> Path:
    path = folder / "confidence.tif"
    with CogWriter(path, grid, description="confidence, percent") as raster:
        raster.write(0, percent)
    return path


def scene(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Percent in patches, with holes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 101, (-(-height // 64), -(-width // 64)))
    percent = np.kron(coarse, np.ones((64, 64)))[:height, :width].astype(np.uint8)
    percent[rng.random(percent.shape) < 0.2] = NODATA
    return percent


def by_brute_force(percent: NDArray[np.uint8]) -> list[tuple[float, int, int, int]]:
    """Mean, row, column and number of valid pixels of the windows that have data, the least first.

    A window counts that has a quarter of the fullest one's pixels.
    """
    found = []
    for row in range(0, percent.shape[0], WINDOW_PX):
        for column in range(0, percent.shape[1], WINDOW_PX):
            part = percent[row : row + WINDOW_PX, column : column + WINDOW_PX]
            valid = part[part != NODATA]
            if valid.size:
                found.append((float(valid.mean()), row, column, valid.size))
    fullest = max((size for *_, size in found), default=0)
    return sorted(each for each in found if each[3] >= fullest / 4)


@settings(max_examples=15)
@given(st.integers(1, 1100), st.integers(1, 1100), st.integers(0, 9))
def test_they_are_those_of_brute_force(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, seed: int
) -> None:
    folder, percent = tmp_path_factory.mktemp("sure"), scene(height, width, seed)
    expected = by_brute_force(percent)[:20]
    path = write(folder, percent, Grid(height, width, NORTH_UP, UTM))
    found = write_least_sure(path, folder / "out.gpkg")
    assert len(found) == len(expected)
    for unsure, (mean, row, column, pixels) in zip(found, expected, strict=True):
        assert unsure.confidence == pytest.approx(mean)
        assert (unsure.window.row_off, unsure.window.col_off) == (row, column)
        assert unsure.pixels == pixels


@pytest.mark.parametrize("crs", [UTM, OWN, CRS.from_epsg(4326), None])
def test_another_program_finds_squares_with_numbers_on_the_map(
    tmp_path: Path, crs: CRS | None
) -> None:
    transform = Affine(1e-6, 0, 9, 0, -1e-6, 48) if crs and crs.is_geographic else NORTH_UP
    grid, percent = Grid(600, 700, transform, crs), scene(600, 700, 4)
    out = tmp_path / "out.gpkg"
    assert len(write_least_sure(write(tmp_path, percent, grid), out)) == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["confidence.tif", "out.gpkg"]
    (layer,) = inspect_polygons(out).layers
    assert (layer.name, layer.features) == ("least_sure", 9)
    assert layer.columns == ["fid", "rank", "confidence", "area_m2"]
    with GeoPackage(out) as package:
        (opened,) = package.layers
        assert opened.crs == crs
        shapes, ranks = package.read(opened, "rank")
        _, confidences = package.read(opened, "confidence")
        _, areas = package.read(opened, "area_m2")
    assert ranks == list(range(1, 10))
    assert confidences == sorted(confidences)
    whole = shapely.box(*shapely.MultiPoint([transform * (0, 0), transform * (700, 600)]).bounds)
    missing = shapely.symmetric_difference(shapely.union_all(shapes), whole).area
    assert missing == pytest.approx(0, abs=1e-9 * whole.area)
    assert sum(shape.area for shape in shapes) == pytest.approx(whole.area)  # none on another
    valid = (percent != NODATA).sum()
    if crs == UTM:
        assert sum(areas) == pytest.approx(valid * 0.04, abs=0.1)
    if crs is None:
        assert set(areas) == {None}


def test_the_file_is_a_geopackage_to_the_letter(tmp_path: Path) -> None:
    out = tmp_path / "out.gpkg"
    write_least_sure(write(tmp_path, scene(300, 300, 1), Grid(300, 300, NORTH_UP, UTM)), out)
    assert out.read_bytes()[68:72] == b"GPKG"
    with closing(sqlite3.connect(out)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        ids = {row[0] for row in database.execute("SELECT srs_id FROM gpkg_spatial_ref_sys")}
        assert ids == {-1, 0, 4326, 25832}
        bounds = database.execute("SELECT min_x, min_y, max_x, max_y FROM gpkg_contents").fetchone()
    # the slivers at the rim are none of the windows
    assert bounds == pytest.approx((512_000, 5_402_948.8, 512_051.2, 5_403_000), abs=1e-6)


def test_the_same_map_makes_the_same_bytes(tmp_path: Path) -> None:
    path = write(tmp_path, scene(600, 600, 2), Grid(600, 600, NORTH_UP, UTM))
    for name in ("a.gpkg", "b.gpkg"):
        write_least_sure(path, tmp_path / name)
    assert (tmp_path / "a.gpkg").read_bytes() == (tmp_path / "b.gpkg").read_bytes()


def test_a_turned_grid_has_turned_windows(tmp_path: Path) -> None:
    turned = NORTH_UP * Affine.rotation(30)
    out = tmp_path / "out.gpkg"
    write_least_sure(write(tmp_path, scene(256, 256, 3), Grid(256, 256, turned, UTM)), out)
    with GeoPackage(out) as package:
        (shape,), _ = package.read(package.layers[0], "rank")
    corners = [turned * corner for corner in ((0, 0), (0, 256), (256, 256), (256, 0))]
    assert shape.equals(shapely.Polygon(corners))


def test_no_more_than_twenty_and_the_upper_left_of_equals_first() -> None:
    grid = Grid(256 * 6, 256 * 6, NORTH_UP, UTM)
    counts = np.full((6, 6), WINDOW_PX**2)
    found = least_sure(counts * 50, counts, grid)
    assert [(u.window.row_off, u.window.col_off) for u in found[:7]] == [
        *((0, 256 * column) for column in range(6)),
        (256, 0),
    ]
    assert len(found) == 20


def test_a_map_without_data_has_none(tmp_path: Path) -> None:
    empty = np.full((30, 30), NODATA, np.uint8)
    out = tmp_path / "out.gpkg"
    assert write_least_sure(write(tmp_path, empty, Grid(30, 30, NORTH_UP, UTM)), out) == []
    assert not out.exists()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, scene(30, 30, 1), Grid(30, 30, NORTH_UP, UTM))
    with pytest.raises(OutputNotWritable):
        write_least_sure(path, tmp_path / "missing" / "out.gpkg")


def test_rasterio_itself_takes_it_for_no_raster(tmp_path: Path) -> None:
    out = tmp_path / "out.gpkg"
    write_least_sure(write(tmp_path, scene(30, 30, 1), Grid(30, 30, NORTH_UP, UTM)), out)
    with pytest.raises(rasterio.errors.RasterioIOError):
        rasterio.open(out)
