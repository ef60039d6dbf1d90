"""A correction of a map becomes labels; what is wrong with one is said in its words."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.warp import transform_geom
from standins.folder import write_geopackage

from mfnet.model.classes import ISPRS, NODATA
from mfnet.model.errors import (
    BadGeoPackage,
    BadLabels,
    BadPolygons,
    DataMissing,
    EmptyCorrection,
    InputError,
    OtherGrid,
    TooSmall,
    WrongBands,
    WrongClasses,
)
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.areas.class_areas import ClassAreas
from mfnet.model.raster.products.cog import CogWriter
from mfnet.training.corrections.make_labels import correct

HEIGHT, WIDTH, GSD_M = 70, 90, 0.5
TRANSFORM = Affine(GSD_M, 0, 512_000, 0, -GSD_M, 5_403_000)
CRS = rasterio.CRS.from_epsg(25832)


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map with its statistics, as the engine writes them; its first rows have no data."""
    classes = np.random.default_rng(3).integers(0, 6, (HEIGHT, WIDTH)).astype(np.uint8)
    classes[:4] = NODATA
    return write_map(tmp_path_factory.mktemp("map") / "classes.tif", classes)


def write_map(path: Path, classes: NDArray[np.uint8], window_px: int = 64) -> Path:
    grid = Grid(*classes.shape, TRANSFORM, CRS)
    tags = {"MFNET_WINDOW": str(window_px)}
    with CogWriter(path, grid, description="land cover", scheme=ISPRS, tags=tags) as raster:
        raster.write(0, classes)
    areas = ClassAreas(grid, ISPRS)
    areas.add(0, classes)
    (path.parent / "statistics.json").write_text(json.dumps(areas.summary()))
    return path


def read(path: Path) -> NDArray[np.uint8]:
    with rasterio.open(path) as raster:
        return raster.read(1)


def write(path: Path, values: NDArray[np.generic], **changed: object) -> Path:
    """Another program's GeoTIFF on the map's grid."""
    bands = np.atleast_3d(values.T).T
    form = {"transform": TRANSFORM, "crs": CRS, "dtype": bands.dtype, "count": len(bands)}
    form |= {"height": bands.shape[1], "width": bands.shape[2], "driver": "GTiff"}
    with rasterio.open(path, "w", **(form | changed)) as raster:
        raster.write(bands)
    return path


def made(mapped: Path, correction: Path, **options: object):
    out = correction.with_name("labels.tif")
    report = correct(mapped, mapped.parent / "statistics.json", correction, out, **options)
    with rasterio.open(out) as raster, rasterio.open(mapped) as the_map:
        assert (raster.transform, raster.crs, raster.shape) == (TRANSFORM, CRS, the_map.shape)
        assert (raster.nodata, raster.dtypes) == (NODATA, ("uint8",))
    return report, read(out)


# ---- the whole map, corrected ---------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_a_corrected_raster_is_the_labels(mapped: Path, tmp_path: Path, dtype: str) -> None:
    corrected = read(mapped)
    corrected[10:20, 10:30] = 4
    corrected[60:] = NODATA
    report, labels = made(mapped, write(tmp_path / "c.tif", corrected.astype(dtype)))
    assert np.array_equal(labels, corrected)
    assert (report.kind, report.remarks) == ("raster", [])
    was = read(mapped)
    both = (was != NODATA) & (corrected != NODATA)
    assert (report.pixels, report.labelled) == ((was != NODATA).sum(), both.sum())
    assert report.changed == (both & (was != corrected)).sum() > 100


def test_a_palette_is_no_more_than_how_classes_look(mapped: Path, tmp_path: Path) -> None:
    path, corrected = tmp_path / "c.tif", read(mapped)
    corrected[10:20] = 2
    write(path, corrected, photometric="palette")
    with rasterio.open(path, "r+") as raster:
        raster.write_colormap(1, {value: (value, 0, 0, 255) for value in range(6)})
    assert np.array_equal(made(mapped, path)[1], corrected)


@given(seed=st.integers(0, 2**31))
def test_the_changes_are_those_that_are_counted_one_by_one(mapped: Path, seed: int) -> None:
    was, rng = read(mapped), np.random.default_rng(seed)
    told = np.where(rng.random(was.shape) < 0.3, rng.integers(0, 6, was.shape), was)
    told[rng.random(was.shape) < 0.1] = NODATA
    path = write(mapped.with_name("c.tif"), told.astype(np.uint8))
    report, _ = made(mapped, path)
    both = (was != NODATA) & (told != NODATA)
    for value, change in enumerate(report.classes):
        of_map, of_user = both & (was == value), both & (told == value)
        kept = of_map & of_user
        assert (change.mapped, change.labelled, change.kept) == (
            of_map.sum(),
            of_user.sum(),
            kept.sum(),
        )
        assert change.changed_share == pytest.approx(1 - kept.sum() / of_map.sum())


def test_a_declared_nodata_value_says_nothing(mapped: Path, tmp_path: Path) -> None:
    corrected = read(mapped).astype(np.int16)
    corrected[10:20] = -9999
    corrected[20:22] = 1
    _, labels = made(mapped, write(tmp_path / "c.tif", corrected, nodata=-9999))
    assert (labels[10:20] == NODATA).all()
    assert (labels[20:22] == 1).all()


def test_a_class_that_is_declared_as_nodata_stays_one_and_is_told(
    mapped: Path, tmp_path: Path
) -> None:
    corrected = read(mapped)
    corrected[10:20] = 0
    report, labels = made(mapped, write(tmp_path / "c.tif", corrected, nodata=0))
    assert np.array_equal(labels, corrected)
    assert report.remarks == [
        f"c.tif: {(corrected == 0).sum():,} pixels have the value 0, which the file declares as "
        "nodata and the legend names 'impervious_surface': they are that class; 255 in place of it "
        "if they are unlabelled"
    ]
    corrected[corrected == 0] = NODATA  # as the remark says
    corrected[30:33] = 2
    report, labels = made(mapped, write(tmp_path / "c.tif", corrected, nodata=0))
    assert np.array_equal(labels, corrected)
    assert report.remarks == []


# ---- polygons --------------------------------------------------------------------------------


def square(top: int, left: int, bottom: int, right: int) -> shapely.Polygon:
    """Of pixels."""
    (x0, y0), (x1, y1) = TRANSFORM * (left, top), TRANSFORM * (right, bottom)
    return shapely.box(x0, y1, x1, y0)


def test_polygons_say_something_where_they_lie(mapped: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.gpkg"
    write_geopackage(path, [square(10, 10, 20, 30), square(15, 20, 40, 50)], ["building", "3"])
    report, labels = made(mapped, path)
    expected = np.full((HEIGHT, WIDTH), NODATA)
    expected[10:20, 10:30] = 1
    expected[15:40, 20:50] = 3
    assert np.array_equal(labels, expected)
    assert (report.kind, report.labelled) == ("polygons", (expected != NODATA).sum())


def test_the_map_stays_where_no_polygon_lies_if_asked_for(mapped: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.gpkg"
    write_geopackage(path, [square(10, 10, 20, 30)], [1])
    _, labels = made(mapped, path, keep_map=True)
    expected = read(mapped)
    expected[10:20, 10:30] = 1
    assert np.array_equal(labels, expected)


def test_what_nobody_has_looked_at_in_a_raster_stays_so(mapped: Path, tmp_path: Path) -> None:
    corrected = read(mapped)
    corrected[10:20], corrected[60:] = 4, NODATA
    _, labels = made(mapped, write(tmp_path / "c.tif", corrected), keep_map=True)
    assert np.array_equal(labels, corrected)


def test_polygons_that_agree_with_the_map_are_labels_too(mapped: Path, tmp_path: Path) -> None:
    was = read(mapped)
    path = tmp_path / "c.gpkg"
    write_geopackage(path, [square(30, 30, 31, 31)], [int(was[30, 30])])
    report, _ = made(mapped, path)
    assert (report.labelled, report.changed) == (1, 0)


def test_polygons_of_another_crs_come_to_the_same_place(mapped: Path, tmp_path: Path) -> None:
    there = shapely.geometry.shape(
        transform_geom(CRS, "EPSG:4326", shapely.geometry.mapping(square(10, 10, 40, 50)))
    )
    beside = shapely.box(0, 0, 1, 1)
    path = tmp_path / "c.gpkg"
    write_geopackage(path, [there, beside], ["tree", "tree"], srs=4326)
    report, labels = made(mapped, path)
    assert (labels[11:39, 11:49] == 3).all()
    assert (labels == 3).sum() == pytest.approx(30 * 40, rel=0.02)
    assert report.remarks == ["1 of 2 polygons lie beside the map and are left out"]


# ---- bad input -------------------------------------------------------------------------------


def shifted(mapped: Path, path: Path) -> None:
    write(path, read(mapped), transform=TRANSFORM * Affine.translation(3, -2))


def cut(mapped: Path, path: Path) -> None:
    write(path, read(mapped)[:50])


def coarser(mapped: Path, path: Path) -> None:
    write(path, read(mapped)[::2, ::2], transform=TRANSFORM * Affine.scale(2))


def moved_away(mapped: Path, path: Path) -> None:
    write(path, read(mapped), transform=TRANSFORM * Affine.translation(500, 0))


def other_crs(mapped: Path, path: Path) -> None:
    write(path, read(mapped), crs="EPSG:25833")


def unknown_values(mapped: Path, path: Path) -> None:
    values = read(mapped).astype(np.float32)
    values[5, :7], values[6, :3] = 6, 2.5
    write(path, values)


def unchanged(mapped: Path, path: Path) -> None:
    write(path, read(mapped))


def all_nodata(mapped: Path, path: Path) -> None:
    write(path, np.full((HEIGHT, WIDTH), NODATA, np.uint8))


def picture(mapped: Path, path: Path) -> None:
    write(path, np.stack([read(mapped)] * 3))


def another_attribute(mapped: Path, path: Path) -> None:
    write_geopackage(path, [square(1, 1, 9, 9)], ["tree"])


def unknown_class(mapped: Path, path: Path) -> None:
    write_geopackage(path, [square(1, 1, 9, 9)] * 2, ["Bilding", None])


def far_away(mapped: Path, path: Path) -> None:
    write_geopackage(path, [shapely.box(0, 0, 1, 1)], ["tree"])


def no_polygon(mapped: Path, path: Path) -> None:
    write_geopackage(path, [], [])


def lines(mapped: Path, path: Path) -> None:
    write_geopackage(path, [shapely.LineString([(0, 0), (1, 1)])], ["tree"])


def truncated(mapped: Path, path: Path) -> None:
    unknown_class(mapped, path)
    path.write_bytes(path.read_bytes()[:5000])


def damaged_geojson(mapped: Path, path: Path) -> None:
    path.write_text('{"type": "FeatureCollection", "features": [')


Bad = tuple[Callable[[Path, Path], None], type[InputError], str]
BAD: list[Bad] = [
    (shifted, OtherGrid, r"corner lies \+3\.000 columns and -2\.000 rows off \(1\.8 m\)"),
    (cut, OtherGrid, r"it has 50 × 90 pixels; expected the map's own grid, 70 × 90 pixels"),
    (coarser, OtherGrid, r"it has 35 × 45 pixels; its pixels are 2 times as large"),
    (moved_away, OtherGrid, r"covers 0\.0 % of the map"),
    (other_crs, OtherGrid, r"covers 0\.0 % of the map"),
    (unknown_values, WrongClasses, r"values 6 \(7 pixels\), 2\.5 \(3 pixels\); expected 0 imperv"),
    (unchanged, EmptyCorrection, r"says what the map says, in all 5,940 pixels"),
    (all_nodata, EmptyCorrection, r"labels not one pixel"),
    (picture, WrongBands, r"3 bands beside alpha; expected one band of class numbers"),
    (unknown_class, BadLabels, r"'Bilding' \(1 polygons\).*nearest is 'building' for 'Bilding'"),
    (far_away, EmptyCorrection, r"not one of its 1 polygons lies on the map"),
    (no_polygon, BadGeoPackage, r"holds no polygon"),
    (lines, BadGeoPackage, r"holds linestring; expected polygons alone"),
    (truncated, BadGeoPackage, r"malformed|whole"),
    (damaged_geojson, BadPolygons, r"expected a GeoJSON file that is whole"),
]


@pytest.mark.parametrize(("make", "kind", "words"), BAD, ids=[make.__name__ for make, *_ in BAD])
def test_a_bad_correction_is_refused_and_leaves_nothing(
    mapped: Path, tmp_path: Path, make: Callable[[Path, Path], None], kind: type, words: str
) -> None:
    path, out = tmp_path / "c", tmp_path / "labels.tif"
    make(mapped, path)
    with pytest.raises(kind, match=words):
        correct(mapped, mapped.parent / "statistics.json", path, out)
    assert [left.name for left in tmp_path.iterdir()] == ["c"]


def test_a_layer_without_the_attribute_names_those_that_it_has(
    mapped: Path, tmp_path: Path
) -> None:
    path = tmp_path / "c.gpkg"
    another_attribute(mapped, path)
    with pytest.raises(BadGeoPackage, match=r"no column 'kind'.*it has fid, class"):
        made(mapped, path, column="kind")
    with pytest.raises(BadGeoPackage, match=r"no layer 'roads'; expected one of labels: --layer"):
        made(mapped, path, layer="roads")


def test_a_map_smaller_than_a_window_teaches_nothing(tmp_path: Path) -> None:
    small = write_map(tmp_path / "classes.tif", np.zeros((40, 80), np.uint8), window_px=64)
    path = write(tmp_path / "c.tif", np.ones((40, 80), np.uint8))
    with pytest.raises(TooSmall, match="40 × 80 pixels; expected at least 64 a side"):
        made(small, path)


def test_statistics_of_something_else_are_none(mapped: Path, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"classes": []}')
    for path in (tmp_path / "s.json", tmp_path / "missing.json"):
        with pytest.raises(DataMissing, match="no statistics of a map"):
            correct(mapped, path, mapped, tmp_path / "labels.tif")


def test_what_is_refused_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs/how-to/correct-a-map.md").read_text()
    told = set(re.findall(r"^\| `([a-z_.]+)` \|", text, re.M))
    kinds = {kind for _, kind, _ in BAD} | {TooSmall}
    assert told == {kind.code for kind in kinds} - {WrongBands.code}


def test_no_torch_is_loaded_for_it() -> None:
    modules = "mfnet.training.corrections.make_labels, mfnet.training.cli.main"
    code = f"import {modules}, sys; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
