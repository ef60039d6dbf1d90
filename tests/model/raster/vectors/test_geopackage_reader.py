"""A stranger's GeoPackage: plain tables of polygons are read, and nothing else is touched."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import shapely
from standins.folder import write_geopackage

from mfnet.model.errors import BadGeoPackage
from mfnet.model.raster.pairs.inspection import inspect_alone
from mfnet.model.raster.vectors.geopackage_reader import GeoPackage

BOXES = [shapely.box(x, 0, x + 1, 1) for x in range(3)]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Three boxes with a class."""
    path = tmp_path / "odd ?#%20 name.gpkg"
    write_geopackage(path, BOXES, ["tree", 2, None])
    return path


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def read_all(path: Path) -> None:
    with GeoPackage(path) as opened:
        opened.require_layer()
        opened.read(opened.layers[0], "class")


def test_polygons_come_in_the_order_of_the_file(package: Path) -> None:
    with GeoPackage(package) as opened:
        (layer,) = opened.layers
        assert (layer.name, layer.crs.to_epsg(), layer.features) == ("labels", 25832, 3)
        assert (layer.geometry, layer.columns) == ("shape", ("fid", "class"))
        shapes, classes = opened.read(layer, "class")
    assert [shape.bounds for shape in shapes] == [box.bounds for box in BOXES]
    assert classes == ["tree", 2, None]


def test_inspection_tells_the_layers(package: Path) -> None:
    report = json.loads(inspect_alone(package).model_dump_json())
    layer = {"name": "labels", "features": 3, "columns": ["fid", "class"], "crs": "EPSG:25832"}
    suits = ["labels as polygons", "area of interest", "zones"]
    assert report == {"file": package.name, "layers": [layer], "suits": suits, "remarks": []}


def test_reading_leaves_nothing_beside_the_file(package: Path) -> None:
    change(package, "PRAGMA journal_mode = WAL")  # as QGIS leaves it
    before = {path.name: path.read_bytes() for path in package.parent.iterdir()}
    (remark,) = inspect_alone(package).remarks
    assert "what was changed last may stand in another file" in remark.message
    assert {path.name: path.read_bytes() for path in package.parent.iterdir()} == before


def test_a_file_that_another_program_still_writes_is_refused(package: Path) -> None:
    with closing(sqlite3.connect(package)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("DELETE FROM labels WHERE fid = 1")
        other.commit()
        with pytest.raises(BadGeoPackage, match="another program has it open"):
            GeoPackage(package)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW labels AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT i AS fid, zeroblob(9) AS shape, i AS class FROM n",
        "CREATE VIRTUAL TABLE labels USING fts5(shape, class)",
    ],
)
def test_a_layer_that_is_no_plain_table_is_no_layer(package: Path, statement: str) -> None:
    change(package, "DROP TABLE labels", statement)
    with pytest.raises(BadGeoPackage, match="no layer of features"):
        inspect_alone(package)


@pytest.mark.parametrize("table", ["gpkg_contents", "gpkg_spatial_ref_sys"])
def test_the_standards_own_tables_must_be_plain_too(package: Path, table: str) -> None:
    change(
        package,
        f"ALTER TABLE {table} RENAME TO hidden",
        f"CREATE VIEW {table} AS SELECT * FROM hidden",
    )
    with pytest.raises(BadGeoPackage, match=f"no table {table}"):
        GeoPackage(package)


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH DATABASE '/etc/passwd' AS other",
        "SELECT load_extension('x')",
        "SELECT randomblob(10)",
        "PRAGMA writable_schema = ON",
        "CREATE TABLE t (a)",
        "DELETE FROM labels",
    ],
)
def test_the_connection_can_do_nothing_but_read(package: Path, statement: str) -> None:
    with GeoPackage(package) as opened, pytest.raises(sqlite3.DatabaseError):
        opened._database.execute(statement)


def test_a_layer_may_be_called_anything(package: Path) -> None:
    name = "a`b\"c'; DROP TABLE labels"
    quoted = "'" + name.replace("'", "''") + "'"
    change(
        package,
        "ALTER TABLE labels RENAME TO `" + name.replace("`", "``") + "`",
        f"UPDATE gpkg_contents SET table_name = {quoted}",
        f"UPDATE gpkg_geometry_columns SET table_name = {quoted}",
    )
    with GeoPackage(package) as opened:
        (layer,) = opened.layers
        assert layer.name == name
        assert len(opened.read(layer, "class")[0]) == 3


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE labels SET shape = x'00'", "whole"),
        ("UPDATE labels SET shape = 7", "whole"),
        ("UPDATE labels SET shape = substr(shape, 1, 60)", "whole"),
        ("UPDATE labels SET shape = shape || x'00'", "whole"),
        ("DROP TABLE gpkg_contents", "no table gpkg_contents"),
        ("DELETE FROM gpkg_contents", "no layer"),
        ("DELETE FROM labels", "holds no polygon"),
    ],
)
def test_damage_is_the_files_fault(package: Path, sql: str, words: str) -> None:
    change(package, sql)
    with pytest.raises(BadGeoPackage, match=words):
        read_all(package)


@pytest.mark.parametrize("keep", [16, 100, 4000, 9000])
def test_a_truncated_file_is_refused(package: Path, keep: int) -> None:
    package.write_bytes(package.read_bytes()[:keep])
    with pytest.raises(BadGeoPackage):
        read_all(package)


def test_what_is_no_sqlite_file_is_no_geopackage(tmp_path: Path) -> None:
    (tmp_path / "a.gpkg").write_bytes(b"SQLite format 2\0")
    with pytest.raises(BadGeoPackage, match="no SQLite file"):
        GeoPackage(tmp_path / "a.gpkg")
