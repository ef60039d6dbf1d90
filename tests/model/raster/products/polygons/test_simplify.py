"""Simplified polygons: valid, sharing their borders, whatever strips they were found in."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import shapely
from class_rasters import write_classes
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyogrio.raw import read
from rasterio.crs import CRS

from mfnet.model.classes import ISPRS, NODATA
from mfnet.model.errors import BadOption, OutputNotWritable
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.products.polygons.map_polygons import map_polygons, write_map_polygons
from mfnet.model.raster.products.polygons.strip_outlines import ClassPolygon


def found_in(path: Path, strip_rows: int, simplify_px: float) -> list[ClassPolygon]:
    with GeoTiff(path, Role.LABELS) as raster:
        strips = map_polygons(raster, strip_rows, simplify_px=simplify_px)
        return [polygon for strip in strips for polygon in strip]


def blocks(seed: int, height: int, width: int, side: int) -> NDArray[np.uint8]:
    """Blocks with noise, nodata among both."""
    random = np.random.default_rng(seed)
    coarse = random.choice([0, 0, 1, 2, NODATA], (height // side + 1, width // side + 1))
    values = np.kron(coarse, np.ones((side, side)))[:height, :width].astype(np.uint8)
    noisy = random.random(values.shape) < 0.05
    values[noisy] = random.choice([0, 1, 2, NODATA], noisy.sum())
    return values


@given(
    seed=st.integers(0, 10**6),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(1, 4)),
    strip_rows=st.integers(1, 30),
    simplify_px=st.sampled_from([0.7, 1.0, 1.5, 3.0, 8.0]),
)
@settings(max_examples=60)
def test_neighbours_share_simplified_borders(
    seed: int,
    size: tuple[int, int, int],
    strip_rows: int,
    simplify_px: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = write_classes(tmp_path_factory.mktemp("map") / "c.tif", blocks(seed, *size))
    found = found_in(path, strip_rows, simplify_px)
    shapes = np.array([polygon.shape for polygon in found], object)
    if not len(shapes):
        return
    assert shapely.is_valid(shapes).all()
    assert {shape.geom_type for shape in shapes} == {"Polygon"}
    assert shapely.coverage_is_valid(shapes)
    assert shapely.union_all(shapes).area == pytest.approx(shapely.area(shapes).sum())
    plain = Counter((each.value, round(each.area_m2, 6)) for each in found_in(path, strip_rows, 0))
    assert Counter((each.value, round(each.area_m2, 6)) for each in found) == plain


def test_the_rasters_edge_stays_and_steps_go(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:60, :80]
    values = np.where(columns > rows * 1.3 + 5, 1, 0).astype(np.uint8)
    path = write_classes(tmp_path / "c.tif", values)
    plain, simple = (found_in(path, 17, simplify_px) for simplify_px in (0, 1.5))
    shapes = np.array([polygon.shape for polygon in simple], object)
    assert shapely.union_all(shapes).equals(shapely.box(0, 0, 80, 60))
    before, after = (
        sum(len(shapely.get_coordinates(each.shape)) for each in some) for some in (plain, simple)
    )
    assert after < before / 2
    border = shapely.LineString([(5, 0), (83, 60)])
    step = shapely.get_coordinates(shapes[0].intersection(shapes[1]))
    assert shapely.distance(border, shapely.points(step)).max() < 1.5


def test_metres_are_those_of_the_ground(tmp_path: Path) -> None:
    values = blocks(3, 60, 80, 5)
    mercator = {"crs": CRS.from_epsg(3857), "pixel": 2.0, "corner": (1e6, 8.4e6)}
    path, out = write_classes(tmp_path / "c.tif", values, **mercator), tmp_path / "c.gpkg"
    with GeoTiff(path, Role.LABELS) as raster:
        side_m = raster.grid.gsd_m
    assert side_m is not None
    assert side_m < 1.3  # at 60 degrees north
    write_map_polygons(path, out, ISPRS, simplify_m=3 * side_m)
    written = shapely.get_num_coordinates(shapely.from_wkb(read(out)[2])).sum()
    expected = found_in(path, 1024, 3.0)
    assert written == sum(len(shapely.get_coordinates(each.shape)) for each in expected)


@pytest.mark.parametrize("crs", [CRS.from_epsg(25832), None], ids=["UTM", "no CRS"])
def test_flatgeobuf_says_what_the_geopackage_says(crs: CRS | None, tmp_path: Path) -> None:
    path = write_classes(tmp_path / "c.tif", blocks(1, 40, 50, 4), crs=crs)
    heights = np.full((40, 50), 3.25, np.float32)
    tables = []
    for name in ("c.gpkg", "c.fgb"):
        write_map_polygons(
            path,
            tmp_path / name,
            ISPRS,
            simplify_m=1,
            heights=lambda row, n: heights[row : row + n],
        )
        meta, _, shapes, columns = read(tmp_path / name)
        assert meta["geometry_type"] in ("Polygon", "Unknown")
        rows = zip(shapes, *(column.tolist() for column in columns), strict=True)
        tables.append((meta["fields"].tolist(), sorted(map(repr, rows))))
    assert tables[0] == tables[1]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["c.fgb", "c.gpkg", "c.tif"]


def test_a_map_without_a_class_is_an_empty_layer(tmp_path: Path) -> None:
    path = write_classes(tmp_path / "c.tif", np.full((5, 6), NODATA, np.uint8))
    for name in ("c.gpkg", "c.fgb"):
        assert write_map_polygons(path, tmp_path / name, ISPRS, simplify_m=1) == 0
        assert len(read(tmp_path / name)[2]) == 0


def test_names_and_folders_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    path = write_classes(tmp_path / "c.tif", np.zeros((5, 6), np.uint8))
    with pytest.raises(BadOption, match=r"\.gpkg or \.fgb"):
        write_map_polygons(path, tmp_path / "c.shp", ISPRS)
    with pytest.raises(OutputNotWritable):
        write_map_polygons(path, tmp_path / "none" / "c.fgb", ISPRS)
