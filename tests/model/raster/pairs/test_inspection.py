"""Inspection: every block decoded once, and odd files refused with a code."""

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window

from mfnet.model.errors import InputError, NoData, RasterForbidden, RasterUnreadable
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.pairs import inspection
from mfnet.model.raster.pairs.inspection import (
    chunks,
    inspect_alone,
    inspect_pair,
    inspect_raster,
    scan,
)

Make = Callable[..., Path]


def test_a_pair_is_reported(photo: Make, heights: Make) -> None:
    steps: list[tuple[int, int]] = []
    report = inspect_pair(photo(), heights(), progress=lambda *step: steps.append(step))
    assert report.scanned
    assert report.overlap_percent == 100
    assert report.gsd_m == pytest.approx(0.5)
    assert report.ortho.crs == "EPSG:25832"
    assert report.ortho.valid_percent == 100
    assert (report.ortho.minimum, report.ortho.maximum) == (1, 199)
    assert list(report.height_percentiles) == ["p1", "p5", "p25", "p50", "p75", "p95", "p99"]
    assert report.height_percentiles["p99"] <= 20
    assert steps[-1][0] == steps[-1][1]
    assert steps == sorted(steps)
    assert report.model_dump(mode="json")["ortho"]["block"] == list(report.ortho.block)


def test_percentiles_are_those_of_all_heights_where_the_raster_is_small(
    photo: Make, make_tiff: Make
) -> None:
    values = (np.random.default_rng(6).random((30, 30)) * 20).astype("float32")
    report = inspect_pair(photo(side=30), make_tiff("h.tif", values))
    expected = np.percentile(values.astype(np.float64), [1, 50, 99])
    found = [report.height_percentiles[name] for name in ("p1", "p50", "p99")]
    assert found == pytest.approx(expected, abs=0.006)


def test_damage_outside_of_the_sample_is_found_by_the_scan(
    photo: Make, heights: Make, damage: Callable[[Path], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Comparing heights with their picture reads all of so small a raster.
    monkeypatch.setattr("mfnet.model.raster.pairs.inspection._QUICK_BYTES", 0)
    path = photo(side=600, tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    damage(path)
    assert not inspect_pair(path, heights(side=600), quick=True).scanned
    with pytest.raises(RasterUnreadable):
        inspect_pair(path, heights(side=600))


@pytest.mark.parametrize("compress", [None, "deflate", "lzw", "zstd", "lzma", "lerc", "webp"])
@pytest.mark.parametrize("keep", [0.5, 0.9, 0.999])
def test_every_truncation_is_found(photo: Make, compress: str | None, keep: float) -> None:
    options = {"compress": compress, "tiled": True, "blockxsize": 16, "blockysize": 16}
    options |= {"interleave": "pixel", "webp_lossless": True} if compress == "webp" else {}
    path = photo(side=80, **options)
    assert inspect_raster(path).suits == ["orthophoto"]
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(RasterUnreadable):
        inspect_raster(path)


def test_not_one_valid_pixel_is_refused(make_tiff: Make, photo: Make, heights: Make) -> None:
    black = make_tiff("black.tif", np.zeros((3, 48, 48), "uint8"), nodata=0, photometric="rgb")
    with pytest.raises(NoData):
        inspect_pair(black, heights())
    empty = make_tiff("empty.tif", np.full((48, 48), np.nan, "float32"))
    with pytest.raises(NoData):
        inspect_pair(photo(), empty)


def test_a_height_beyond_float32_is_not_valid(make_tiff: Make) -> None:
    values = np.full((8, 8), 3.0)
    values[0, 0] = 1e300
    raster = inspect_raster(make_tiff("h.tif", values)).raster
    assert (raster.minimum, raster.maximum, raster.valid_percent) == (3, 3, 100 * 63 / 64)


def test_one_raster_says_what_it_suits(photo: Make, heights: Make) -> None:
    assert inspect_raster(photo()).suits == ["orthophoto"]
    report = inspect_raster(heights())
    assert report.suits == ["height raster"]
    assert report.refused["orthophoto"].code == "raster.wrong_bands"


def test_class_numbers_could_be_heights_and_a_palette_says_that_they_are_not(
    make_tiff: Make,
) -> None:
    values = np.arange(64, dtype="uint8").reshape(8, 8) % 6
    report = inspect_raster(make_tiff("plain.tif", values))
    assert report.suits == ["height raster", "class raster"]
    report = inspect_raster(make_tiff("palette.tif", values, photometric="palette"))
    assert report.suits == ["class raster"]
    assert {refusal.code for refusal in report.refused.values()} == {"raster.wrong_type"}
    assert (report.raster.minimum, report.raster.maximum) == (0, 5)


def test_twelve_bits_in_sixteen_are_remarked(make_tiff: Make, heights: Make) -> None:
    values = np.random.default_rng(7).integers(0, 4096, (3, 48, 48)).astype("uint16")
    report = inspect_pair(make_tiff("o.tif", values, photometric="rgb"), heights())
    assert [remark.code for remark in report.remarks] == ["ortho.white"]


def test_web_mercator_areas_are_remarked(make_tiff: Make) -> None:
    from affine import Affine
    from rasterio.crs import CRS

    place = {"crs": CRS.from_epsg(3857), "transform": Affine(1, 0, 1e6, 0, -1, 6_600_000)}
    ortho = make_tiff("o.tif", np.full((3, 9, 9), 7, "uint8"), photometric="rgb", **place)
    report = inspect_pair(ortho, make_tiff("h.tif", np.ones((9, 9), "float32"), **place))
    message = next(r.message for r in report.remarks if r.code == "crs.distorts")
    assert "2." in message, "at 51° north areas are about 2.5 times too large"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tiled": True, "blockxsize": 16, "blockysize": 32},
        {"blockysize": 5},
        {"blockysize": 70},
        {"interleave": "band"},
    ],
)
@pytest.mark.parametrize("chunk_bytes", [1, 3000, 1 << 20])
def test_chunks_are_whole_blocks_that_cover_each_pixel_once(
    photo: Make, options: dict[str, int], chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfnet.model.raster.pairs.inspection.CHUNK_BYTES", chunk_bytes)
    with GeoTiff(photo(side=70, **options), Role.ORTHO) as source:
        counted = np.zeros((70, 70), int)
        for window in chunks(source):
            assert window.row_off % source.layout.block_height == 0
            assert window.col_off % source.layout.block_width == 0
            counted[window.toslices()] += 1
        assert (counted == 1).all()


def test_a_scan_holds_chunks_and_not_the_raster(make_tiff: Make) -> None:
    values = np.zeros((4096, 4096), "float32")
    values[1, 1] = 7
    path = make_tiff("h.tif", values, compress="deflate", tiled=True, sparse_ok=True)
    del values
    with GeoTiff(path, Role.HEIGHT) as source:
        tracemalloc.start()
        found = scan(source, source.read)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert (found.valid, found.minimum, found.maximum) == (4096**2, 0, 7)
    assert peak < 64 << 20, "the raster has 64 MB, two chunks and their masks 50 MB at most"


def test_overviews_beside_a_file_are_not_looked_at(heights: Make, photo: Make) -> None:
    path = heights()
    path.with_name(path.name + ".ovr").write_text("<VRTDataset/>")
    report = inspect_pair(photo(), path)
    assert report.height.maximum is not None
    assert report.height.maximum < 21


def test_metadata_that_gdal_would_follow_are_refused(make_tiff: Make, tmp_path: Path) -> None:
    """GDAL itself writes such a file, so the test would see it being opened."""
    import rasterio

    path = make_tiff("a.tif", np.ones((32, 32), "float32"))
    secret = make_tiff("secret.tif", np.full((16, 16), 9, "float32"))
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(secret))
    with pytest.raises(RasterForbidden, match="OVERVIEWS"):
        inspect_raster(path)
    assert secret.exists()


def outcome(attempt: Callable[[], object]) -> tuple[str, str]:
    try:
        attempt()
    except InputError as error:
        return error.code, error.message
    return "ok", ""


def test_odd_files_give_a_code_or_a_result_in_time(shared: Path) -> None:
    """As a raster by itself, as orthophoto and as height; quick, in this process."""
    good = shared / "data/pairs/ign"
    files = sorted((shared / "data/odd-geotiffs").glob("*.tif"))
    assert len(files) == 73
    outcomes: dict[str, int] = {}
    for path in files:
        started = time.monotonic()
        for attempt in (
            lambda path=path: inspect_raster(path),
            lambda path=path: inspect_pair(path, good / "ndsm.tif"),
            lambda path=path: inspect_pair(good / "ortho_rgb.tif", path),
        ):
            code, message = outcome(attempt)
            assert str(shared) not in message, path.name
            outcomes[code] = outcomes.get(code, 0) + 1
        assert time.monotonic() - started < 20, path.name
    assert outcomes["ok"] >= 10
    assert {"raster.not_geotiff", "raster.too_large", "raster.unreadable"} <= set(outcomes)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("masq_byte_vrt", "raster.not_geotiff"),
        ("masq_python_ones_vrt", "raster.not_geotiff"),
        ("masq_WMTSCapabilities_xml", "raster.not_geotiff"),
        ("nodegdal_huge-sparse", "raster.too_large"),
        ("pillow_libtiff_segfault", "raster.too_large"),
        ("gdal_toomanyblocks", "raster.too_large"),
        ("gdal_byte_truncated", "raster.unreadable"),
        ("gdal_byte_zstd_corrupted", "raster.unreadable"),
        ("gdal_unknown_compression", "raster.forbidden"),
        ("gdal_cfloat32", "raster.wrong_type"),
        ("gdal_int64", "raster.wrong_type"),
        ("gdal_test_average_palette", "raster.wrong_type"),
        ("gdal_byte_gcp", "raster.not_georeferenced"),
        ("gdal_southup_tile1_utm49s", "raster.no_data"),
    ],
)
def test_an_odd_file_gets_the_right_code(shared: Path, name: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        inspect_raster(shared / "data/odd-geotiffs" / f"{name}.tif")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("gdal_byte_LERC_ZSTD", 74, 255),
        ("gdal_byte_LZMA", 74, 255),
        ("gdal_float16", 74, 255),
        ("gdal_int10", 74, 255),
        ("gdal_tiff_vertcs_scale_offset", 106, 106),
    ],
)
def test_an_odd_file_is_read_right(shared: Path, name: str, low: float, high: float) -> None:
    raster = inspect_raster(shared / "data/odd-geotiffs" / f"{name}.tif").raster
    assert (raster.minimum, raster.maximum) == pytest.approx((low, high), abs=2)


def test_a_window_of_a_chunk_is_read_as_stored(photo: Make) -> None:
    with GeoTiff(photo(), Role.ORTHO) as source:
        everything, _ = source.read(Window(0, 0, 48, 48))
        for window in chunks(source):
            values, _ = source.read(window)
            assert np.array_equal(values, everything[(slice(None), *window.toslices())])


def test_a_scan_that_takes_too_long_ends_and_says_so(
    photo: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "CHUNK_BYTES", 1)
    path = photo(side=64, tiled=True, blockxsize=16, blockysize=16)
    late = inspect_alone(path, scan_s=0)
    assert [remark.code for remark in late.remarks] == ["raster.not_all_read"]
    assert "damage in the rest is found when it is mapped" in late.remarks[0].message
    assert (late.suits, late.raster.valid_percent) == (["orthophoto"], None)
    assert inspect_alone(path, scan_s=60) == inspect_alone(path)
