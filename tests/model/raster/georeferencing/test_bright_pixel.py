"""One bright pixel is found again at its place: in colours, heights, mask, map and areas.

The oracle is pyproj in float64 and the six numbers of each transform, nothing of ours. The heights
are a symmetric bump: its centroid survives bilinear and average resampling.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from mfnet.model.classes import ISPRS, NODATA
from mfnet.model.raster.pairs.pair import RasterPair, Rows
from mfnet.model.raster.products.areas.class_areas import ClassAreas
from mfnet.model.raster.products.cog import CogWriter
from mfnet.model.raster.values.reading_options import ReadingOptions
from tests.model.conftest import MakeTiff

SIDE = 64
BRIGHT = (36, 29)
"""Column and row of the orthophoto's bright pixel, over which the bump stands."""
HOLE = (9, 50)
"""Column and row of the pixel that the orthophoto's mask hides."""
PEAK_M = 20.0
TOLERANCE_PX = 0.01
SLOPE = 0.3
"""Of a plane: metres a metre."""

UTM = "EPSG:25832"
GAUSS_KRUEGER_BOUND = (
    "+proj=tmerc +lat_0=0 +lon_0=9 +k=1 +x_0=3500000 +y_0=0 +ellps=bessel "
    "+towgs84=598.1,73.7,418.2,0.202,0.045,-2.455,6.7 +units=m +no_defs"
)
LOCAL = 'LOCAL_CS["site grid",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
GERMANY, FINLAND, POLAND = (8.4, 49.0), (25.5, 61.0), (21.0, 52.2)
BOSTON, OSLO, PARIS = (-71.1, 42.4), (10.7, 59.9), (2.35, 48.85)


@dataclass(frozen=True)
class Raster:
    """A grid around a place.

    Attributes:
        crs: As its author wrote it.
        shape: The transform's linear part by the step along columns: (1, 0, 0, -1) is north-up.
        step: Along a column, in the CRS's unit.
    """

    crs: str
    step: float = 0.5
    shape: tuple[float, float, float, float] = (1, 0, 0, -1)

    def transform(self, place: tuple[float, float], pixel: tuple[float, float]) -> Affine:
        """The transform that puts a place (x, y) at a column and row."""
        a, b, d, e = (self.step * each for each in self.shape)
        linear = Affine(a, b, 0, d, e, 0)
        x, y = linear * pixel
        return Affine.translation(place[0] - x, place[1] - y) * linear


def between(source: str, target: str, point: tuple[float, float]) -> tuple[float, float]:
    """A point (x, y) of one CRS in another, by pyproj."""
    if source == target:
        return point
    way = pyproj.Transformer.from_crs(source, target, always_xy=True)
    x, y = way.transform(*point, errcheck=True)
    return float(x), float(y)


def bump(centre: tuple[float, float], sigma: tuple[float, float], side: int) -> np.ndarray:
    """Heights (side, side) float32, highest at a column and row."""
    axis = np.arange(side) + 0.5
    across = np.exp(-(((axis - centre[0]) / sigma[0]) ** 2) / 2)
    down = np.exp(-(((axis - centre[1]) / sigma[1]) ** 2) / 2)
    return (PEAK_M * np.outer(down, across)).astype("float32")


def plane(transform: Affine, place: tuple[float, float], side: int) -> np.ndarray:
    """Heights (side, side) float32 of a slope through a place (x, y), at the pixels' centres."""
    columns, rows = np.meshgrid(np.arange(side) + 0.5, np.arange(side) + 0.5)
    x, y = transform * (columns, rows)
    return (15 + SLOPE * (0.6 * (x - place[0]) - 0.8 * (y - place[1]))).astype("float32")


def centroid(values: np.ndarray) -> tuple[float, float]:
    """Column and row, weighted by the values (h, w)."""
    weights = np.nan_to_num(values.astype(np.float64))
    columns, rows = weights.sum(axis=0), weights.sum(axis=1)
    axis_across, axis_down = np.arange(len(columns)) + 0.5, np.arange(len(rows)) + 0.5
    return float(axis_across @ columns / columns.sum()), float(axis_down @ rows / rows.sum())


def photo_at(make_tiff: MakeTiff, transform: Affine, crs: str) -> Path:
    values = np.random.default_rng(3).integers(40, 120, (3, SIDE, SIDE)).astype("uint8")
    values[:, BRIGHT[1], BRIGHT[0]] = 255
    mask = np.full((SIDE, SIDE), 255, "uint8")
    mask[HOLE[1], HOLE[0]] = 0
    return make_tiff(
        *("ortho.tif", values, transform),
        crs=CRS.from_user_input(crs),
        mask=mask,
        photometric="rgb",
    )


def heights_at(
    make_tiff: MakeTiff,
    raster: Raster,
    place: tuple[float, float],
    side: int = 96,
    sigma_px: float = 4.5,
) -> Path:
    """Heights whose bump stands at a place (x, y) of their CRS, not in the middle of a pixel."""
    pixel = (side / 2 + 0.3, side / 2 - 0.2)
    return make_tiff(
        *("ndsm.tif", bump(pixel, (sigma_px, sigma_px), side), raster.transform(place, pixel)),
        crs=CRS.from_user_input(raster.crs),
    )


def read_whole(ortho: Path, heights: Path) -> tuple[RasterPair, Rows]:
    with RasterPair.open(ortho, heights) as pair:
        return pair, pair.read(0, SIDE)


def check_pixels(rows: Rows, tolerance_px: float = TOLERANCE_PX) -> None:
    """Colour, mask and heights each lie on their pixel."""
    assert np.argwhere(rows.arrays["ortho"][0] == 255).tolist() == [[BRIGHT[1], BRIGHT[0]]]
    assert np.argwhere(~rows.valid["ortho"]).tolist() == [[HOLE[1], HOLE[0]]]
    found = centroid(rows.arrays["ndsm"][0])
    assert found == pytest.approx((BRIGHT[0] + 0.5, BRIGHT[1] + 0.5), abs=tolerance_px)


def check_map(
    pair: RasterPair, rows: Rows, path: Path, crs: str, place: tuple[float, float]
) -> None:
    """The pixel of another class lies at the place (x, y) in the written map, by rasterio alone."""
    classes = (rows.arrays["ortho"][0] == 255).astype(np.uint8)
    classes[~rows.valid["ortho"]] = NODATA
    with CogWriter(path, pair.grid, description="classes", scheme=ISPRS) as writer:
        writer.write(0, classes)
    with rasterio.open(path) as written:
        values = written.read(1)
        (row, column), (hole_row, hole_column) = (
            np.argwhere(values == wanted)[0] for wanted in (1, NODATA)
        )
        ground = written.transform * (column + 0.5, row + 0.5)
        step = abs(written.transform.determinant) ** 0.5
        named = written.crs.to_wkt()
    assert ((values == 1).sum(), (values == NODATA).sum()) == (1, 1)
    assert (hole_column, hole_row) == HOLE
    assert ground == pytest.approx(place, abs=TOLERANCE_PX * step)
    # The map's CRS says the same place as the one that the orthophoto's author meant.
    if not crs.startswith("LOCAL"):
        whence = pyproj.CRS(crs)
        assert between(crs, whence.geodetic_crs.to_wkt(), place) == pytest.approx(
            between(named, whence.geodetic_crs.to_wkt(), ground), abs=1e-8
        )


def check_area(pair: RasterPair, rows: Rows, crs: str, transform: Affine) -> None:
    """The bright pixel's class has the area of that pixel on the ellipsoid."""
    areas = ClassAreas(pair.grid, ISPRS)
    areas.add(0, (rows.arrays["ortho"][0] == 255).astype(np.uint8))
    plain = pyproj.CRS(crs)
    corners = [
        transform * (BRIGHT[0] + right, BRIGHT[1] + down)
        for right, down in ((0, 0), (1, 0), (1, 1), (0, 1))
    ]
    way = pyproj.Transformer.from_crs(plain, plain.geodetic_crs, always_xy=True)
    degrees = np.degrees(plain.geodetic_crs.axis_info[0].unit_conversion_factor)  # of a grade
    lon, lat = degrees * np.array(way.transform(*zip(*corners, strict=True)))
    expected, _ = plain.get_geod().polygon_area_perimeter(lon, lat)
    found = areas.summary()["classes"][1]
    assert (found["pixels"], found["area_m2"]) == (1, pytest.approx(abs(expected), rel=2e-3))


DESCRIPTIONS = {
    "code": (UTM, GERMANY),
    "WKT1": (pyproj.CRS(UTM).to_wkt("WKT1_GDAL"), GERMANY),
    "WKT2": (pyproj.CRS(UTM).to_wkt("WKT2_2019"), GERMANY),
    "ESRI": (pyproj.CRS(UTM).to_wkt("WKT1_ESRI"), GERMANY),
    "PROJ": ("+proj=utm +zone=32 +ellps=GRS80 +units=m +no_defs", GERMANY),
    "PROJ, feet": ("+proj=utm +zone=32 +ellps=GRS80 +units=us-ft +no_defs", GERMANY),
    "bound": (GAUSS_KRUEGER_BOUND, GERMANY),
    "compound": ("EPSG:25832+7837", GERMANY),
    "compound, feet": ("EPSG:2249+6360", BOSTON),
    "latitude first": ("EPSG:4326", GERMANY),
    "latitude first, ETRS89": ("EPSG:4258", OSLO),
    "three axes": ("EPSG:4979", GERMANY),
    "northing first, 31467": ("EPSG:31467", GERMANY),
    "northing first, 2393": ("EPSG:2393", FINLAND),
    "northing first, 3035": ("EPSG:3035", POLAND),
    "northing first, 2180": ("EPSG:2180", POLAND),
    "zone before the easting": ("EPSG:4647", GERMANY),
    "web Mercator": ("EPSG:3857", GERMANY),
    "US survey feet": ("EPSG:2249", BOSTON),
    "grades": ("EPSG:4807", PARIS),
}


def _place(crs: str, lonlat: tuple[float, float]) -> tuple[float, float]:
    """A longitude and latitude of the CRS's own datum, in the CRS."""
    plain = pyproj.CRS(crs)
    geographic = plain.geodetic_crs.to_2d()
    x, y = pyproj.Transformer.from_crs(geographic, plain, always_xy=True).transform(*lonlat)
    return float(x), float(y)


def _step(crs: str) -> float:
    """About half a metre along a meridian, in the CRS's unit."""
    plain = pyproj.CRS(crs)
    length = 0.5 / 6.4e6 if plain.is_geographic else 0.5
    return float(length / plain.axis_info[0].unit_conversion_factor)


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_heights_of_the_same_crs_however_it_is_described(
    make_tiff: MakeTiff, tmp_path: Path, name: str
) -> None:
    crs, lonlat = DESCRIPTIONS[name]
    place = _place(crs, lonlat)
    raster = Raster(crs, _step(crs))
    transform = raster.transform(place, (BRIGHT[0] + 0.5, BRIGHT[1] + 0.5))
    ortho = photo_at(make_tiff, transform, crs)
    pair, rows = read_whole(ortho, heights_at(make_tiff, Raster(crs, 0.7 * raster.step), place))
    check_pixels(rows)
    check_map(pair, rows, tmp_path / "map.tif", crs, place)
    if name != "web Mercator":
        check_area(pair, rows, crs, transform)


ACROSS = [
    # The same datum, so that there is one way from one to the other.
    (UTM, "EPSG:4258"),
    ("EPSG:4258", UTM),
    (UTM, "EPSG:3035"),
    (UTM, "EPSG:4647"),
    (UTM, "EPSG:25833"),
    ("EPSG:4326", "EPSG:3857"),
    ("EPSG:3857", "EPSG:32632"),
    ("EPSG:32632", "EPSG:4979"),
    ("EPSG:25832+7837", "EPSG:4258"),
    (UTM, pyproj.CRS("EPSG:25833").to_wkt("WKT1_ESRI")),
    ("+proj=utm +zone=32 +ellps=GRS80 +units=us-ft +no_defs", UTM),
    (UTM, GAUSS_KRUEGER_BOUND),
    (GAUSS_KRUEGER_BOUND, "EPSG:4326"),
    ("EPSG:31467", "EPSG:31468"),
]


@pytest.mark.parametrize(("ortho_crs", "height_crs"), ACROSS)
def test_heights_of_another_crs(make_tiff: MakeTiff, ortho_crs: str, height_crs: str) -> None:
    place = between("EPSG:4326", ortho_crs, GERMANY)
    transform = Raster(ortho_crs, _step(ortho_crs)).transform(
        place, (BRIGHT[0] + 0.5, BRIGHT[1] + 0.5)
    )
    ortho = photo_at(make_tiff, transform, ortho_crs)
    seen = between(ortho_crs, height_crs, place)
    # A degree of longitude is two thirds of one of latitude here: pixels as long as wide.
    shape = (1.5, 0, 0, -1) if pyproj.CRS(height_crs).is_geographic else (1, 0, 0, -1)
    raster = Raster(height_crs, 0.7 * _step(height_crs), shape)
    _, rows = read_whole(ortho, heights_at(make_tiff, raster, seen))
    check_pixels(rows)


SHAPES = {
    "north-up": (1, 0, 0, -1),
    "south-up": (1, 0, 0, 1),
    "west to the right": (-1, 0, 0, -1),
    "rotated": (0.8, 0.6, 0.6, -0.8),
    "rotated by 90°": (0, 1, 1, 0),
    "sheared": (1, 0.4, 0, -1),
    "not square": (1, 0, 0, -1.7),
    "rotated, sheared, not square": (0.9, 0.7, 0.3, -1.4),
}


@pytest.mark.parametrize("ortho_shape", SHAPES)
@pytest.mark.parametrize("height_shape", ["north-up", "south-up", "rotated, sheared, not square"])
def test_transforms_of_every_kind(
    make_tiff: MakeTiff, tmp_path: Path, ortho_shape: str, height_shape: str
) -> None:
    place = _place(UTM, GERMANY)
    transform = Raster(UTM, 0.5, SHAPES[ortho_shape]).transform(
        place, (BRIGHT[0] + 0.5, BRIGHT[1] + 0.5)
    )
    ortho = photo_at(make_tiff, transform, UTM)
    heights = heights_at(make_tiff, Raster(UTM, 0.5, SHAPES[height_shape]), place)
    pair, rows = read_whole(ortho, heights)
    check_pixels(rows)
    if height_shape == "north-up":
        check_map(pair, rows, tmp_path / "map.tif", UTM, place)
        check_area(pair, rows, UTM, transform)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    turn=st.floats(-180, 180),
    shear=st.floats(-0.5, 0.5),
    ratio=st.floats(0.6, 1.6),
    finer=st.floats(0.2, 1.4),
    flip=st.booleans(),
)
def test_a_slope_under_transforms_drawn_at_random(
    make_tiff: MakeTiff, turn: float, shear: float, ratio: float, finer: float, flip: bool
) -> None:
    """A plane, which bilinear resampling keeps exactly, has its height at every pixel.

    Up to the middles of the outermost heights: beyond there is nothing to interpolate with.
    """
    linear = Affine.rotation(turn) * Affine(1, shear, 0, 0, -ratio if flip else ratio, 0)
    place = _place(UTM, GERMANY)
    shape = (linear.a, linear.b, linear.d, linear.e)
    transform = Raster(UTM, 0.5, shape).transform(place, (BRIGHT[0] + 0.5, BRIGHT[1] + 0.5))
    side = 80
    around = Raster(UTM, 0.5 / finer).transform(place, (side / 2, side / 2))
    heights = make_tiff("ndsm.tif", plane(around, place, side), around, crs=CRS.from_string(UTM))
    ortho = photo_at(make_tiff, transform, UTM)
    with RasterPair.open(ortho, heights, options=ReadingOptions(height_offset=0.0)) as pair:
        rows = pair.read(0, SIDE)
    error_m = np.abs(rows.arrays["ndsm"][0] - plane(transform, place, SIDE))
    seen = np.stack(~around * (transform * (np.mgrid[:SIDE, :SIDE][::-1] + 0.5)))
    between = ((seen > 0.5) & (seen < side - 0.5)).all(axis=0)
    assert rows.valid["ndsm"].squeeze()[between].all()
    assert between.sum() > SIDE * SIDE / 10
    assert error_m[between].max() < TOLERANCE_PX * 0.5 * SLOPE


@pytest.mark.parametrize("finer", [0.25, 0.5, 1.0, 1.9, 2.1, 5.0])
def test_heights_of_another_resolution(make_tiff: MakeTiff, finer: float) -> None:
    place = _place(UTM, GERMANY)
    ortho = photo_at(
        make_tiff, Raster(UTM).transform(place, (BRIGHT[0] + 0.5, BRIGHT[1] + 0.5)), UTM
    )
    side, sigma_px = max(32, round(96 * finer)), max(1.5, 4.5 * finer)
    heights = heights_at(make_tiff, Raster(UTM, 0.5 / finer), place, side, sigma_px)
    check_pixels(read_whole(ortho, heights)[1])


@pytest.mark.parametrize("shift", list(itertools.product([0.0, 0.5, -0.25], repeat=2)))
def test_a_height_raster_off_by_part_of_a_pixel(
    make_tiff: MakeTiff, shift: tuple[float, float]
) -> None:
    transform = Raster(UTM).transform(_place(UTM, GERMANY), (BRIGHT[0] + 0.5, BRIGHT[1] + 0.5))
    ortho = photo_at(make_tiff, transform, UTM)
    centre = (BRIGHT[0] + 0.5 - shift[0], BRIGHT[1] + 0.5 - shift[1])
    heights = make_tiff(
        "ndsm.tif",
        bump(centre, (3, 3), SIDE),
        transform * Affine.translation(*shift),
        crs=CRS.from_user_input(UTM),
    )
    check_pixels(read_whole(ortho, heights)[1])


@pytest.mark.parametrize("points", ["both", "ortho", "heights"])
def test_pixels_that_are_points_lie_around_the_tie_point(
    make_tiff: MakeTiff, tmp_path: Path, points: str
) -> None:
    """Of the file's own numbers: a tie point of a PixelIsPoint raster is its pixel's centre."""
    place = _place(UTM, GERMANY)
    centre = (BRIGHT[0] + 0.5, BRIGHT[1] + 0.5)
    half = Affine.translation(0.5, 0.5)
    transform = Raster(UTM).transform(place, centre)
    # Without this option GDAL would move the tie point, and our own reading back move it again.
    with rasterio.Env(GTIFF_POINT_GEO_IGNORE=True):
        stored = transform * half if points != "heights" else transform
        ortho = photo_at(make_tiff, stored, UTM)
        raster = Raster(UTM, 0.7)
        pixel = (48.3, 47.8)
        around = raster.transform(place, pixel)
        heights = make_tiff(
            "ndsm.tif",
            bump(pixel, (4, 4), 96),
            around * half if points != "ortho" else around,
            crs=CRS.from_user_input(UTM),
        )
        for path, which in ((ortho, "ortho"), (heights, "heights")):
            if points in ("both", which):
                with rasterio.open(path, "r+") as raised:
                    raised.update_tags(AREA_OR_POINT="Point")
    pair, rows = read_whole(ortho, heights)
    assert pair.grid.transform.almost_equals(transform, 1e-6)
    check_pixels(rows)
    check_map(pair, rows, tmp_path / "map.tif", UTM, place)


def test_a_local_crs_and_none_at_all(make_tiff: MakeTiff, tmp_path: Path) -> None:
    place = (1_000.0, 2_000.0)
    transform = Raster(LOCAL).transform(place, (BRIGHT[0] + 0.5, BRIGHT[1] + 0.5))
    ortho = photo_at(make_tiff, transform, LOCAL)
    pair, rows = read_whole(ortho, heights_at(make_tiff, Raster(LOCAL, 0.7), place))
    check_pixels(rows)
    check_map(pair, rows, tmp_path / "map.tif", LOCAL, place)


@pytest.mark.parametrize(
    ("ortho_crs", "height_crs"),
    [
        (UTM, "EPSG:25832+7837"),
        ("EPSG:25832+7837", UTM),
        ("EPSG:25832+7837", "EPSG:25832+5773"),
        ("EPSG:4979", "EPSG:4326"),
        ("EPSG:4979", "EPSG:4326+5773"),
        ("EPSG:25832+7837", "EPSG:4258"),
    ],
)
def test_a_vertical_crs_moves_no_height(
    make_tiff: MakeTiff, ortho_crs: str, height_crs: str
) -> None:
    """Neither to another place nor to another level: the bump's peak stays as high as it is."""
    place = between("EPSG:4258", ortho_crs, GERMANY)
    transform = Raster(ortho_crs, _step(ortho_crs)).transform(
        place, (BRIGHT[0] + 0.5, BRIGHT[1] + 0.5)
    )
    ortho = photo_at(make_tiff, transform, ortho_crs)
    seen = between(ortho_crs, height_crs, place)
    shape = (1.5, 0, 0, -1) if pyproj.CRS(height_crs).is_geographic else (1, 0, 0, -1)
    raster = Raster(height_crs, 0.7 * _step(height_crs), shape)
    _, rows = read_whole(ortho, heights_at(make_tiff, raster, seen))
    check_pixels(rows)
    assert rows.arrays["ndsm"].max() == pytest.approx(PEAK_M, rel=0.03)
