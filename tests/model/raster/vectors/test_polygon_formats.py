"""Polygons of every format that people have come to the same shapes, classes and CRS."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely
from pyogrio.raw import write
from standins.folder import write_geopackage

from mfnet.model.errors import BadPolygons, InputError
from mfnet.model.raster.pairs.inspection import inspect_alone
from mfnet.model.raster.vectors.polygon_formats import is_polygons, open_polygons

BOXES = [shapely.box(500_000 + x, 5_400_000, 500_001 + x, 5_400_001) for x in range(3)]
CLASSES = ["tree", "Low vegetation", "3"]
UTM = "EPSG:25832"


def ogr(path: Path, driver: str, shapes: list = BOXES, crs: str | None = UTM) -> Path:
    wkb = np.array([None if shape is None else shapely.to_wkb(shape) for shape in shapes], object)
    fields = [np.array(CLASSES[: len(shapes)], object)]
    with np.errstate(all="ignore"):
        write(path, wkb, fields, ["class"], geometry_type="Polygon", crs=crs, driver=driver)
    return path


def shapefile(folder: Path, **options: object) -> Path:
    return ogr(folder / "own.shp", "ESRI Shapefile", **options)


def zipped(folder: Path) -> Path:
    shape = shapefile(folder)
    with zipfile.ZipFile(folder / "own.zip", "w") as archive:
        for part in shape.parent.glob("own.*"):
            if part.suffix != ".zip":
                archive.write(part, f"export/{part.name}")
                archive.writestr(f"__MACOSX/export/._{part.name}", b"\0")
    return folder / "own.zip"


def flatgeobuf(folder: Path) -> Path:
    return ogr(folder / "own.fgb", "FlatGeobuf")


def geojson(folder: Path, **changed: object) -> Path:
    features = [
        {
            "type": "Feature",
            "properties": {"class": name},
            "geometry": shapely.geometry.mapping(box),
        }
        for name, box in zip(CLASSES, BOXES, strict=True)
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}
    whole = {"type": "FeatureCollection", "name": "own", "crs": crs, "features": features}
    path = folder / "own.geojson"
    path.write_text("\ufeff" + json.dumps(whole | changed), encoding="utf-8")
    return path


def geopackage(folder: Path) -> Path:
    write_geopackage(folder / "own.gpkg", BOXES, CLASSES)
    return folder / "own.gpkg"


@pytest.mark.parametrize("make", [geopackage, geojson, shapefile, zipped, flatgeobuf])
@pytest.mark.parametrize("named", [True, False])
def test_every_format_says_the_same(make: Callable, named: bool, tmp_path: Path) -> None:
    path = make(tmp_path)
    if not named and make is not shapefile:  # as the service keeps what it is sent
        path = path.rename(tmp_path / "0a1b2c")
    assert is_polygons(path)
    with open_polygons(path) as opened:
        layer = opened.layer(None)
        assert (layer.crs.to_epsg(), layer.features) == (25832, 3)
        shapes, classes = opened.read(layer, "CLASS")
        assert opened.remarks() == []
    # FlatGeobuf orders by place
    found = {name: shape.bounds for name, shape in zip(classes, shapes, strict=True)}
    assert found == {n: box.bounds for n, box in zip(CLASSES, BOXES, strict=True)}
    assert inspect_alone(path).layers[0].crs == UTM


def test_geojson_without_a_crs_lies_in_wgs_84(tmp_path: Path) -> None:
    with open_polygons(geojson(tmp_path, crs=None)) as opened:
        assert opened.layers[0].crs.to_epsg() == 4326


def test_geojson_never_follows_the_address_of_a_crs(tmp_path: Path) -> None:
    link = {"type": "link", "properties": {"href": "http://127.0.0.1:9/crs", "type": "ogcwkt"}}
    with open_polygons(geojson(tmp_path, crs=link)) as opened:
        assert opened.layers[0].crs is None


def test_what_is_empty_or_crosses_itself_is_told(tmp_path: Path) -> None:
    bow = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    with open_polygons(shapefile(tmp_path, shapes=[None, bow, BOXES[0]])) as opened:
        shapes, classes = opened.read(opened.layer(None), "class")
        empty, invalid = opened.remarks()
    assert (len(shapes), classes) == (2, CLASSES[1:])
    assert "1 features without a geometry left out" in empty
    assert "1 polygons are not valid (the first: Self-intersection[1 1])" in invalid


def no_dbf(folder: Path) -> Path:
    path = shapefile(folder)
    path.with_suffix(".dbf").unlink()
    return path


def grids(folder: Path) -> Path:
    path = shapefile(folder)
    path.with_suffix(".prj").write_text('GEOGCS["a",EXTENSION["PROJ4_GRIDS","/etc/hostname"]]')
    return path


def cut(folder: Path) -> Path:
    path = flatgeobuf(folder)
    path.write_bytes(path.read_bytes()[:200])
    return path


def points(folder: Path) -> Path:
    point = {"type": "Point", "coordinates": [1, 2]}
    feature = {"type": "Feature", "properties": {"class": "tree"}, "geometry": point}
    return geojson(folder, features=[feature])


def broken(folder: Path) -> Path:
    path = geojson(folder)
    path.write_text(path.read_text()[:-5])
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (no_dbf, r"own\.shp: own\.dbf is not beside it; expected the whole Shapefile"),
        (grids, r"own\.shp: its coordinate reference system names grids or files"),
        (cut, r"own\.fgb: .*; expected a FlatGeobuf file that is whole"),
        (points, r"own\.geojson: the layer 'own' holds point; expected polygons alone"),
        (broken, r"own\.geojson: .*; expected a GeoJSON file that is whole"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(make: Callable, words: str, tmp_path: Path) -> None:
    with pytest.raises(BadPolygons, match=words), open_polygons(make(tmp_path)) as opened:
        opened.read(opened.layer(None), "class")


def test_several_shapefiles_of_an_archive_are_layers(tmp_path: Path) -> None:
    path = zipped(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        for part in (".shp", ".shx", ".dbf", ".prj"):
            archive.write((tmp_path / "own.shp").with_suffix(part), f"other/roads{part}")
    with open_polygons(path) as opened:
        assert sorted(layer.name for layer in opened.layers) == ["own", "roads"]
        assert opened.layer("roads").features == 3
        with pytest.raises(BadPolygons, match=r"2 layers; expected one of .*: --layer (own|roads)"):
            opened.layer(None)


@pytest.mark.parametrize("content", [b'{"classes": []}', b"", b"II*\0", b"PK\x03\x04"])
def test_other_files_are_no_polygons(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert not is_polygons(path)
    with pytest.raises(BadPolygons, match=r"expected GeoPackage, GeoJSON, .*: ogr2ogr OUT\.gpkg"):
        open_polygons(path)


def test_an_archive_of_a_raster_stays_what_it_was(tmp_path: Path) -> None:
    path = Path(shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path))
    with pytest.raises(InputError, match="a ZIP archive"):
        inspect_alone(path)
