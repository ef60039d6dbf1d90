"""Whose PROJ and GDAL data this process uses: those that came with rasterio.

QGIS, OSGeo4W, PostGIS and others set `PROJ_LIB`, `PROJ_DATA`, `GDAL_DATA` or `GDAL_DRIVER_PATH` for
every program of the machine. rasterio follows them, and PROJ with another version's database (or
none) reads no EPSG code: CRSs then lose their names, units and areas without an error.

Importing `model` calls `prefer_own`, before rasterio is loaded by whichever module comes first.
"""

import os
import sqlite3
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from mfnet.model.errors import GeodataMissing

_PROJ = ("PROJ_DATA", "PROJ_LIB")
# Drivers built for another GDAL, which would be loaded into this one.
_PLUGINS = ("GDAL_DRIVER_PATH", "GDAL_PYTHON_DRIVER_PATH")


# Settings of GDAL and PROJ that move pixels or turn axes, or choose another operation between CRSs.
_SETTINGS = (
    *("GTIFF_POINT_GEO_IGNORE", "GTIFF_HONOUR_NEGATIVE_SCALEY", "GTIFF_REPORT_COMPD_CS"),
    *("GTIFF_SRS_SOURCE", "GTIFF_LINEAR_UNITS", "GTIFF_READ_ANGULAR_PARAMS_IN_DEGREE"),
    *("OSR_DEFAULT_AXIS_MAPPING_STRATEGY", "OSR_ADD_TOWGS84_ON_IMPORT_FROM_EPSG"),
    *("OSR_STRIP_TOWGS84", "OGR_CT_FORCE_TRADITIONAL_GIS_ORDER", "OGR_CT_OP_SELECTION"),
    *("OGR_CT_PREFER_OFFICIAL_SRS_DEF", "OGR_CT_USE_SRS_COORDINATE_EPOCH", "CENTER_LONG"),
    *("CHECK_WITH_INVERT_PROJ", "PROJ_ONLY_BEST_DEFAULT", "PROJ_AUX_DB"),
)


def prefer_own() -> None:
    """Take variables out of this process's environment that would lead rasterio to foreign data.

    Where rasterio brings its own data (its wheels do), a folder is followed only if it holds the
    same version of PROJ's database: somebody added grids to a copy. Where it brings none (conda,
    distributions), a folder is followed if it holds a database at all. PROJ is kept off the
    network: what a map looks like must not depend on whether a grid could be fetched. Nor must it
    depend on settings for other programs that move pixels (half a pixel: GTIFF_POINT_GEO_IGNORE).
    """
    for name in _SETTINGS:
        os.environ.pop(name, None)
    if os.environ.get("PROJ_NETWORK"):
        os.environ["PROJ_NETWORK"] = "OFF"
    if not any(name in os.environ for name in (*_PROJ, "GDAL_DATA", *_PLUGINS)):
        return
    spec = find_spec("rasterio")
    if spec is None or not spec.submodule_search_locations:
        return
    package = Path(next(iter(spec.submodule_search_locations)))
    own_proj, own_gdal = package / "proj_data", package / "gdal_data"
    kept = _proj_folder(own_proj)
    for name in _PROJ:
        os.environ.pop(name, None)
    if kept is not None:
        os.environ["PROJ_DATA"] = str(kept)
    followed = Path(os.environ.get("GDAL_DATA", own_gdal))
    if own_gdal.is_dir() or not (followed / "gdalvrt.xsd").is_file():
        os.environ.pop("GDAL_DATA", None)
    if own_gdal.is_dir():
        for name in _PLUGINS:
            os.environ.pop(name, None)
    if "rasterio.env" in sys.modules:
        _redirect(kept or own_proj, own_gdal)


@cache
def share_grids() -> None:
    """Let pyproj see the grids of the folder that rasterio follows; its database stays its own."""
    from pyproj import datadir

    folder = os.environ.get("PROJ_DATA")
    if folder and folder not in datadir.get_data_dir().split(os.pathsep):
        datadir.append_data_dir(folder)


@cache
def require_proj_data() -> None:
    """Refuse to go on without a database of coordinate reference systems.

    Raises:
        GeodataMissing: PROJ does not know an EPSG code.
    """
    from rasterio.crs import CRS

    try:
        CRS.from_epsg(25832)  # GDAL knows WGS 84 (4326) by heart
    except Exception as error:  # CRSError, or a bare CPLE error of GDAL
        raise GeodataMissing(
            f"PROJ finds no usable database of coordinate reference systems ({error}); expected "
            "proj.db of the PROJ that rasterio was built with: install rasterio anew, or let "
            "PROJ_DATA name the folder that holds it",
            proj_data=os.environ.get("PROJ_DATA"),
        ) from error


def _proj_folder(own: Path) -> Path | None:
    """The first folder of the variables that is to be followed."""
    wanted = _version(own)
    for name in _PROJ:
        for folder in os.environ.get(name, "").split(os.pathsep):
            found = _version(Path(folder)) if folder else None
            if found is not None and wanted in (None, found):
                return Path(folder)
    return None


def _version(folder: Path) -> tuple[str, ...] | None:
    """Versions of the database in a folder; None where there is none."""
    database = folder / "proj.db"
    if not database.is_file():
        return None
    address = f"file:{quote(str(database.absolute()))}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(address, uri=True)
        try:
            found = dict(connection.execute("SELECT key, value FROM metadata"))
        finally:
            connection.close()
    except (sqlite3.Error, ValueError):
        return None
    keys = ("DATABASE.LAYOUT.VERSION.MAJOR", "DATABASE.LAYOUT.VERSION.MINOR", "PROJ.VERSION")
    return tuple(str(found.get(key)) for key in keys)


def _redirect(proj: Path, gdal: Path) -> None:
    """Lead a rasterio that is already loaded, and has followed the variables, to the right data."""
    from rasterio._env import set_gdal_config, set_proj_data_search_path

    if (proj / "proj.db").is_file():
        set_proj_data_search_path(str(proj))
    if gdal.is_dir():
        set_gdal_config("GDAL_DATA", str(gdal))
