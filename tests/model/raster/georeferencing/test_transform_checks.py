"""Which transforms can place pixels on the ground."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import example, given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.rpc import RPC

from mfnet.model.errors import NotGeoreferenced
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.georeferencing.transform_checks import senseless
from tests.model.conftest import MakeTiff

UTM, LONLAT = CRS.from_epsg(25832), CRS.from_epsg(4326)
MOON = CRS.from_wkt(
    'PROJCS["Moon",GEOGCS["Moon 2000",DATUM["Moon",SPHEROID["Moon",1737400,0]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Equirectangular"],'
    'PARAMETER["standard_parallel_1",0],PARAMETER["central_meridian",0],UNIT["metre",1]]'
)


@pytest.mark.parametrize(
    ("transform", "crs", "found"),
    [
        (Affine(1e300, 0, 0, 0, -1e300, 0), UTM, "wider than any"),
        (Affine(1, 0, 1e308, 0, -1, 1e308), UTM, "wider than any"),
        (Affine(1e308, 1e308, 1e308, -1e308, 1e308, 1e308), None, "wider than any"),
        (Affine(1e9, 0, 0, 0, -1e9, 0), UTM, "wider than any"),
        (Affine(1e7, 0, 0, 0, -1e7, 0), UTM, "expected sides between"),
        (Affine(1e8, 0, 0, 0, -1e8, 0), None, "sides up to"),
        (Affine(0.5, 0, 5e5, 0, -5e4, 5e6), UTM, "times the shorter"),
        (Affine(1, 0, 1e8, 0, -1, 1e8), UTM, "lie nowhere in its coordinate reference system;"),
        (Affine(1, 0, 32_500_000, 0, -1, 5.7e6), UTM, "UTM 32N is EPSG:4647"),
        (Affine(math.inf, 0, 0, 0, -1, 0), UTM, "not finite"),
        (Affine(math.nan, 0, 0, 0, -1, 0), None, "not finite"),
        (Affine(0, 0, 5e5, 0, 0, 5e6), UTM, "the same way"),
        (Affine(1, 1, 5e5, 1, 1.0000001, 5e6), UTM, "the same way"),
        (Affine(1e-300, 0, 0, 0, -1e-300, 0), UTM, "degrees, perhaps"),
        (Affine(1e-9, 0, 5e5, 0, -1e-9, 5e6), None, "doubles are"),
        # Degrees that are said to be metres, and metres that are said to be degrees.
        (Affine(5e-6, 0, 8.5, 0, -5e-6, 50.1), UTM, "degrees, perhaps"),
        (Affine(1, 0, 5e5, 0, -1, 5.7e6), LONLAT, "longitudes and latitudes"),
        (Affine(0.1, 0, 0, 0, -0.1, 95), LONLAT, "longitudes and latitudes"),
    ],
)
def test_a_transform_that_cannot_place_pixels_is_named(
    transform: Affine, crs: CRS | None, found: str
) -> None:
    assert found in (senseless(transform, 40, 60, crs) or "")


@pytest.mark.parametrize(
    ("transform", "crs"),
    [
        (Affine(1e-3, 0, 32_500_000, 0, -1e-3, 5.7e6), CRS.from_epsg(4647)),
        (Affine(1, 0, -5e6, 0, -1, 5e6), MOON),
        (Affine(5e-7, 0, 8.5, 0, -5e-7, 50.1), LONLAT),
        (Affine(0.25, 0, 355, 0, -0.25, 90.125), LONLAT),
        (Affine(3, 0, -180, 0, -3, 90), LONLAT),
        # Grades from Paris.
        (Affine(0.01, 0, 0, 0, -0.01, 99), CRS.from_epsg(4807)),
        (Affine(0.3, 0, 20_000_000, 0, -0.3, 33_000_000), CRS.from_epsg(2263)),
        (Affine(0.2, 0.01, 3.5e6, 0.01, 0.2, 5.4e6), CRS.from_epsg(31467)),
        (Affine(0.1, 3, 3.5e6, 0.1, -2, 5.4e6), CRS.from_epsg(2393)),
        (Affine(1, 0, 0, 0, -1, 40), None),
        # Beyond the antimeridian; radar's slant ranges.
        (Affine(1, 0, 2.1e7, 0, -1, -2e6), CRS.from_epsg(3857)),
        (Affine(0.5, 0, 5e5, 0, -20, 5e6), UTM),
        (Affine(1, 0, 5.7e9, 0, -1, 5.7e9), None),
    ],
)
def test_odd_ones_that_people_have_are_left_alone(transform: Affine, crs: CRS | None) -> None:
    assert senseless(transform, 40, 60, crs) is None


@example((0.0, 1e-188, 0.0, 1e-188, 0.0, 0.0), None)  # of which nobody can go back
@given(st.tuples(*[st.floats()] * 6), st.sampled_from([None, UTM, LONLAT, MOON]))
def test_what_is_left_places_every_corner_and_comes_back(
    numbers: tuple[float, ...], crs: CRS | None
) -> None:
    transform = Affine(*numbers)
    if senseless(transform, 7, 9, crs) is None:
        for pixel in ((0, 0), (9, 0), (0, 7), (9, 7), (4.5, 3.5)):
            ground = transform * pixel
            assert np.isfinite(ground).all()
            assert np.abs(np.subtract(~transform * ground, pixel)).max() < 0.1


def test_a_file_is_refused_with_its_name_and_what_mends_it(make_tiff: MakeTiff) -> None:
    values = np.ones((3, 8, 8), "uint8")
    for transform in (Affine(1e300, 0, 0, 0, -1e300, 0), Affine(1, 0, 1e308, 0, -1, 1e308)):
        path = make_tiff("wild.tif", values, transform=transform)
        with pytest.raises(NotGeoreferenced, match=r"wild\.tif: .*gdal_edit\.py -a_ullr"):
            GeoTiff(path, Role.ORTHO)


def test_rational_polynomials_alone_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rpc.tif"
    coefficients = [1.0, *[0.0] * 19]
    offsets = {f"{axis}_off": 4.0 for axis in ("height", "lat", "long", "line", "samp")}
    scales = {f"{axis}_scale": 1.0 for axis in ("height", "lat", "long", "line", "samp")}
    curves = {
        f"{axis}_{part}_coeff": coefficients for axis in ("line", "samp") for part in ("num", "den")
    }
    rpc = RPC(**offsets, **scales, **curves)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", "GTiff", 8, 8, 3, dtype="uint8") as raster:
            raster.write(np.ones((3, 8, 8), "uint8"))
            raster.rpcs = rpc
    with pytest.raises(NotGeoreferenced, match="an RPC model alone"):
        GeoTiff(path, Role.ORTHO)
