"""Paths and files that are no GeoTIFF get a word of their own, and a command that mends it."""

import gzip
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import given
from hypothesis import strategies as st

from mfnet.model.errors import (
    InputError,
    NotGeoTiff,
    RasterForbidden,
    RasterMissing,
    RasterTooLarge,
    WrongType,
)
from mfnet.model.raster.files import foreign_formats, tags
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.files.screening import COMPRESSIONS, Limits, screen
from mfnet.model.raster.pairs.inspection import inspect_alone
from tests.model.conftest import MakeTiff
from tests.model.programs import gdal_translate, rio, run
from tests.model.raster.files.test_tags import PLAIN, tiff


@pytest.mark.parametrize(
    ("path", "found", "mend"),
    [
        ("https://example.org/a/ortho.tif", "an address (https://…)", "curl -LO https://…"),
        ("http://example.org/ortho.tif", "an address (http://…)", "download it first"),
        ("s3://bucket/ortho.tif", "an address (s3://…)", "aws s3 cp s3://…"),
        ("gs://bucket/ortho.tif", "an address (gs://…)", "gcloud storage cp"),
        ("ftp://example.org/ortho.tif", "an address", "curl"),
        ("file:///data/ortho.tif", "a local file", "/data/ortho.tif"),
        ("/vsicurl/https://example.org/ortho.tif", "virtual file systems", "gdal_translate /vsi"),
        ("/vsizip/a.zip/ortho.tif", "virtual file systems", "gdal_translate /vsi"),
        ("/vsis3/bucket/ortho.tif", "virtual file systems", "gdal_translate /vsi"),
        ("PG:dbname=gis table=ortho", "a name of GDAL's (PG:…)", "gdal_translate PG:…"),
        ('NETCDF:"a.nc":height', "a name of GDAL's (NETCDF:…)", "gdal_translate NETCDF:…"),
        ("GTIFF_DIR:2:a.tif", "a name of GDAL's (GTIFF_DIR:…)", "gdal_translate"),
        ("PG:" + 300 * "a", "a name of GDAL's", "gdal_translate"),
        ("tiles/*.tif", "a pattern of names", "gdalbuildvrt ALL.vrt tiles/*.tif"),
    ],
)
def test_paths_that_name_no_file(path: str, found: str, mend: str) -> None:
    with pytest.raises(RasterMissing) as caught:
        screen(Path(path))
    assert found in caught.value.message
    assert mend in caught.value.message
    assert "expected the path of one GeoTIFF" in caught.value.message


@pytest.mark.parametrize(
    "address",
    [
        "https://me:hunter2@example.org/a.tif",
        "https://me:hunter2@example.org",
        "https://example.org/a.tif?key=hunter2",
        "https://example.org/a.tif?key=a/hunter2",
        "PG:dbname=gis password=hunter2",
        "PG:dbname=gis password=a/hunter2",
    ],
)
def test_passwords_of_an_address_are_not_repeated(address: str) -> None:
    with pytest.raises(RasterMissing) as caught:
        screen(Path(address))
    assert "hunter2" not in json.dumps(caught.value.to_dict())


def test_a_file_that_only_looks_like_an_address_is_read(make_tiff: MakeTiff) -> None:
    path = make_tiff("PG:dbname=a.tif", np.ones((8, 8), "float32"))
    assert screen(path).width == 8


def test_a_missing_file_keeps_its_word(tmp_path: Path) -> None:
    for name in ("none.tif", "C:\\none.tif", "1:2.tif"):
        with pytest.raises(RasterMissing, match="No such file"):
            screen(tmp_path / name)


def test_a_folder_of_tiles_says_how_to_merge_them(make_tiff: MakeTiff, tmp_path: Path) -> None:
    folder = tmp_path / "tiles"
    folder.mkdir()
    for number in range(2):
        values = np.full((8, 8), number, "float32")
        transform = rasterio.Affine(1, 0, 5e5 + 8 * number, 0, -1, 5.4e6)
        shutil.move(make_tiff(f"{number}.TIF", values, transform), folder)
    with pytest.raises(RasterMissing) as caught:
        screen(folder)
    message = caught.value.message
    assert "a folder with 2 GeoTIFFs" in message
    assert "gdalbuildvrt ALL.vrt tiles/*.tif and gdal_translate ALL.vrt ALL.tif" in message
    run("gdalbuildvrt", tmp_path / "ALL.vrt", *sorted(folder.iterdir()))
    gdal_translate(tmp_path / "ALL.vrt", tmp_path / "ALL.tif")
    with GeoTiff(tmp_path / "ALL.tif", Role.HEIGHT) as merged:
        assert merged.grid.width == 16


def test_a_folder_of_one_or_none(make_tiff: MakeTiff, tmp_path: Path) -> None:
    with pytest.raises(RasterMissing, match=r"a folder with no GeoTIFF; .*: name a file"):
        screen(tmp_path)
    make_tiff("only.tif", np.ones((8, 8), "float32"))
    with pytest.raises(RasterMissing, match=rf"name {tmp_path.name}/only\.tif"):
        screen(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(RasterMissing, match="not a regular file"):
        inspect_alone(tmp_path / "pipe.tif")


def _vrt(source: Path, target: Path) -> None:
    rasterio.shutil.copy(source, target, driver="VRT")


def _zip(source: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        archive.write(source, source.name)


def _as(driver: str, **options: str) -> Callable[[Path, Path], None]:
    def make(source: Path, target: Path) -> None:
        rasterio.shutil.copy(source, target, driver=driver, **options)

    return make


RASTERS = {
    "VRT": (_vrt, "a VRT"),
    "JPEG 2000": (_as("JP2OpenJPEG", REVERSIBLE="YES", QUALITY="100"), "JPEG 2000"),
    "ERDAS": (_as("HFA"), "ERDAS IMAGINE"),
    "ASCII": (_as("AAIGrid"), "ESRI ASCII grid"),
    "GeoPackage": (_as("GPKG"), "a GeoPackage?"),
    "XYZ": (_as("XYZ"), "a list of numbers"),
}


@pytest.mark.parametrize("name", RASTERS)
@pytest.mark.parametrize("ending", [".tif", ".dat"])
def test_other_rasters_become_one_by_the_command_named(
    make_tiff: MakeTiff, tmp_path: Path, name: str, ending: str
) -> None:
    write, found = RASTERS[name]
    source = make_tiff("source.tif", np.arange(3600, dtype="uint8").reshape(60, 60))
    other = tmp_path / f"other{ending}"
    write(source, other)
    with pytest.raises(NotGeoTiff) as caught:
        screen(other)
    assert found in caught.value.message
    assert "gdal_translate IN OUT.tif" in caught.value.message
    if name != "GeoPackage":  # of which GDAL makes tiles with another origin
        gdal_translate(other, tmp_path / "mended.tif")
        with GeoTiff(tmp_path / "mended.tif", Role.HEIGHT) as mended:
            assert (mended.grid.height, mended.grid.width) == (60, 60)


def test_a_vrt_becomes_one_by_rasterios_command(make_tiff: MakeTiff, tmp_path: Path) -> None:
    make_tiff("source.tif", np.arange(3600, dtype="uint8").reshape(60, 60))
    rasterio.shutil.copy(tmp_path / "source.tif", tmp_path / "a.vrt", driver="VRT")
    with pytest.raises(NotGeoTiff, match=r"a\.vrt: a VRT.*rio convert IN OUT\.tif"):
        screen(tmp_path / "a.vrt")
    rio("convert", tmp_path / "a.vrt", tmp_path / "mended.tif")
    with GeoTiff(tmp_path / "mended.tif", Role.HEIGHT) as mended:
        assert (mended.grid.height, mended.grid.width) == (60, 60)


CONTENTS = {
    "a web page": b"\n <!DOCTYPE html><html><body>Please log in</body></html>",
    "a web page, XHTML": b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a --><html>',
    "XML": b'<?xml version="1.0"?><ServiceExceptionReport/>',
    "the description of a web service": b"<GDAL_WMS><Service/></GDAL_WMS>",
    "JSON": b'{"error": "no such layer"}',
    "a gzip archive": gzip.compress(b"abc"),
    "a point cloud (LAS": b"LASF" + bytes(200),
    "a PNG picture": b"\x89PNG\r\n\x1a\n",
    "a JPEG picture": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "an HDF5 or NetCDF": b"\x89HDF\r\n\x1a\n",
    "a PDF": b"%PDF-1.7",
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
    "an empty file": b"",
    "zeros": bytes(500),
}


@pytest.mark.parametrize("found", CONTENTS)
def test_a_tif_that_is_something_else_is_named(tmp_path: Path, found: str) -> None:
    path = tmp_path / "ortho.tif"
    path.write_bytes(CONTENTS[found])
    with pytest.raises(NotGeoTiff) as caught:
        screen(path)
    assert caught.value.message.startswith(f"ortho.tif: {found.split(',')[0]}")
    assert "; expected a GeoTIFF: " in caught.value.message


def test_an_archive_is_unpacked(make_tiff: MakeTiff, tmp_path: Path) -> None:
    packed = tmp_path / "packed.tif"
    _zip(make_tiff("inside.tif", np.ones((8, 8), "float32")), packed)
    with pytest.raises(NotGeoTiff, match=r"a ZIP archive; .*unpack it"):
        screen(packed)
    zipfile.ZipFile(packed).extract("inside.tif", tmp_path / "out")
    assert screen(tmp_path / "out" / "inside.tif").width == 8


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("a.ecw", "gdal_translate"),
        ("a.HGT", "gdal_translate"),
        ("a.laz", "PDAL"),
        ("a.tfw", "name the raster"),
        ("a.shp", "gdal_rasterize"),
        ("a.bin", "if GDAL reads it"),
    ],
)
def test_what_only_the_ending_tells(tmp_path: Path, name: str, mend: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x01\x02\x03\xff" * 20)
    with pytest.raises(NotGeoTiff, match=mend):
        screen(path)


@given(st.text(max_size=40), st.binary(max_size=600))
def test_nothing_is_too_strange_for_a_word(name: str, start: bytes) -> None:
    for kind in (
        foreign_formats.of_path(Path(name)),
        foreign_formats.of_content(name or "a", start),
    ):
        assert kind is None or (kind.found and kind.mend)


def refused(path: Path, error: type[InputError], role: Role = Role.HEIGHT) -> str:
    """The message of a refusal: it names the file, and what was expected or accepted."""
    with pytest.raises(error) as caught:
        GeoTiff(path, role)
    assert caught.value.message.startswith(f"{path.name}: ")
    assert "expected" in caught.value.message or "accepted" in caught.value.message
    return caught.value.message


def test_a_compression_that_is_not_accepted_is_changed(make_tiff: MakeTiff, tmp_path: Path) -> None:
    path = make_tiff("fax.tif", np.eye(32, dtype="uint8"), compress="CCITTFAX4", nbits=1)
    message = refused(path, RasterForbidden)
    assert "gdal_translate -co COMPRESS=DEFLATE IN.tif OUT.tif" in message
    gdal_translate("-co", "COMPRESS=DEFLATE", path, tmp_path / "mended.tif")
    with GeoTiff(tmp_path / "mended.tif", Role.LABELS) as mended:  # single bits get a palette
        values, _ = mended.read(rasterio.windows.Window(0, 0, 32, 32))
    np.testing.assert_array_equal(values[0], np.eye(32))
    assert all(name in message for name in COMPRESSIONS.values())


def test_a_sparse_file_is_written_out(make_tiff: MakeTiff, tmp_path: Path) -> None:
    """With limits as small as the test's file."""
    path = make_tiff("sparse.tif", np.zeros((900, 900), "float32"), sparse_ok=True, tiled=True)
    limits = Limits(always_bytes=1 << 16, expansion=10)
    with pytest.raises(RasterTooLarge, match=r"gdal_translate -co TILED=YES IN\.tif OUT\.tif"):
        screen(path, limits)
    gdal_translate("-co", "TILED=YES", path, tmp_path / "mended.tif")
    assert screen(tmp_path / "mended.tif", limits).width == 900


def test_blocks_are_made_smaller(make_tiff: MakeTiff, tmp_path: Path) -> None:
    path = make_tiff("strip.tif", np.ones((600, 600), "float32"), blockysize=600)
    limits = Limits(block_bytes=1 << 18, blocks=100)
    with pytest.raises(RasterTooLarge, match=r"bytes a block.*gdal_translate -co TILED=YES"):
        screen(path, limits)
    gdal_translate("-co", "TILED=YES", path, tmp_path / "mended.tif")
    assert screen(tmp_path / "mended.tif", limits).block_width == 256


TYPES = [
    ("int32", Role.ORTHO, ("-ot", "UInt16")),
    ("float64", Role.ORTHO, ("-ot", "Float32")),
    ("int64", Role.HEIGHT, ("-ot", "Float32")),
    ("palette", Role.ORTHO, ("-expand", "rgb")),
]


@pytest.fixture
def odd_type(make_tiff: MakeTiff) -> Callable[[str, Role], Path]:
    """A raster of a type that its role does not take."""

    def make(kind: str, role: Role) -> Path:
        if kind != "palette":
            bands = 3 if role is Role.ORTHO else 1
            return make_tiff("odd.tif", np.ones((bands, 8, 8), kind))
        path = make_tiff("odd.tif", np.ones((8, 8), "uint8"))
        with rasterio.open(path, "r+") as raster:
            raster.write_colormap(1, {value: (9 * value, 0, 0, 255) for value in range(4)})
        return path

    return make


@pytest.mark.parametrize(("kind", "role", "options"), TYPES)
def test_a_type_is_refused_with_the_command_that_converts_it(
    odd_type: Callable[[str, Role], Path], kind: str, role: Role, options: tuple[str, str]
) -> None:
    message = refused(odd_type(kind, role), WrongType, role)
    assert f"gdal_translate {' '.join(options)} IN.tif OUT.tif" in message


@pytest.mark.parametrize(("kind", "role", "options"), TYPES)
def test_a_type_is_converted_by_the_command_named(
    odd_type: Callable[[str, Role], Path],
    tmp_path: Path,
    kind: str,
    role: Role,
    options: tuple[str, str],
) -> None:
    gdal_translate(*options, odd_type(kind, role), tmp_path / "mended.tif")
    GeoTiff(tmp_path / "mended.tif", role).close()


def test_a_transform_is_written_by_the_command_named(make_tiff: MakeTiff) -> None:
    path = make_tiff("wild.tif", np.ones((8, 8), "float32"), rasterio.Affine(1e300, 0, 0, 0, -1, 0))
    with pytest.raises(InputError, match=r"gdal_edit\.py -a_ullr LEFT TOP RIGHT BOTTOM"):
        GeoTiff(path, Role.HEIGHT)
    run("gdal_edit.py", "-a_ullr", "500000", "5400008", "500008", "5400000", path)
    GeoTiff(path, Role.HEIGHT).close()


@pytest.mark.parametrize(
    "changes",
    [
        {tags.WIDTH: 2_000_000, tags.HEIGHT: 1},
        {tags.WIDTH: 600_000, tags.HEIGHT: 600_000},
        {tags.BANDS: 65_535},
        {tags.TILE_WIDTH: 9_000, tags.TILE_HEIGHT: 9_000},
        {tags.WIDTH: 0},
        {tags.TILE_WIDTH: 16},
        {tags.COMPRESSION: 6},
        {tags.PHOTOMETRIC: 5},
        {tags.PHOTOMETRIC: 3},
        {tags.SAMPLE_FORMAT: 6},
    ],
)
def test_each_refusal_by_tags_names_file_found_expected_and_what_mends_it(
    tmp_path: Path, changes: dict[int, int]
) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff({**PLAIN, **changes}))
    message = refused(path, InputError)
    assert any(word in message for word in ("gdal_translate ", "copy it again", "convert it"))
