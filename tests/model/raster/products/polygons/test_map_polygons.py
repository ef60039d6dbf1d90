"""Polygons of a map, found strip by strip, against the whole raster at once."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.features import geometry_mask
from rasterio.features import shapes as shapes_of

from mfnet.model.classes import ISPRS, NODATA
from mfnet.model.errors import OutputNotWritable
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.areas.class_areas import ClassAreas
from mfnet.model.raster.products.polygons.kept_borders import KeptPolygon
from mfnet.model.raster.products.polygons.map_polygons import map_polygons, write_map_polygons
from mfnet.model.raster.products.polygons.strip_outlines import ClassPolygon, pixel_sums
from mfnet.model.raster.products.polygons.waiting import MOST_BYTES_IN_MEMORY
from mfnet.model.raster.vectors.geopackage_writer import polygon_layer

UTM = CRS.from_epsg(25832)
AT = Affine(0.5, 0, 500_000, 0, -0.5, 5_700_000)


def write(path: Path, values: NDArray[np.uint8], crs: CRS = UTM, transform: Affine = AT) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=values.shape[0], width=values.shape[1],
        dtype="uint8", nodata=NODATA, crs=crs, transform=transform,
    ) as raster:  # fmt: skip
        raster.write(values, 1)
    return path


def found_in(path: Path, strip_rows: int, most_bytes: int = 1 << 20) -> list[ClassPolygon]:
    """The polygons; those from a file, too."""
    found = []
    with GeoTiff(path, Role.LABELS) as raster:
        for strip in map_polygons(raster, strip_rows, most_bytes=most_bytes):
            for polygon in strip:
                if isinstance(polygon.shape, KeptPolygon):
                    kept, polygon.shape = polygon.shape, polygon.shape.shape()
                    assert kept.size_bytes == len(shapely.to_wkb(polygon.shape))
                    assert kept.bounds == polygon.shape.bounds
                found.append(polygon)
    return found


@given(
    values=arrays(np.uint8, (12, 9), elements=st.sampled_from([0, 1, 2, NODATA])),
    strip_rows=st.integers(1, 12),
    most_bytes=st.sampled_from([0, 1 << 20]),
)
@settings(max_examples=60)
def test_strips_give_the_polygons_of_the_whole(
    values: NDArray[np.uint8],
    strip_rows: int,
    most_bytes: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = write(tmp_path_factory.mktemp("map") / "c.tif", values)
    found = found_in(path, strip_rows, most_bytes)
    whole = Counter(
        (int(value), shapely.geometry.shape(geometry).normalize().wkb)
        for geometry, value in shapes_of(values, mask=values != NODATA, connectivity=4)
    )
    # So no corner is left where strips met.
    assert Counter((p.value, p.shape.normalize().wkb) for p in found) == whole
    assert all(shapely.is_valid(p.shape) for p in found)
    covered = shapely.union_all([p.shape for p in found]) if found else shapely.Polygon()
    assert covered.area == sum(p.shape.area for p in found) == (values != NODATA).sum()
    for polygon in found:
        assert polygon.area_m2 == pytest.approx(0.25 * polygon.shape.area)


def test_a_polygon_that_memory_does_not_hold_is_written_like_others(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    houses = random.random((140, 1024)) < 0.2
    values = np.kron(houses, np.ones((4, 4))).astype(np.uint8)
    path, out = write(tmp_path / "c.tif", values), tmp_path / "c.gpkg"
    write_map_polygons(path, out, ISPRS)  # in strips of 512 rows
    whole = Counter(
        shapely.transform(shapely.geometry.shape(geometry), on_ground).normalize().wkb
        for geometry, _ in shapes_of(values, connectivity=4)
    )
    shapes = shapely.from_wkb(pyogrio.raw.read(out)[2])
    assert max(len(shapely.to_wkb(shape)) for shape in shapes) > MOST_BYTES_IN_MEMORY
    assert Counter(shape.normalize().wkb for shape in shapes) == whole
    assert [each.name for each in tmp_path.iterdir() if "polygons" in each.name] == []
    with sqlite3.connect(out) as database:
        bounds = database.execute("SELECT min_x, min_y, max_x, max_y FROM gpkg_contents").fetchone()
    assert bounds == tuple(shapely.total_bounds(shapes))


def on_ground(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack(AT * (pixels[:, 0], pixels[:, 1]))


def test_a_polygon_that_a_geopackage_cannot_hold_is_refused(tmp_path: Path) -> None:
    class Huge:
        size_bytes = 10**10
        bounds = (0.0, 0.0, 1.0, 1.0)

        def chunks(self) -> Iterator[bytes]:
            yield b""

    with (
        pytest.raises(OutputNotWritable, match="--simplify"),
        polygon_layer(tmp_path / "c.gpkg", "land_cover", {"class": "INTEGER"}, UTM) as add,
    ):
        add.large(Huge(), [1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (CRS.from_epsg(3857), Affine(40, 0, 1e6, 0, -40, 8.4e6)),
        (CRS.from_epsg(4326), Affine(0.02, 0, 5, 0, -0.02, 70)),
    ],
    ids=["web Mercator", "degrees"],
)
def test_areas_are_those_of_the_statistics(crs: CRS, transform: Affine, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 3, (60, 500), np.uint8)
    path = write(tmp_path / "c.tif", values, crs, transform)
    areas = ClassAreas(Grid(60, 500, transform, crs), ISPRS)
    areas.add(0, values)
    expected = [each["area_m2"] for each in areas.summary()["classes"][:3]]
    sums = np.zeros(3)
    for polygon in found_in(path, 16):
        sums[polygon.value] += polygon.area_m2
    np.testing.assert_allclose(sums, expected, rtol=1e-9)


@given(
    values=arrays(np.uint8, (12, 9), elements=st.sampled_from([0, 0, 1, NODATA])),
    strip_rows=st.integers(1, 12),
)
@settings(max_examples=25)
def test_heights_are_those_of_the_pixels(
    values: NDArray[np.uint8], strip_rows: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.mktemp("map") / "c.tif", values)
    random = np.random.default_rng(int(values.sum()))
    heights = np.round(random.exponential(5, values.shape), 2).astype(np.float32)
    heights[random.random(values.shape) < 0.2] = np.nan
    with GeoTiff(path, Role.LABELS) as raster:
        strips = map_polygons(raster, strip_rows, lambda row, rows: heights[row : row + rows])
        found = [polygon for strip in strips for polygon in strip]
    for polygon in found:
        inside = geometry_mask([polygon.shape], values.shape, Affine.identity(), invert=True)
        known = heights[inside & np.isfinite(heights)].astype(np.float64)
        assert polygon.heights is not None
        if not len(known):
            assert polygon.heights.mean_m is polygon.heights.percentile_m(95) is None
            continue
        assert polygon.heights.mean_m == pytest.approx(known.mean(), abs=1e-5)
        highest = np.percentile(known, 95, method="inverted_cdf")
        assert polygon.heights.percentile_m(95) == pytest.approx(highest, abs=1e-5)


def test_a_hole_is_not_counted() -> None:
    ring = shapely.box(1, 5, 6, 9) - shapely.box(2, 6, 4, 8)
    grid = Grid(20, 20, AT, UTM)
    assert pixel_sums(np.array([ring], object), 5, 4, grid) == pytest.approx([(20 - 4) * 0.25])


def test_the_geopackage_is_read_by_others_and_small_ones_are_left_out(tmp_path: Path) -> None:
    values = np.zeros((30, 40), np.uint8)
    values[5:15, 5:25] = 1
    values[20, 30] = 3
    path = write(tmp_path / "c.tif", values)
    assert write_map_polygons(path, tmp_path / "c.gpkg", ISPRS) == 3
    assert write_map_polygons(path, tmp_path / "c.gpkg", ISPRS, min_area_m2=1) == 2
    assert pyogrio.list_layers(tmp_path / "c.gpkg").tolist() == [["land_cover", "Unknown"]]
    meta, _, geometry, columns = pyogrio.raw.read(tmp_path / "c.gpkg")
    fields = dict(zip(meta["fields"].tolist(), columns, strict=True))
    assert meta["crs"] == "EPSG:25832"
    building = fields["class"].tolist().index(1)
    assert fields["title"][building] == "Building"
    assert fields["area_m2"][building] == pytest.approx(50)
    shape = shapely.from_wkb(geometry[building])
    assert shape.bounds == (500_002.5, 5_699_992.5, 500_012.5, 5_699_997.5)
    with sqlite3.connect(tmp_path / "c.gpkg") as database:
        extent = database.execute("SELECT min_x, max_y FROM gpkg_contents").fetchone()
    assert extent == (500_000, 5_700_000)


def test_heights_are_columns_of_the_geopackage(tmp_path: Path) -> None:
    values = np.zeros((30, 40), np.uint8)
    values[5:15, 5:25] = 1
    values[20, 30] = 3
    heights = np.where(values == 1, np.float32(6.504), np.float32(0))
    heights[5, 5:25] = 9
    heights[20, 30] = np.nan
    path, out = write(tmp_path / "c.tif", values), tmp_path / "c.gpkg"
    write_map_polygons(path, out, ISPRS, heights=lambda row, rows: heights[row : row + rows])
    with sqlite3.connect(out) as database:
        rows = database.execute("SELECT class, height_mean, height_p95 FROM land_cover").fetchall()
    assert sorted(rows) == [(0, 0, 0), (1, 6.75, 9), (3, None, None)]
