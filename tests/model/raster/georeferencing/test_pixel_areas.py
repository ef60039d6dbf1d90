"""Areas of pixels against polygons on the ellipsoid, measured by pyproj."""

import math

import numpy as np
import pyproj
import pytest
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from mfnet.model.classes import ISPRS
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.areas.class_areas import ClassAreas

LOCAL = 'LOCAL_CS["site",UNIT["US survey foot",0.3048006096]]'
GEOSTATIONARY = "+proj=geos +h=35785831 +lon_0=0 +datum=WGS84"


def on_ellipsoid(grid: Grid, rows: tuple[int, int], columns: tuple[int, int]) -> float:
    """Square metres of a block of pixels: one polygon with many points a side."""
    (top, bottom), (left, right) = rows, columns
    side = np.linspace(0, 1, 400)[:-1]
    column = np.concatenate(
        [
            left + side * (right - left),
            right + 0 * side,
            right - side * (right - left),
            left + 0 * side,
        ]
    )
    row = np.concatenate(
        [
            top + 0 * side,
            top + side * (bottom - top),
            bottom + 0 * side,
            bottom - side * (bottom - top),
        ]
    )
    x, y = grid.to_ground(np.stack([column, row]))
    crs = pyproj.CRS.from_wkt(grid.crs.to_wkt())
    crs = crs.sub_crs_list[0] if crs.is_compound else crs
    crs = crs.source_crs if crs.is_bound else crs
    lon, lat = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(x, y)
    degrees = math.degrees(crs.geodetic_crs.axis_info[0].unit_conversion_factor)
    lon, lat = np.array(lon) * degrees, np.array(lat) * degrees
    return abs(crs.get_geod().polygon_area_perimeter(lon, lat)[0])


def summary(grid: Grid, classes: np.ndarray) -> dict:
    areas = ClassAreas(grid, ISPRS)
    areas.add(0, classes)
    return areas.summary()


def north_up(crs: object, x: float, y: float, gsd: float, size: int = 40) -> Grid:
    transform = Affine(gsd, 0, x, 0, -gsd, y)
    return Grid(size, size, transform, CRS.from_user_input(crs))


GRIDS = {
    "web mercator at 60 degrees north": north_up("EPSG:3857", 1.2e6, 8_399_737, 0.2),
    "web mercator, 400 km": north_up("EPSG:3857", 1.2e6, 8.8e6, 1e4),
    "UTM at the zone's edge": north_up("EPSG:25832", 830_000, 5.7e6, 5.0),
    "UTM, 400 km": north_up("EPSG:32632", 300_000, 5.9e6, 1e4),
    "Lambert conic of France": north_up("EPSG:2154", 1_200_000, 6_140_000, 5.0),
    "state plane, feet": north_up("EPSG:2263", 1_400_000, 300_000, 500.0),
    "equal area": north_up("EPSG:3035", 4.3e6, 3.2e6, 0.5),
    "degrees": north_up("EPSG:4326", 8, 60, 0.05),
    "grads": north_up("EPSG:4807", 5, 54, 0.01),
    "compound": north_up("EPSG:3857+5773", 1.2e6, 6e6, 1.0),
    "rotated": Grid(
        40,
        40,
        Affine.translation(1.2e6, 8.4e6) @ Affine.rotation(33) @ Affine.scale(3e3, -2e3),
        CRS.from_epsg(3857),
    ),
    "south-up": Grid(40, 40, Affine(1e3, 0, 1.2e6, 0, 1e3, 8.4e6), CRS.from_epsg(3857)),
    "degrees, to the north pole": north_up("EPSG:4326", 8, 90, 0.05),
    "degrees, to the south pole": north_up("EPSG:4326", 8, -88, 0.05),
    "degrees, across 180": north_up("EPSG:4326", 179, 10, 0.05),
    "across 180 degrees": north_up("EPSG:3832", 3.3e6, 1e6, 5e3),
}


@pytest.mark.parametrize("name", GRIDS)
def test_areas_are_those_of_the_ellipsoid_to_a_thousandth(name: str) -> None:
    grid = GRIDS[name]
    classes = np.zeros((40, 40), np.uint8)
    classes[:, 30:] = 1
    classes[:10] = 3
    found = summary(grid, classes)
    expected = {
        0: on_ellipsoid(grid, (10, 40), (0, 30)),
        1: on_ellipsoid(grid, (10, 40), (30, 40)),
        3: on_ellipsoid(grid, (0, 10), (0, 40)),
    }
    rel = 1e-5 if found["area"] == "geodesic" else 1e-3
    for value, area in expected.items():
        assert found["classes"][value]["area_m2"] == pytest.approx(area, rel=rel)
    true = sum(expected.values())
    assert found["total"]["area_m2"] == pytest.approx(true, rel=rel)
    assert grid.gsd_m == pytest.approx(math.sqrt(true / 1600), rel=0.05)


def test_what_distorts_little_stays_as_the_projection_has_it() -> None:
    middle = north_up("EPSG:25832", 500_000, 5.7e6, 0.2)
    assert summary(middle, np.zeros((40, 40), np.uint8))["total"]["area_m2"] == pytest.approx(64)
    assert (middle.areas.kind, GRIDS["equal area"].areas.kind) == ("planar", "planar")
    assert middle.areas.distortion == pytest.approx(0.9996**2, abs=1e-5)


def test_the_statistics_say_which_areas_they_have() -> None:
    found = summary(north_up("EPSG:3857", 1.2e6, 5.3e6, 0.2), np.zeros((40, 40), np.uint8))
    assert found["area"] == "geodesic"
    assert found["distortion"] == pytest.approx(1.87, abs=0.02)


def test_the_distortion_is_that_of_the_centre() -> None:
    grid = north_up("EPSG:3857", 1.2e6, 8_399_737, 0.5e3)  # 20 km, over which it grows by 0.5 %
    middle = on_ellipsoid(grid, (19, 21), (19, 21))
    assert grid.areas.distortion == pytest.approx(4 * 0.5e3**2 / middle, rel=1e-5)


def test_a_local_crs_has_the_areas_of_its_plane() -> None:
    grid = Grid(2, 2, Affine(10, 0, 0, 0, -10, 0), CRS.from_wkt(LOCAL))
    assert (grid.areas.kind, grid.areas.distortion) == ("planar", None)
    assert grid.pixel_area_m2(0) == pytest.approx(100 * 0.3048006096**2)


@pytest.mark.parametrize(
    "grid",
    [
        Grid(4, 4, Affine(1, 0, 0, 0, -1, 0), None),
        Grid(4, 4, Affine(40, 0, -100, 0, -40, 100), CRS.from_epsg(4326)),
        Grid(4, 4, Affine(1e200, 0, 0, 0, -1e200, 0), CRS.from_epsg(4326)),
        north_up("EPSG:4326", 8, 90.1, 0.05, size=4),  # its upper rows lie beyond the pole
        north_up(GEOSTATIONARY, -5.5e6, 5.5e6, 2.75e6, size=4),  # its corners lie beside the earth
        Grid(4, 4, Affine(1, 0, 0, 0, -1, 0), CRS.from_wkt('LOCAL_CS["site",UNIT["x",1e200]]')),
    ],
)
def test_unknown_areas_are_unknown(grid: Grid) -> None:
    found = summary(grid, np.zeros((4, 4), np.uint8))
    assert (found["area"], found["total"]["area_m2"]) == (None, None)
    assert grid.gsd_m is None


@settings(max_examples=40)
@given(
    lat=st.floats(-79, 79),
    lon=st.floats(-179, 178),
    gsd=st.sampled_from([0.02, 0.5, 30.0, 2000.0]),
    epsg=st.sampled_from([3857, 3395, 4326]),
)
@example(lat=1.0, lon=0.0, gsd=0.02, epsg=3395)  # distorts by 0.03 %: planar
def test_anywhere_on_earth(lat: float, lon: float, gsd: float, epsg: int) -> None:
    x, y = pyproj.Transformer.from_crs(4326, epsg, always_xy=True).transform(lon, lat)
    gsd = gsd / 111_320 if epsg == 4326 else gsd
    grid = north_up(f"EPSG:{epsg}", x, y, gsd, size=8)
    # A polygon of some metres has not the digits: one of the neighbourhood is as distorted.
    around = north_up(f"EPSG:{epsg}", x, y, max(gsd, 20 / 111_320 if epsg == 4326 else 20), size=8)
    expected = on_ellipsoid(around, (0, 8), (0, 8)) * abs(
        grid.transform.determinant / around.transform.determinant
    )
    found = summary(grid, np.zeros((8, 8), np.uint8))
    rel = 2e-4 if found["area"] == "geodesic" else 1e-3
    assert found["total"]["area_m2"] == pytest.approx(expected, rel=rel)
