"""PROJ and GDAL data that other programs name are not followed; each case is a process."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from tests.model.conftest import MakeTiff

OWN = Path(rasterio.__file__).parent / "proj_data"
needs_own = pytest.mark.skipif(
    not (OWN / "proj.db").is_file(), reason="this rasterio brings no PROJ data"
)

# What a map's place and areas hang on: the CRS by name, its unit, areas, a move to another CRS.
REPORT = """
from pathlib import Path
import sys
import numpy as np
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.products.cog import CogWriter
from rasterio.crs import CRS
from rasterio.warp import transform
with GeoTiff(Path(sys.argv[1]), Role.HEIGHT) as source:
    grid = source.grid
print(grid.transform, grid.gsd_m)
print(grid.crs.to_string(), grid.crs.linear_units, grid.pixel_area_m2(3))
print(transform(grid.crs, CRS.from_epsg(3035), [5e5], [5.7e6]))
from rasterio._env import get_gdal_config
print(get_gdal_config("GDAL_DATA"))
"""
RASTERIO_FIRST = "import rasterio\nfrom rasterio.crs import CRS\n" + REPORT


def report(path: Path, code: str = REPORT, **variables: str) -> str:
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("PROJ", "GDAL"))
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env=clean | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder of an older program."""
    folder = tmp_path / "old"
    folder.mkdir()
    with sqlite3.connect(folder / "proj.db") as database:
        database.execute("CREATE TABLE metadata (key TEXT, value TEXT)")
        database.execute("INSERT INTO metadata VALUES ('DATABASE.LAYOUT.VERSION.MAJOR', '1')")
        database.execute("INSERT INTO metadata VALUES ('DATABASE.LAYOUT.VERSION.MINOR', '0')")
        database.execute("INSERT INTO metadata VALUES ('PROJ.VERSION', '6.0.0')")
    database.close()
    return folder


@needs_own
def test_foreign_data_and_settings_change_nothing(
    make_tiff: MakeTiff, old: Path, tmp_path: Path
) -> None:
    path = make_tiff("point.tif", np.zeros((8, 8), "float32"))
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(AREA_OR_POINT="Point")
    expected = report(path)
    assert "EPSG:25832 metre 0.25" in expected
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "proj.db").write_bytes(b"no database")
    settings = {
        "GTIFF_POINT_GEO_IGNORE": "YES",  # half a pixel
        "OGR_CT_FORCE_TRADITIONAL_GIS_ORDER": "NO",
        "OSR_DEFAULT_AXIS_MAPPING_STRATEGY": "AUTHORITY_COMPLIANT",
    }
    for variables in (
        {"PROJ_LIB": "/nonexistent", **settings},
        {"PROJ_DATA": str(old), "GDAL_DATA": "/nonexistent", "GDAL_DRIVER_PATH": "/nonexistent"},
        {"PROJ_DATA": f"{damaged}{os.pathsep}{tmp_path}", "PROJ_LIB": ""},
    ):
        assert report(path, **variables) == expected, variables
    variables = {"PROJ_LIB": str(old), "GDAL_DATA": "/nonexistent"}
    assert report(path, RASTERIO_FIRST, **variables) == expected


@needs_own
def test_a_copy_of_the_same_version_may_hold_more_grids(tmp_path: Path) -> None:
    shutil.copy(OWN / "proj.db", tmp_path)
    code = (
        "import model, rasterio.env, rasterio._env\n"
        "print(*rasterio._env.get_proj_data_search_paths())"
    )
    assert report(tmp_path, code, PROJ_LIB=f"/nonexistent{os.pathsep}{tmp_path}").split() == [
        str(tmp_path)
    ]


@needs_own
def test_a_grid_that_was_added_is_used_and_no_longer_told_as_missing(tmp_path: Path) -> None:
    """Beside a copy of the database lies a grid of two seconds of arc, which is found again."""
    (tmp_path / "proj.db").symlink_to(OWN / "proj.db")
    name = "uk_os_OSTN15_NTv2_OSGBtoETRS.tif"
    shape = {"width": 11, "height": 11, "count": 2, "dtype": "float32"}
    corner = Affine(1, 0, -5.5, 0, -1, 56.5)
    with rasterio.open(
        tmp_path / name, "w", "GTiff", **shape, crs="EPSG:4277", transform=corner
    ) as f:
        f.update_tags(TYPE="HORIZONTAL_OFFSET", AREA_OR_POINT="Point", target_crs_epsg_code="4258")
        f.update_tags(2, positive_value="east")
        f.descriptions = ("latitude_offset", "longitude_offset")
        f.units = ("arc-second", "arc-second")
        f.write(np.full((2, 11, 11), 2, "float32"))
    code = (
        "import numpy as np\n"
        "from mfnet.model.raster.georeferencing.datum_shifts import operation\n"
        "from rasterio.crs import CRS\n"
        "from rasterio.warp import transform\n"
        "british, ours = CRS.from_epsg(27700), CRS.from_epsg(4258)\n"
        "lon, lat = transform(CRS.from_epsg(4277), ours, [-0.1], [51.5])\n"
        "print((lon[0] + 0.1) * 3600, (lat[0] - 51.5) * 3600)\n"
        "found = operation(british, ours, np.array([530000, 180000]))\n"
        "print(found.accuracy_m, found.missing)\n"
    )
    shift, told = report(tmp_path, code, PROJ_DATA=str(tmp_path)).splitlines()
    assert [float(value) for value in shift.split()] == pytest.approx([2, 2], abs=1e-4)
    assert told == "0.03 None"
    assert report(tmp_path, code).splitlines()[1] == f"3.0 {name}"


def test_the_command_line_follows_none(heights: Callable[..., Path], tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("mfnet")), "inspect", "--json", str(heights())]
    foreign = {"PROJ_LIB": str(tmp_path), "PROJ_NETWORK": "ON"}
    told = subprocess.run(
        command, env=os.environ | foreign, capture_output=True, text=True, check=True
    )
    raster = json.loads(told.stdout)["raster"]
    assert (raster["crs"], raster["gsd_m"]) == ("EPSG:25832", pytest.approx(0.5, rel=1e-3))


def test_without_any_data_the_program_says_so(heights: Callable[..., Path], old: Path) -> None:
    """As a build without data of its own does whose folder is another version's."""
    code = (
        "import model, os, sys\n"
        "from pathlib import Path\n"
        "os.environ['PROJ_DATA'] = sys.argv[1]\n"
        "from mfnet.model.errors import GeodataMissing\n"
        "from mfnet.model.raster.files.geotiff import GeoTiff, Role\n"
        "try:\n"
        "    GeoTiff(Path(sys.argv[2]), Role.HEIGHT)\n"
        "except GeodataMissing as error:\n"
        "    print(error.code, error.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(old), str(heights())],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("engine.geodata PROJ finds no usable database")
    assert "PROJ_DATA" in done.stdout


def test_a_build_without_own_data_follows_the_variable(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mfnet.model import proj_data

    monkeypatch.setenv("PROJ_DATA", os.pathsep.join([str(tmp_path), str(old)]))
    monkeypatch.setenv("PROJ_LIB", str(tmp_path))
    assert proj_data._proj_folder(tmp_path / "none") == old
    monkeypatch.setenv("PROJ_DATA", str(tmp_path))
    assert proj_data._proj_folder(tmp_path / "none") is None
