"""What moving coordinates between two datums costs, and that it is told."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyproj
import pytest
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from mfnet.model.errors import NoOverlap
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.georeferencing.datum_shifts import datum_remarks, operation
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.pairs.alignment.align import AlignedHeight
from mfnet.model.raster.pairs.pair import RasterPair
from tests.model.conftest import MakeTiff, at

LONDON = (530_000, 180_000)


def grid(crs: str | int, x: float, y: float, gsd: float = 0.5) -> Grid:
    known = CRS.from_epsg(crs) if isinstance(crs, int) else CRS.from_string(crs)
    return Grid(2, 2, Affine(gsd, 0, x - gsd, 0, -gsd, y + gsd), known)


@pytest.mark.parametrize(
    ("ortho", "height", "accuracy", "missing"),
    [
        (grid(27700, *LONDON), 25830, "3 m", "uk_os_OSTN15_NTv2_OSGBtoETRS.tif, for 0.03 m"),
        (grid(25830, 699_292, 5_709_783), 27700, "3 m", "uk_os_OSTN15"),
        (grid(4258, -0.128, 51.5, 5e-6), 27700, "3 m", "uk_os_OSTN15"),
        (grid(26714, 500_000, 4_430_000), 26914, "m", "us_noaa_"),
        (grid(31467, 3_500_000, 5_500_000), 25832, "1 m", "de_"),
        (grid(21781, 600_000, 200_000), 2056, "1.6 m", "ch_swisstopo_CHENyx06a.tif"),
        # In GDAL's database, not in pyproj's, the target has a datum of its own.
        (grid(2393, 3_400_000, 6_700_000, 0.2), 3067, "0.5 m", "fi_nls_ykj_etrs35fin.json"),
        # The vertical part changes nothing.
        (grid("EPSG:7405", *LONDON), 25830, "3 m", "uk_os_OSTN15"),
    ],
)
def test_the_accuracy_and_the_missing_grid_are_told(
    ortho: Grid, height: int, accuracy: str, missing: str
) -> None:
    (remark,) = datum_remarks(ortho, grid(height, 0, 0), "dsm.tif")
    assert remark.code == "crs.accuracy"
    assert re.search(rf"^dsm\.tif: .*accuracy is [\d.]* ?{accuracy}: ", remark.message)
    assert re.search(rf"grid {missing}.*projsync --file \S+ fetches", remark.message)


def test_no_grid_would_help_and_an_unknown_datum_is_taken_for_another() -> None:
    (remark,) = datum_remarks(grid(4230, 9, 50, 5e-6), grid(4326, 0, 0), "dsm.tif")
    assert "accuracy is 2 m" in remark.message
    assert "projsync" not in remark.message
    unknown = grid("+proj=utm +zone=32 +ellps=bessel", 5e5, 5.5e6)
    (remark,) = datum_remarks(unknown, grid(25832, 0, 0), "dsm.tif")
    assert "Ballpark" in remark.message
    assert "hundreds of metres" in remark.message


@pytest.mark.parametrize(
    ("ortho", "height"),
    [
        (grid(25832, 5e5, 5.5e6), 4258),
        (grid(25832, 5e5, 5.5e6), 25833),
        (grid(26986, 200_000, 900_000), 2249),
        (grid(31255, 0, 5_300_000), 31256),
        # Taken for the same, as everybody does.
        (grid(32632, 5e5, 5.5e6), 25832),
        (grid(25832, 5e5, 5.5e6), 4326),
        (grid(3857, 1e6, 6.4e6), 25832),
        # A quarter of a pixel and less.
        (grid(28992, 200_000, 500_000, 1.0), 25832),
        (grid(4283, 135, -25, 5e-6), 7844),
        (grid(25832, 5e5, 5.5e6), "IAU_2015:30110"),
        (Grid(2, 2, at(1), None), 25832),
    ],
)
def test_the_same_datum_and_exact_operations_are_not_told(ortho: Grid, height: int | str) -> None:
    assert datum_remarks(ortho, grid(height, 0, 0), "dsm.tif") == []


def bump(side: int, row: float, column: float) -> np.ndarray:
    """A hill of 10 m on the ground, float32."""
    rows, columns = np.mgrid[:side, :side] + 0.5
    return (10 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 18)).astype("float32")


def centroid(values: np.ndarray) -> np.ndarray:
    """Column and row of the middle of what stands out."""
    rows, columns = np.mgrid[: values.shape[0], : values.shape[1]] + 0.5
    return np.array([(columns * values).sum(), (rows * values).sum()]) / values.sum()


@pytest.mark.parametrize(
    ("ortho_crs", "x", "y", "height_crs"),
    [
        (25830, 699_292.682, 5_709_783.210, "EPSG:27700"),
        # Between these two vertical datums PROJ would take another operation: 1.4 m off.
        (25830, 699_292.682, 5_709_783.210, "EPSG:7405"),
        ("EPSG:25830+5621", 699_292.682, 5_709_783.210, "EPSG:7405"),
        # Several operations fit, of which GDAL would choose by the block.
        (32632, 500_000, 5_540_000, "EPSG:4230"),
        ("EPSG:4326", 9, 50, "EPSG:4230"),
    ],
)
def test_what_is_warped_is_moved_by_the_operation_that_is_told(
    ortho_crs: str | int, x: float, y: float, height_crs: str, make_tiff: MakeTiff
) -> None:
    side = 101
    there = CRS.from_string(height_crs)
    gsd = 5e-6 if str(ortho_crs) == "EPSG:4326" else 0.5
    target = Grid(side, side, *_around(grid(ortho_crs, 0, 0).crs, x, y, side, gsd))
    flat = [
        CRS.from_wkt(pyproj.CRS.from_wkt(c.to_wkt()).to_2d().to_wkt()) for c in (target.crs, there)
    ]
    moved = pyproj.Transformer.from_crs(
        *(pyproj.CRS.from_wkt(crs.to_wkt()) for crs in flat), always_xy=True
    ).transform(x, y)
    height_gsd = 5e-6 if there.is_geographic else 0.5
    transform, _ = _around(there, *moved, 161, height_gsd)
    path = make_tiff("dsm.tif", bump(161, 80.5, 80.5), transform=transform, crs=there)
    aligned = AlignedHeight(GeoTiff(path, Role.HEIGHT), target)
    values = aligned.read(Window(0, 0, side, side))
    aligned.close()
    assert centroid(np.nan_to_num(values)) == pytest.approx([side / 2, side / 2], abs=0.05)
    assert operation(*flat, np.array([x, y])) is not None


def _around(crs: CRS, x: float, y: float, side: int, gsd: float) -> tuple[Affine, CRS]:
    return Affine(gsd, 0, x - gsd * side / 2, 0, -gsd, y + gsd * side / 2), crs


def test_a_pair_tells_it_and_a_terrain_model_that_covers_a_part(
    photo: Callable[..., Path], make_tiff: MakeTiff
) -> None:
    ortho = photo(side=48)
    flat = np.zeros((48, 48), "float32")
    dsm = make_tiff("dsm.tif", flat + 100)
    dtm = make_tiff("dtm.tif", flat + 100, transform=at(0.5, east=18))
    with RasterPair.open(ortho, dsm, dtm=dtm) as pair:
        told = {remark.code: remark.message for remark in pair.report.remarks}
    assert "dtm.tif covers 25 % of the orthophoto" in told["dtm.partial"]
    assert "height.partial" not in told
    far = make_tiff("dtm.tif", flat + 100, transform=at(0.5, east=23))
    with pytest.raises(NoOverlap, match=r"dtm\.tif covers 4\.\d % of the orthophoto; expected at"):
        RasterPair.open(ortho, dsm, dtm=far)
