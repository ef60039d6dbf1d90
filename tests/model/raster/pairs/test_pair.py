"""Pairs: what is refused, and what the accepted ones give on the orthophoto's grid."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from mfnet.model.errors import (
    CrsMissing,
    NoOverlap,
    NotAboveGround,
    NotGeoreferenced,
    RasterMissing,
    RasterUnreadable,
    UnclearUnit,
    WrongBands,
    WrongType,
)
from mfnet.model.raster.files import geotiff
from mfnet.model.raster.pairs.pair import RasterPair, Rows
from mfnet.model.raster.values.height_values import is_value
from mfnet.model.raster.values.reading_options import ReadingOptions

ORIGIN = (500_000.0, 5_700_000.0)
Make = Callable[..., Path]


def at(gsd: float, east: float = 0.0, south: float = 0.0) -> Affine:
    return Affine(gsd, 0, ORIGIN[0] + east, 0, -gsd, ORIGIN[1] - south)


AS_THEY_ARE = ReadingOptions(height_offset=0)


def whole(
    ortho: Path, height: Path, dtm: Path | None = None, options: ReadingOptions | None = None
) -> Rows:
    with RasterPair.open(ortho, height, dtm=dtm, options=options) as pair:
        return pair.read(0, pair.grid.height)


# ---- what is refused -------------------------------------------------------------------------


def test_one_side_without_crs_is_refused_and_named(photo: Make, heights: Make) -> None:
    away = at(0.5, east=1000)
    with pytest.raises(CrsMissing, match="--crs") as caught:
        whole(photo(crs=None, transform=away), heights())
    assert caught.value.params["lacking"] == "orthophoto"
    with pytest.raises(CrsMissing, match="the height raster has no"):
        whole(photo(), heights(crs=None, transform=away))


def test_the_other_crs_is_taken_over_where_the_numbers_agree(photo: Make, heights: Make) -> None:
    expected = whole(photo(), heights())
    with RasterPair.open(photo("bare.tif", crs=None), heights()) as pair:
        assert [remark.code for remark in pair.report.remarks] == ["crs.taken_over"]
        assert pair.grid.crs == CRS.from_epsg(25832)
        assert np.array_equal(pair.read(0, 48).arrays["ndsm"], expected.arrays["ndsm"])


def test_overlap_under_a_tenth_is_refused_with_its_share(photo: Make, heights: Make) -> None:
    with pytest.raises(NoOverlap) as caught:
        whole(photo(), heights(transform=at(0.5, east=22.5)))
    assert caught.value.params["overlap_percent"] == pytest.approx(6.25, abs=1)
    assert whole(photo(), heights(transform=at(0.5, east=20))).valid["ndsm"].any()


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:3857", "IAU_2015:30110"])
def test_another_place_is_refused(photo: Make, heights: Make, crs: str) -> None:
    with pytest.raises(NoOverlap):
        whole(photo(), heights(crs=CRS.from_string(crs)))


def test_metres_that_are_said_to_be_degrees_are_no_place(photo: Make, heights: Make) -> None:
    lonlat = CRS.from_epsg(4326)
    with pytest.raises(NotGeoreferenced, match=r"ndsm\.tif: .*longitudes and latitudes"):
        whole(photo(), heights(crs=lonlat))
    # Both say so, and would fit each other.
    with pytest.raises(NotGeoreferenced, match=r"ortho\.tif: .*longitudes and latitudes"):
        whole(photo(crs=lonlat), heights(crs=lonlat))


@pytest.mark.parametrize("bands", [1, 2])
def test_an_orthophoto_of_too_few_bands_is_refused(photo: Make, heights: Make, bands: int) -> None:
    with pytest.raises(WrongBands) as caught:
        whole(photo(bands=bands, photometric="minisblack"), heights())
    assert caught.value.params["bands"] <= bands


def test_a_photo_as_heights_is_refused(photo: Make) -> None:
    with pytest.raises(WrongBands, match="order of the files"):
        whole(photo(), photo("other.tif"))


@pytest.mark.parametrize("dtype", ["int64", "uint64", "complex64"])
def test_types_that_are_no_height_are_refused(photo: Make, make_tiff: Make, dtype: str) -> None:
    with pytest.raises(WrongType):
        whole(photo(), make_tiff("h.tif", np.ones((48, 48), dtype)))


@pytest.mark.parametrize("dtype", ["int16", "float64", "uint32"])
def test_types_that_are_no_picture_are_refused(photo: Make, heights: Make, dtype: str) -> None:
    with pytest.raises(WrongType):
        whole(photo(dtype=dtype, photometric="minisblack"), heights())


def test_a_palette_is_refused(make_tiff: Make, heights: Make) -> None:
    with pytest.raises(WrongType, match="palette"):
        whole(make_tiff("p.tif", np.ones((48, 48), "uint8"), photometric="palette"), heights())


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_no_transform_to_the_ground_is_refused(photo: Make, heights: Make) -> None:
    with pytest.raises(NotGeoreferenced):
        whole(photo(transform=Affine.identity(), crs=None), heights())


def test_a_missing_file_is_refused(photo: Make, tmp_path: Path) -> None:
    with pytest.raises(RasterMissing):
        whole(photo(), tmp_path / "none.tif")


def test_a_damaged_block_is_an_input_error_where_it_is_read(
    photo: Make, heights: Make, damage: Callable[[Path], int], tmp_path: Path
) -> None:
    path = photo(side=600, tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    row = damage(path)
    with RasterPair.open(path, heights(side=600)) as pair:
        pair.read(row - 16, 16)
        with pytest.raises(RasterUnreadable) as caught:
            pair.read(row, 16)
    assert str(tmp_path) not in caught.value.message


@pytest.mark.parametrize("base", [157.0, 75.0, -45.0])
def test_absolute_heights_are_refused_with_a_word_on_dtm(
    photo: Make, heights: Make, base: float
) -> None:
    with pytest.raises(NotAboveGround, match="--dtm"):
        whole(photo(), heights(base=base))


def test_a_closed_forest_passes_once_somebody_says_so(photo: Make, heights: Make) -> None:
    with pytest.raises(NotAboveGround, match="--height-offset 0"):
        whole(photo(), heights(base=25.0))
    with RasterPair.open(photo(), heights(base=25.0), options=AS_THEY_ARE) as pair:
        assert pair.report.remarks == []


def test_a_town_of_towers_passes_once_somebody_says_so(photo: Make, make_tiff: Make) -> None:
    values = np.zeros((48, 48), "float32")
    values[:, :20] = 300.5 + np.linspace(-0.5, 0.5, 20, dtype="float32")
    path = make_tiff("h.tif", values)
    with pytest.raises(UnclearUnit, match="--height-unit m"):
        whole(photo(), path)
    options = ReadingOptions(height_unit="m")
    assert whole(photo(), path, options=options).arrays["ndsm"].max() == 301


def test_a_terrain_model_from_another_level_is_refused(photo: Make, heights: Make) -> None:
    with pytest.raises(NotAboveGround, match="same level"):
        whole(photo(), heights(base=200), heights("dtm.tif", base=0))


def test_a_failed_opening_leaves_no_file_open(photo: Make, heights: Make) -> None:
    opened: list[geotiff.GeoTiff] = []
    original = geotiff.GeoTiff.__init__

    def spy(self: geotiff.GeoTiff, *arguments: object) -> None:
        original(self, *arguments)  # type: ignore[arg-type]
        opened.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geotiff.GeoTiff, "__init__", spy)
        with pytest.raises(NotAboveGround):
            whole(photo(), heights(base=200))
    assert [source.dataset.closed for source in opened] == [True, True]


# ---- nodata ----------------------------------------------------------------------------------


def test_an_orthophoto_pixel_is_invalid_only_where_all_bands_are_nodata(
    make_tiff: Make, heights: Make
) -> None:
    values = np.full((3, 48, 48), 9, "uint8")
    values[:, 3, 4] = 255
    values[1, 5, 6] = 255
    rows = whole(make_tiff("o.tif", values, nodata=255, photometric="rgb"), heights())
    assert np.argwhere(~rows.valid["ortho"]).tolist() == [[3, 4]]
    assert (rows.arrays["ortho"][:, 3, 4] == 0).all()
    assert rows.arrays["ortho"][1, 5, 6] == 255


def test_alpha_and_masks_and_nan_make_holes(make_tiff: Make, heights: Make) -> None:
    values = np.full((4, 48, 48), 9, "uint8")
    values[3] = 255
    values[3, 7, 8] = 0
    rgba = make_tiff("rgba.tif", values, photometric="rgb", alpha="yes")
    mask = np.full((48, 48), 255, "uint8")
    mask[9, 10] = 0
    masked = make_tiff("masked.tif", values[:3], photometric="rgb", mask=mask)
    floats = values[:3].astype("float32") / 255
    floats[2, 11, 12] = np.nan
    floats[0, 13, 14] = np.inf
    nan = make_tiff("nan.tif", floats, photometric="rgb")
    for path, holes in (
        (rgba, [[7, 8]]),
        (masked, [[9, 10]]),
        (nan, [[11, 12], [13, 14]]),
    ):
        rows = whole(path, heights())
        assert np.argwhere(~rows.valid["ortho"]).tolist() == holes
        assert rows.arrays["ortho"].shape == (3, 48, 48)
        assert np.isfinite(rows.arrays["ortho"]).all()


def test_four_bands_and_alpha_in_front_give_the_first_three_colours(
    make_tiff: Make, heights: Make
) -> None:
    values = np.arange(4, dtype="uint8")[:, None, None] * np.ones((4, 48, 48), "uint8")
    path = make_tiff("rgbn.tif", values + 1, photometric="rgb", alpha="no")
    assert whole(path, heights()).arrays["ortho"][:, 0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("values", "nodata", "expected"),
    [
        (np.float32([1, -9999]), -9999.0, [False, True]),
        (np.float32([1, -3.4028235e38]), -3.4028234663852886e38, [False, True]),
        (np.float32([1, 3.4028235e38]), 3.5e38, [False, True]),
        (np.float32([1, 2]), float("nan"), [False, False]),
        (np.uint8([1, 255]), 255.0, [False, True]),
        (np.uint8([1, 241]), -9999.0, [False, False]),
        (np.uint8([1, 2]), 1.5, [False, False]),
        (np.uint8([1, 2]), float("inf"), [False, False]),
        (np.uint8([1, 2]), None, [False, False]),
    ],
)
def test_nodata_is_told_whatever_its_value(
    values: np.ndarray, nodata: float | None, expected: list[bool]
) -> None:
    assert is_value(values, nodata).tolist() == expected


# ---- alignment -------------------------------------------------------------------------------


def bilinear(heights: np.ndarray, transform: Affine, grid_transform: Affine, side: int):
    """Float64 bilinear samples at pixel centres; NaN where the nearest source pixel is invalid,
    weights renormalised over the valid ones of the four around."""
    out = np.full((side, side), np.nan)
    inverse = ~transform
    h, w = heights.shape
    for row in range(side):
        for column in range(side):
            x = grid_transform.c + grid_transform.a * (column + 0.5)
            y = grid_transform.f + grid_transform.e * (row + 0.5)
            u, v = inverse.a * x + inverse.c, inverse.e * y + inverse.f
            if not (0 <= u < w and 0 <= v < h and np.isfinite(heights[int(v), int(u)])):
                continue
            left, top = int(np.floor(u - 0.5)), int(np.floor(v - 0.5))
            fx, fy = u - 0.5 - left, v - 0.5 - top
            total = weight = 0.0
            for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
                r, c = top + dy, left + dx
                share = (fx if dx else 1 - fx) * (fy if dy else 1 - fy)
                if 0 <= r < h and 0 <= c < w and np.isfinite(heights[r, c]):
                    total += share * float(heights[r, c])
                    weight += share
            out[row, column] = total / weight
    return out


@pytest.mark.parametrize("nodata", [-9999.0, float("nan"), None])
@pytest.mark.parametrize(
    ("gsd", "east", "south"), [(1.7, -3.1, 0.4), (0.5, 0.2, -0.3), (5, -7, -9)]
)
def test_heights_of_another_grid_are_interpolated_as_by_hand(
    photo: Make, make_tiff: Make, gsd: float, east: float, south: float, nodata: float | None
) -> None:
    random = np.random.default_rng(3)
    values = random.random((20, 20)).astype("float32") * 30
    values[4:7, 5:9] = np.nan
    stored = np.where(np.isnan(values), np.float32(np.nan if nodata is None else nodata), values)
    transform = at(gsd, east, south)
    path = make_tiff("h.tif", stored, transform=transform, nodata=nodata)
    rows = whole(photo(), path)
    expected = bilinear(values, transform, at(0.5), 48)
    known = np.isfinite(expected)
    assert known.any()
    assert np.array_equal(rows.valid["ndsm"], known)
    assert np.abs(rows.arrays["ndsm"][0][known] - expected[known]).max() < 1e-3
    assert (rows.arrays["ndsm"][0][~known] == 0).all()


def test_much_finer_heights_are_averaged(photo: Make, make_tiff: Make) -> None:
    values = np.random.default_rng(4).random((48 * 4, 48 * 4)).astype("float32")
    values[:4, :3] = -9999
    rows = whole(photo(), make_tiff("h.tif", values, transform=at(0.125), nodata=-9999))
    known = np.where(values == -9999, np.nan, values.astype(np.float64))
    expected = np.nanmean(known.reshape(48, 4, 48, 4), axis=(1, 3))
    assert np.abs(rows.arrays["ndsm"][0] - expected).max() < 1e-6


def test_masked_and_transparent_heights_are_not_blended_in(photo: Make, make_tiff: Make) -> None:
    values = np.full((30, 30), 5, "float32")
    values[10:12, 10:12] = 3000
    mask = np.where(values == 3000, 0, 255).astype("uint8")
    masked = make_tiff("m.tif", values, transform=at(1.0), mask=mask)
    both = np.stack([values, mask.astype("float32")])
    alpha = make_tiff("a.tif", both, transform=at(1.0), alpha="yes")
    for path in (masked, alpha):
        rows = whole(photo(), path, options=AS_THEY_ARE)
        assert not rows.valid["ndsm"].all()
        assert set(np.unique(rows.arrays["ndsm"])) == {0, 5}


def test_heights_in_another_crs_land_where_they_belong(photo: Make, make_tiff: Make) -> None:
    """A plane in the orthophoto's coordinates, stored in degrees, is the same plane again."""
    utm, degrees = CRS.from_epsg(25832), CRS.from_epsg(4258)
    west, south, east, north = transform_bounds(
        utm, degrees, ORIGIN[0] - 20, ORIGIN[1] - 50, ORIGIN[0] + 50, ORIGIN[1] + 20
    )
    step = 1e-5
    shape = (int((north - south) / step), int((east - west) / step))
    rows, columns = np.indices(shape)
    lon, lat = west + (columns + 0.5) * step, north - (rows + 0.5) * step
    from rasterio.warp import transform

    x, y = transform(degrees, utm, lon.ravel(), lat.ravel())
    plane = 10 + 0.1 * (np.array(x) - ORIGIN[0]) + 0.05 * (np.array(y) - ORIGIN[1])
    path = make_tiff(
        "h.tif",
        plane.reshape(shape).astype("float32"),
        transform=Affine(step, 0, west, 0, -step, north),
        crs=degrees,
    )
    found = whole(photo(), path, options=AS_THEY_ARE).arrays["ndsm"][0]
    expected = 10 + 0.1 * 0.5 * (np.arange(48) + 0.5) - 0.05 * 0.5 * (np.arange(48)[:, None] + 0.5)
    assert np.abs(found - expected).max() < 0.01


@pytest.mark.parametrize("kind", ["south-up", "rotated"])
def test_turned_grids_see_the_same_ground(photo: Make, make_tiff: Make, kind: str) -> None:
    turned = {
        "south-up": Affine(0.5, 0, ORIGIN[0], 0, 0.5, ORIGIN[1] - 24),
        "rotated": Affine.translation(ORIGIN[0] + 12, ORIGIN[1] - 17)
        @ Affine.rotation(30)
        @ Affine.scale(0.2, -0.2),
    }[kind]
    rows, columns = np.indices((120, 120)) + 0.5
    values = (columns * 0.1 + rows * 0.07).astype("float32")
    path = make_tiff("h.tif", values, transform=at(0.5, -10, -10))
    found = whole(photo(transform=turned), path, options=AS_THEY_ARE)
    row, column = np.indices((48, 48)) + 0.5
    x = turned.a * column + turned.b * row + turned.c - (ORIGIN[0] - 10)
    y = ORIGIN[1] + 10 - (turned.d * column + turned.e * row + turned.f)
    expected = 2 * x * 0.1 + 2 * y * 0.07
    assert found.valid["ndsm"].all()
    assert np.abs(found.arrays["ndsm"][0] - expected).max() < 2e-3


def test_a_broken_name_of_the_right_crs_is_the_right_crs(photo: Make, heights: Make) -> None:
    wkt = CRS.from_epsg(25832).to_wkt()
    broken = CRS.from_wkt(
        wkt.split("GEOGCS")[0].replace("ETRS89 / UTM zone 32N", "EPSG:25832")
        + 'GEOGCS["unknown",DATUM["unnamed",SPHEROID["unknown",6378137,298.257223563]],'
        'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],'
        + wkt[wkt.index("PROJECTION") : wkt.index(',AUTHORITY["EPSG","25832"]')]
        + "]"
    )
    assert broken != CRS.from_epsg(25832)
    with RasterPair.open(photo(crs=broken), heights()) as pair:
        assert "crs.names_differ" in [remark.code for remark in pair.report.remarks]
        assert pair.height.placement.same_grid


def test_no_crs_on_both_is_accepted_and_areas_are_unknown(photo: Make, make_tiff: Make) -> None:
    values = np.random.default_rng(5).random((30, 30)).astype("float32")
    ortho = photo(crs=None)
    with RasterPair.open(ortho, make_tiff("h.tif", values, transform=at(1), crs=None)) as pair:
        assert pair.grid.pixel_area_m2(0) is None
        assert pair.report.gsd_m is None
        assert pair.read(0, 48).valid["ndsm"].all()


def test_a_terrain_model_of_another_grid_is_subtracted(photo: Make, make_tiff: Make) -> None:
    ground = np.full((20, 20), 412.5, "float32")
    surface = np.full((96, 96), 420.0, "float32")
    surface[:40] = 412.0
    dtm = make_tiff("dtm.tif", ground, transform=at(1.5, -2, -2))
    dsm = make_tiff("dsm.tif", surface, transform=at(0.25))
    found = whole(photo(), dsm, dtm).arrays["ndsm"][0]
    assert found[:20].max() == 0, "half a metre below the ground is the ground"
    assert (found[20:] == 7.5).all()


def test_scale_and_offset_of_the_heights_apply(photo: Make, make_tiff: Make) -> None:
    import rasterio

    path = make_tiff("cm.tif", np.full((48, 48), 1230, "int16"))
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets = (0.01,), (1.0,)
    found = whole(photo(), path, options=AS_THEY_ARE)
    assert found.arrays["ndsm"][0, 0, 0] == pytest.approx(13.3)


# ---- reading ---------------------------------------------------------------------------------


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 47), max_size=6))
def test_rows_are_the_same_however_they_are_cut(
    photo: Make, heights: Make, cuts: list[int]
) -> None:
    ortho, height = photo(), heights(transform=at(0.7, -1, -1))
    expected = whole(ortho, height)
    edges = [0, *sorted(set(cuts)), 48]
    with RasterPair.open(ortho, height) as pair:
        parts = [pair.read(a, b - a) for a, b in pairwise(edges)]
    for name in ("ortho", "ndsm"):
        found = np.concatenate([part.arrays[name] for part in parts], axis=1)
        assert np.array_equal(found, expected.arrays[name])
        found = np.concatenate([part.valid[name] for part in parts])
        assert np.array_equal(found, expected.valid[name])
    assert [part.row for part in parts] == edges[:-1]


def test_rows_beyond_the_last_are_left_out_and_types_are_kept(photo: Make, heights: Make) -> None:
    with RasterPair.open(photo(dtype="uint16"), heights()) as pair:
        rows = pair.read(40, 100)
        assert pair.ortho_dtype == np.uint16
    assert rows.arrays["ortho"].shape == (3, 8, 48)
    assert rows.arrays["ortho"].dtype == np.uint16
    assert rows.arrays["ndsm"].dtype == np.float32


def test_a_pair_is_read_in_another_thread(photo: Make, heights: Make) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with RasterPair.open(photo(), heights(transform=at(0.7, -1, -1))) as pair:
        with ThreadPoolExecutor(1) as thread:
            there = thread.submit(pair.read, 0, 48).result()
        assert np.array_equal(there.arrays["ndsm"], pair.read(0, 48).arrays["ndsm"])


@pytest.mark.parametrize("name", ["ortho_rgb", "ortho_irrg"])
def test_ign_gives_the_same_heights_from_ndsm_and_from_dsm_with_dtm(
    shared: Path, name: str
) -> None:
    folder = shared / "data/pairs/ign"
    ortho = folder / f"{name}.tif"
    ndsm = whole(ortho, folder / "ndsm.tif")
    difference = whole(ortho, folder / "dsm.tif", folder / "dtm.tif")
    assert np.abs(ndsm.arrays["ndsm"] - difference.arrays["ndsm"]).max() < 1e-5
    assert ndsm.valid["ndsm"].all()
    assert (~ndsm.valid["ortho"]).sum() < 20, "roofs saturated in one band are no holes"


@pytest.mark.parametrize("site", ["JERC_049", "SJER_052"])
def test_neon_heights_ten_times_coarser_are_aligned(shared: Path, site: str) -> None:
    folder = shared / "data/pairs/neon"
    with RasterPair.open(folder / f"{site}.tif", folder / f"{site}_CHM.tif") as pair:
        rows = pair.read(0, 400)
        assert pair.grid.gsd_m == pytest.approx(0.1)
        assert pair.height.placement.pixels_per_pixel == pytest.approx(0.1)
    assert 0.97 < rows.valid["ndsm"].mean() < 1
    assert 10 < rows.arrays["ndsm"].max() < 30


def test_nodeodm_surface_model_is_refused(shared: Path) -> None:
    folder = shared / "data/pairs/nodeodm"
    with pytest.raises(NotAboveGround, match="--dtm") as caught:
        RasterPair.open(folder / "odm_orthophoto.tif", folder / "dsm.tif")
    assert 150 < caught.value.params["p1"] < 160


def test_reading_takes_whole_rows_inside_the_raster(photo: Make, heights: Make) -> None:
    with RasterPair.open(photo(), heights()) as pair:
        values, valid = pair.ortho.read(Window(2, 3, 4, 5))
    assert values.shape == (3, 5, 4)
    assert valid.shape == (5, 4)
