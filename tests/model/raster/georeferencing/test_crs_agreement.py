"""Which CRS a raster without one is in, and what a CRS says of heights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from mfnet.model.errors import BadOption, CrsMissing
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.georeferencing.crs_agreement import agree_crs, parse_crs
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.georeferencing.vertical_axis import (
    horizontal,
    vertical_datum,
    vertical_remarks,
    vertical_unit,
)
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.values.reading_options import ReadingOptions
from tests.model.conftest import MakeTiff, at
from tests.model.programs import rio

UTM = CRS.from_epsg(25832)
LOCAL = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1],AXIS["E",EAST],AXIS["N",NORTH]]')
OTHER_LOCAL = CRS.from_wkt('LOCAL_CS["unnamed",UNIT["foot",0.3048],AXIS["E",EAST],AXIS["N",NORTH]]')
NAVD88 = CRS.from_epsg(5703)
FEET = CRS.from_user_input("EPSG:2263+6360")


def grid(crs: CRS | None, east: float = 500_000, side: int = 100, gsd: float = 1.0) -> Grid:
    return Grid(side, side, Affine(gsd, 0, east, 0, -gsd, 5_700_000), crs)


@pytest.mark.parametrize("lacks", [None, LOCAL, NAVD88])
@pytest.mark.parametrize("ortho_lacks", [True, False])
def test_a_crs_is_taken_over_where_the_coordinates_are_the_same_numbers(
    lacks: CRS | None, ortho_lacks: bool
) -> None:
    pair = (grid(lacks), grid(UTM, east=500_040))
    ortho, height, remarks = agree_crs(*(pair if ortho_lacks else reversed(pair)))
    assert (ortho.crs, height.crs) == (UTM, UTM)
    (remark,) = remarks
    assert remark.code == "crs.taken_over"
    assert "EPSG:25832" in remark.message
    assert ("the orthophoto has" in remark.message) == ortho_lacks


def test_a_small_orthophoto_on_wide_heights_shares_all_of_its_own_coordinates() -> None:
    ortho, _, remarks = agree_crs(grid(None), grid(UTM, east=480_000, side=40_000))
    assert ortho.crs == UTM
    assert remarks


@pytest.mark.parametrize("ortho_lacks", [True, False])
def test_other_coordinates_are_refused_with_the_option_that_names_the_crs(
    ortho_lacks: bool,
) -> None:
    pair = (grid(None), grid(UTM, east=500_051))
    with pytest.raises(CrsMissing, match=r"--crs EPSG:25832") as caught:
        agree_crs(*(pair if ortho_lacks else reversed(pair)))
    assert caught.value.params["shared_percent"] == 49
    assert "rio edit-info --crs EPSG:25832" in caught.value.message


def test_two_local_ones_are_the_same_and_none_is_invented() -> None:
    ortho, height, remarks = agree_crs(grid(LOCAL), grid(OTHER_LOCAL))
    assert (ortho.crs, height.crs) == (LOCAL, LOCAL)
    assert [remark.code for remark in remarks] == ["crs.taken_over"]
    assert agree_crs(grid(None), grid(None)) == (grid(None), grid(None), [])


def test_two_that_place_points_are_left_as_they_are() -> None:
    pair = grid(UTM), grid(CRS.from_epsg(25833))
    assert agree_crs(*pair) == (*pair, [])


def test_the_option_is_for_those_that_name_none() -> None:
    ortho, height, remarks = agree_crs(grid(None), grid(None, east=0), "EPSG:25833")
    assert ortho.crs == height.crs == CRS.from_epsg(25833)
    assert [remark.code for remark in remarks] == ["crs.given"] * 2
    ortho, height, remarks = agree_crs(grid(UTM), grid(None, east=0), "25833")
    assert (ortho.crs, height.crs) == (UTM, CRS.from_epsg(25833))
    assert "names EPSG:25832 itself" in remarks[0].message
    assert agree_crs(grid(UTM), grid(UTM), "EPSG:25832")[2] == []


def test_the_other_rasters_heights_do_not_come_with_its_crs() -> None:
    ortho, height, _ = agree_crs(grid(None), grid(FEET))
    assert ortho.crs == CRS.from_epsg(2263)
    assert height.crs == FEET


@pytest.mark.parametrize(
    "text",
    [
        *("EPSG:25832", "epsg:25832", " 25832 ", "EPSG:25832+7837", "ESRI:102113", "IGNF:LAMB93"),
        *("urn:ogc:def:crs:EPSG::25832", "OGC:CRS84", "+proj=utm +zone=32 +ellps=GRS80"),
        UTM.to_wkt(),
        LOCAL.to_wkt(),
    ],
)
def test_a_crs_is_read_as_people_type_it(text: str) -> None:
    assert parse_crs(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "EPSG:99999", "EPSG", "utm32", "EPSG:25832; rm", "EPSG:25832+"),
        *("http://localhost:1/x", "/etc/passwd", "a.prj", "/vsicurl/http://localhost:1/"),
        "+proj=longlat +ellps=GRS80 +nadgrids=/etc/passwd",
        "+proj=longlat +ellps=GRS80 +geoidgrids=http://localhost:1/x",
        "+init=/etc/passwd:root",
    ],
)
def test_what_is_no_crs_or_names_a_file_is_refused(text: str) -> None:
    with pytest.raises(BadOption, match="--crs"):
        parse_crs(text)


@pytest.mark.parametrize(
    ("crs", "unit", "datum"),
    [
        (FEET, 1200 / 3937, "North American Vertical Datum 1988"),
        (CRS.from_user_input("EPSG:25832+7837"), 1, "Deutsches Haupthoehennetz 2016"),
        (CRS.from_user_input("EPSG:6360"), 1200 / 3937, "North American Vertical Datum 1988"),
        (CRS.from_epsg(4979), 1, "ellipsoid of World Geodetic System 1984 ensemble"),
        (CRS.from_user_input("EPSG:4326+5715"), 1, "depth below Mean Sea Level"),
        (
            CRS.from_string(
                "+proj=utm +zone=32 +ellps=GRS80 +towgs84=1,2,3 +vunits=ft +geoidgrids=x"
            ),
            0.3048,
            "unknown using geoidgrids=x",
        ),
        # Feet on the ground say nothing of heights.
        (CRS.from_epsg(2263), None, None),
        (CRS.from_epsg(4978), None, None),
        (LOCAL, None, None),
        (None, None, None),
    ],
)
def test_what_a_crs_says_of_heights(crs: CRS | None, unit: float | None, datum: str | None) -> None:
    assert vertical_unit(crs) == (None if unit is None else pytest.approx(unit, rel=1e-9))
    assert vertical_datum(crs) == datum


def test_different_levels_and_units_are_told() -> None:
    rasters = [("dsm.tif", FEET), ("dtm.tif", CRS.from_user_input("EPSG:25832+7837"))]
    level, unit = vertical_remarks(rasters)
    assert level.code == unit.code == "crs.vertical"
    assert "dsm.tif from North American Vertical Datum 1988" in level.message
    assert "dsm.tif of 0.3048006 m, dtm.tif of 1 m" in unit.message


def test_depths_are_told() -> None:
    (depth,) = vertical_remarks([("h.tif", CRS.from_user_input("EPSG:25832+5831"))])
    assert "counts downwards" in depth.message
    assert "--calc=-A" in depth.message


def test_the_same_level_under_another_name_and_undeclared_ones_are_not_told() -> None:
    esri = CRS.from_wkt(
        'COMPD_CS["x",' + UTM.to_wkt() + ',VERT_CS["NAVD_1988",VERT_DATUM["North_American_'
        'Vertical_Datum_1988",2005],UNIT["foot",0.3048],AXIS["Up",UP]]]'
    )
    assert vertical_remarks([("a", FEET), ("b", esri), ("c", UTM), ("d", None)]) == []


def test_the_horizontal_part() -> None:
    assert horizontal(FEET) == CRS.from_epsg(2263)
    bound = CRS.from_string("+proj=utm +zone=32 +ellps=bessel +towgs84=598,73,418 +vunits=m")
    assert "TOWGS84[598,73,418" in horizontal(bound).to_wkt()
    assert vertical_unit(horizontal(bound)) is None
    assert horizontal(UTM) is UTM
    assert horizontal(None) is None
    assert horizontal(NAVD88) is NAVD88


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_vertical_part_is_seen_in_files_of_either_version(
    make_tiff: MakeTiff, version: str
) -> None:
    path = make_tiff("a.tif", np.ones((8, 8), "float32"), crs=FEET, GEOTIFF_VERSION=version)
    with GeoTiff(path, Role.HEIGHT) as source:
        assert vertical_unit(source.crs) == pytest.approx(1200 / 3937)
        assert source.scale == 1


def test_the_commands_that_the_refusal_names_mend_the_pair(
    photo: Callable[..., Path], heights: Callable[..., Path]
) -> None:
    ortho, height = photo(), heights(crs=None, transform=at(0.5, east=20))
    with pytest.raises(CrsMissing) as caught:
        RasterPair.open(ortho, height)
    assert caught.value.message.startswith("ndsm.tif: the height raster has no")
    RasterPair.open(ortho, height, options=ReadingOptions(crs="EPSG:25832")).close()
    rio("edit-info", "--crs", "EPSG:25832", height)
    RasterPair.open(ortho, height).close()
