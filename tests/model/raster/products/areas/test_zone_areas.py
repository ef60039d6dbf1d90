"""Areas of classes in zones, against fractions by brute force."""

import csv
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from typer.testing import CliRunner

from mfnet.model.classes import ISPRS, NODATA
from mfnet.model.cli.main import app
from mfnet.model.errors import BadPolygons, BadZones
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.pairs.area_of_interest import Area, AreaOfInterest
from mfnet.model.raster.products.areas import zone_areas as module
from mfnet.model.raster.products.areas.zone_areas import read_zones, write_zone_areas, zones_on
from mfnet.training.synthetic.town import draw_town, write_town

UTM = CRS.from_epsg(25832)
AT = Affine(0.5, 0, 500_000, 0, -0.5, 5_700_000)
VALUES = np.random.default_rng(1).choice(np.array([0, 1, 3, NODATA], np.uint8), (40, 60))


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    with rasterio.open(
        tmp_path / "classes.tif", "w", driver="GTiff", count=1, height=40, width=60, dtype="uint8",
        nodata=NODATA, crs=UTM, transform=AT,
    ) as raster:  # fmt: skip
        raster.write(VALUES, 1)
    return tmp_path / "classes.tif"


def write_zones(path: Path, shapes: list[shapely.Geometry | None], crs: str = "EPSG:25832",
                **options: object) -> Path:  # fmt: skip
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array(shapes, object)),
        [np.arange(len(shapes)), np.array([f"Flur {n}" for n in range(len(shapes))], object)],
        ["number", "name"], geometry_type="Unknown", crs=crs, **options,
    )  # fmt: skip
    return path


def brute_force(shape: shapely.Geometry) -> NDArray[np.float64]:
    """Square metres of each value inside, pixel by pixel."""
    sums = np.zeros(256)
    for row, column in np.ndindex(*VALUES.shape):
        left, top = AT * (column, row)
        pixel = shapely.box(left, top - 0.5, left + 0.5, top)
        sums[VALUES[row, column]] += shapely.intersection(shape, pixel).area
    return sums


SHAPES = [
    shapely.Polygon([(500_003.2, 5_699_998.1), (500_017.7, 5_699_995.4), (500_009.3, 5_699_984.6)]),
    shapely.box(500_020, 5_699_990, 500_040, 5_700_010),  # reaches beyond the map
    shapely.box(500_005, 5_699_985, 500_015, 5_699_995)
    - shapely.box(500_007.3, 5_699_987.3, 500_009.9, 5_699_992),
]


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "fgb", "shp"])
def test_pixels_count_by_their_share(classes: Path, tmp_path: Path, ending: str) -> None:
    crs = "EPSG:4326" if ending == "geojson" else "EPSG:25832"
    shapes = SHAPES
    if ending == "geojson":
        import pyproj

        there = pyproj.Transformer.from_crs(25832, 4326, always_xy=True)
        shapes = [
            shapely.transform(s, lambda xy: np.column_stack(there.transform(xy[:, 0], xy[:, 1])))
            for s in SHAPES
        ]
    path = write_zones(tmp_path / f"zones.{ending}", shapes, crs)
    out = tmp_path / "out.gpkg"
    zones = read_zones(path)
    rows = write_zone_areas(classes, zones, [out], ISPRS)
    order = [int(number) for number in zones.fields["number"]]  # FlatGeobuf has one of its own
    for number, row in zip(order, rows, strict=True):
        sums = brute_force(SHAPES[number])
        mapped = sums[: len(ISPRS)].sum()
        assert row["mapped_m2"] == pytest.approx(mapped, rel=1e-4)
        assert row["building_m2"] == pytest.approx(sums[1], rel=1e-4)
        assert row["tree_share"] == pytest.approx(sums[3] / mapped, rel=1e-4)
    meta, _, geometry, columns = pyogrio.raw.read(out)
    found = dict(zip(meta["fields"].tolist(), columns, strict=True))
    assert found["name"].tolist() == [f"Flur {number}" for number in order]
    assert found["building_m2"][0] == pytest.approx(rows[0]["building_m2"])
    assert shapely.equals(shapely.from_wkb(geometry[0]), shapes[order[0]])


def test_strips_change_nothing(
    classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zones = read_zones(write_zones(tmp_path / "zones.gpkg", SHAPES))
    whole = write_zone_areas(classes, zones, [tmp_path / "a.csv"], ISPRS)
    monkeypatch.setattr(module, "_STRIP_PIXELS", 100)
    for one, other in zip(whole, write_zone_areas(classes, zones, [tmp_path / "b.csv"], ISPRS),
                          strict=True):  # fmt: skip
        assert one == pytest.approx(other)


def test_what_is_odd_is_mended_told_and_kept(classes: Path, tmp_path: Path) -> None:
    bow = shapely.Polygon(
        [(500_002, 5_699_990), (500_012, 5_699_990), (500_002, 5_699_985), (500_012, 5_699_985)]
    )
    away = shapely.box(600_000, 5_699_990, 600_010, 5_700_000)
    path = write_zones(tmp_path / "zones.gpkg", [bow, None, away])
    zones = read_zones(path)
    assert [remark.code for remark in zones.remarks] == ["zones.mended", "zones.empty"]
    mended, nothing, outside = write_zone_areas(classes, zones, [tmp_path / "out.csv"], ISPRS)
    expected = brute_force(shapely.make_valid(bow))[: len(ISPRS)].sum()
    assert mended["mapped_m2"] == pytest.approx(expected, rel=1e-4)
    assert nothing["mapped_m2"] == outside["mapped_m2"] == 0
    assert outside["tree_share"] is None
    with (tmp_path / "out.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == ["Flur 0", "Flur 1", "Flur 2"]
    assert lines[2]["tree_share"] == ""


def test_zones_that_do_not_do_are_refused(classes: Path, tmp_path: Path) -> None:
    away = write_zones(tmp_path / "away.gpkg", [shapely.box(0, 0, 1, 1)])
    with pytest.raises(BadZones, match="not one zone lies on classes"):
        write_zone_areas(classes, read_zones(away), [tmp_path / "o.gpkg"], ISPRS)
    points = write_zones(tmp_path / "points.gpkg", [shapely.Point(1, 2)])
    with pytest.raises(BadPolygons, match="holds point; expected polygons"):
        read_zones(points)
    two = write_zones(tmp_path / "two.gpkg", SHAPES, layer="a")
    write_zones(two, SHAPES, layer="b", append=True)
    with pytest.raises(BadPolygons, match="2 layers; expected one of a, b: --layer"):
        read_zones(two)
    assert len(read_zones(two, "b").shapes) == 3
    with pytest.raises(BadPolygons, match="no vector file"):
        read_zones(classes)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_coordinates_that_are_no_numbers_are_refused(wrong: float, tmp_path: Path) -> None:
    corners = [(500_000, 5_699_990), (500_010, 5_699_990), (500_010, 5_699_980)]
    with np.errstate(invalid="ignore"):
        odd = shapely.Polygon([*corners, (500_000, wrong)])
    path = write_zones(tmp_path / "zones.gpkg", [*SHAPES, odd])
    with pytest.raises(
        BadPolygons, match=r"zones\.gpkg: .*expected (polygons with finite|a GeoPackage)"
    ):
        AreaOfInterest.open(Area(path), Grid(40, 60, AT, UTM))
    with pytest.raises(BadPolygons, match=r"expected (polygons with finite|a GeoPackage)"):
        zones_on(Grid(40, 60, AT, UTM), read_zones(path), "classes.tif")


def test_polygons_that_take_too_much_memory_are_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(shapes: object) -> None:
        raise shapely.errors.GEOSException("std::bad_alloc")

    path = write_zones(tmp_path / "zones.gpkg", SHAPES)
    monkeypatch.setattr(module.shapely, "is_valid", full)  # as the child's limit makes GEOS fail
    with pytest.raises(BadPolygons, match="more memory than this process may take"):
        read_zones(path)


def test_from_a_pair_to_parcels_on_the_command_line(tmp_path: Path) -> None:
    write_town(tmp_path, draw_town(5, 256))
    files = [str(tmp_path / name) for name in ("ortho.tif", "ndsm.tif")]
    the_map = str(tmp_path / "classes.tif")
    run = CliRunner()
    assert run.invoke(app, ["predict", *files, "-o", the_map]).exit_code == 0
    parcels = write_zones(
        tmp_path / "all.gpkg", [shapely.box(499_000, 5_400_000, 600_000, 5_800_000)]
    )
    extra = ["--polygons", str(tmp_path / "p.gpkg"), "--zones", str(parcels)]
    done = run.invoke(app, ["predict", *files, "-o", the_map, *extra])
    assert done.exit_code == 0, done.output
    assert pyogrio.read_info(tmp_path / "p.gpkg")["features"] > 5
    assert pyogrio.read_info(tmp_path / "classes_zones.gpkg")["features"] == 1
    done = run.invoke(app, ["polygons", the_map, "-o", str(tmp_path / "map.gpkg")])
    assert done.exit_code == 0, done.output
    with rasterio.open(the_map) as raster:
        left, bottom, right, top = raster.bounds
    middle = (left + right) / 2
    halves = [shapely.box(left, bottom, middle, top), shapely.box(middle, bottom, right, top)]
    parcels = write_zones(tmp_path / "parcels.gpkg", halves)
    done = run.invoke(
        app, ["zones", the_map, str(parcels), "-o", str(tmp_path / "z.csv"), "--json"]
    )
    assert done.exit_code == 0, done.output
    with (tmp_path / "z.csv").open(newline="") as file:
        sums = [float(line["mapped_m2"]) for line in csv.DictReader(file)]
    assert sum(sums) == pytest.approx((right - left) * (top - bottom))
