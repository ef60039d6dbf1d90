"""The walk over a stranger's tags, on TIFFs made byte by byte."""

import os
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfnet.model.errors import (
    InputError,
    NotGeoTiff,
    RasterForbidden,
    RasterMissing,
    RasterTooLarge,
    RasterUnreadable,
    WrongType,
)
from mfnet.model.raster.files import tags
from mfnet.model.raster.files.screening import screen

PLAIN = {
    tags.WIDTH: 20,
    tags.HEIGHT: 10,
    tags.BITS: 8,
    tags.COMPRESSION: 1,
    tags.PHOTOMETRIC: 1,
    tags.BANDS: 1,
    tags.ROWS_PER_STRIP: 10,
}


def tiff(
    *directories: dict[int, int | bytes], order: str = "<", big: bool = False, loop: bool = False
) -> bytes:
    """A TIFF of the given directories and no pixels; `loop` links the last one to the first."""
    mark = b"II" if order == "<" else b"MM"
    offset_format, count_format = ("Q", "Q") if big else ("I", "H")
    header = mark + struct.pack(
        f"{order}HHH" if big else f"{order}H", *((43, 8, 0) if big else (42,))
    )
    start = 16 if big else 8
    body = header + struct.pack(order + offset_format, start)
    for number, directory in enumerate(directories):
        at = len(body)
        entry = 20 if big else 12
        size = struct.calcsize(order + count_format) + entry * len(directory)
        size += struct.calcsize(order + offset_format)
        entries, extra = b"", b""
        for tag, value in sorted(directory.items()):
            if isinstance(value, int):
                packed = struct.pack(order + offset_format, value)
                kind, count = (16, 1) if big else (4, 1)
            else:
                packed = struct.pack(order + offset_format, at + size + len(extra))
                extra += value
                kind, count = 2, len(value)
            entries += struct.pack(f"{order}HH{offset_format}", tag, kind, count) + packed
        last = number == len(directories) - 1
        link = (start if loop else 0) if last else at + size + len(extra)
        body += struct.pack(order + count_format, len(directory)) + entries
        body += struct.pack(order + offset_format, link) + extra
    return body


def write(folder: Path, content: bytes) -> Path:
    path = folder / "a.tif"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_layout_is_read_in_either_byte_order_and_offset_size(
    tmp_path: Path, order: str, big: bool
) -> None:
    layout = screen(write(tmp_path, tiff(PLAIN, order=order, big=big)))
    assert (layout.height, layout.width, layout.bands, layout.bits) == (10, 20, 1, 8)
    assert (layout.block_height, layout.block_width) == (10, 20)
    assert layout.declared_bytes == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({tags.WIDTH: 66_000, tags.HEIGHT: 66_000}, RasterTooLarge),
        ({tags.WIDTH: 2_000_000, tags.HEIGHT: 1}, RasterTooLarge),
        ({tags.WIDTH: 600_000, tags.HEIGHT: 600_000, tags.ROWS_PER_STRIP: 1}, RasterTooLarge),
        ({tags.BANDS: 65_535}, RasterTooLarge),
        ({tags.WIDTH: 9_000, tags.HEIGHT: 9_000, tags.ROWS_PER_STRIP: 9_000}, RasterTooLarge),
        ({tags.TILE_WIDTH: 9_000, tags.TILE_HEIGHT: 9_000}, RasterTooLarge),
        # Single bits, of which GDAL makes bytes.
        ({tags.TILE_WIDTH: 9_008, tags.TILE_HEIGHT: 9_008, tags.BITS: 1}, RasterTooLarge),
        (
            {tags.WIDTH: 99_999, tags.HEIGHT: 9_999, tags.TILE_WIDTH: 1, tags.TILE_HEIGHT: 16},
            RasterTooLarge,
        ),
        # 400 MB of pixels in some hundred bytes, each other limit being kept.
        ({tags.WIDTH: 20_000, tags.HEIGHT: 20_000, tags.ROWS_PER_STRIP: 16}, RasterTooLarge),
        ({tags.WIDTH: 0}, RasterUnreadable),
        ({tags.TILE_WIDTH: 16}, RasterUnreadable),
        ({tags.ROWS_PER_STRIP: 0}, RasterUnreadable),
        ({tags.COMPRESSION: 6}, RasterForbidden),
        ({tags.COMPRESSION: 65_535}, RasterForbidden),
        ({tags.PHOTOMETRIC: 3}, WrongType),
        ({tags.PHOTOMETRIC: 5}, WrongType),
        ({tags.SAMPLE_FORMAT: 6}, WrongType),
    ],
)
def test_what_the_tags_declare_is_limited(
    tmp_path: Path, changes: dict[int, int], error: type[InputError]
) -> None:
    path = write(tmp_path, tiff({**PLAIN, **changes}))
    with pytest.raises(error) as caught:
        screen(path)
    assert "a.tif" in caught.value.message
    assert str(tmp_path) not in caught.value.message


def test_overviews_and_masks_are_limited_too(tmp_path: Path) -> None:
    huge = {**PLAIN, tags.WIDTH: 30_000, tags.HEIGHT: 30_000, tags.ROWS_PER_STRIP: 30_000}
    with pytest.raises(RasterTooLarge):
        screen(write(tmp_path, tiff(PLAIN, huge)))


def test_a_chain_that_loops_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterForbidden, match="loops"):
        screen(write(tmp_path, tiff(PLAIN, PLAIN, loop=True)))


def test_a_chain_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterForbidden, match="more than"):
        screen(write(tmp_path, tiff(*[PLAIN] * (tags.MAX_DIRECTORIES + 1))))


def test_a_tag_that_stands_twice_cannot_show_us_one_value_and_gdal_another(tmp_path: Path) -> None:
    content = bytearray(tiff(PLAIN))
    # The second entry (height) becomes a second width.
    struct.pack_into("<H", content, 8 + 2 + 12, tags.WIDTH)
    with pytest.raises(RasterForbidden, match="twice"):
        screen(write(tmp_path, bytes(content)))


def item(attributes: str, text: str = "x") -> bytes:
    return f"<GDALMetadata><Item {attributes}>{text}</Item></GDALMetadata>\0".encode()


HIDDEN = b"<Item name='a' domain='OVERVIEWS'>b</Item>"
ATTACKS = {
    "plain": item('name="OVERVIEW_FILE" domain="OVERVIEWS"', "/vsicurl/http://example.org/a.tif"),
    "geolocation": item('name="X_DATASET" domain="GEOLOCATION"'),
    "case of the attribute": item('name="OVERVIEW_FILE" Domain="OVERVIEWS"'),
    "element for attribute": b"<GDALMetadata><Item name='a'><domain>OVERVIEWS</domain></Item>"
    b"</GDALMetadata>",
    "nested": b"<GDALMetadata><g>" + HIDDEN + b"</g></GDALMetadata>",
    "other root": b"<x><GDALMetadata><Item name='a'>b</Item></GDALMetadata></x>",
    "comment": b"<GDALMetadata><!-- > " + HIDDEN + b" --></GDALMetadata>",
    "instruction": b"<GDALMetadata><?a > " + HIDDEN + b" ?></GDALMetadata>",
    "character data": b"<GDALMetadata><![CDATA[" + HIDDEN + b"]]></GDALMetadata>",
    "entity": b"<!DOCTYPE a [<!ENTITY b 'OVERVIEWS'>]><GDALMetadata/>",
    "no XML": b"OVERVIEWS",
    "in a table's place": item('name="a" role="rat"', "<domain>OVERVIEWS</domain>"),
    "in a table": item(
        'name="a" role="rat"',
        "<GDALRasterAttributeTable><domain>OVERVIEWS</domain></GDALRasterAttributeTable>",
    ),
    "beside a table": item(
        'name="a" role="rat"', "<GDALRasterAttributeTable/><domain>OVERVIEWS</domain>"
    ),
    "a table's domain": item(
        'name="a" domain="OVERVIEWS" role="rat"', "<GDALRasterAttributeTable/>"
    ),
    "second root": b"<GDALMetadata/><GDALMetadata>" + HIDDEN + b"</GDALMetadata>",
}


@pytest.mark.parametrize("metadata", ATTACKS.values(), ids=ATTACKS.keys())
@pytest.mark.parametrize("second_directory", [False, True])
def test_metadata_that_names_files_are_refused(
    tmp_path: Path, metadata: bytes, second_directory: bool
) -> None:
    crafted = {**PLAIN, tags.GDAL_METADATA: metadata}
    directories = (PLAIN, crafted) if second_directory else (crafted,)
    with pytest.raises(RasterForbidden, match="42112"):
        screen(write(tmp_path, tiff(*directories)))


@pytest.mark.parametrize(
    "metadata",
    [
        item('name="AREA"'),
        item('name="SCALE" sample="0" role="scale"', "0.1"),
        item('name="INTERLEAVE" domain="IMAGE_STRUCTURE"', "PIXEL"),
        item('name="SOURCE_ICC_PROFILE" domain="COLOR_PROFILE"'),
        item('name="STEP" sample="0"', "B\u00f6den &amp; D\u00e4cher"),
        item(
            'name="DEFAULT_RASTER_ATTRIBUTE_TABLE" sample="0" role="rat"',
            '<GDALRasterAttributeTable tableType="thematic"><FieldDefn index="0"><Name>Class</Name>'
            "<Type>2</Type><Usage>2</Usage></FieldDefn>"
            '<Row index="0"><F>Water</F></Row></GDALRasterAttributeTable>',
        ),
        b"\0" * 16,
    ],
)
def test_ordinary_metadata_are_accepted(tmp_path: Path, metadata: bytes) -> None:
    assert screen(write(tmp_path, tiff({**PLAIN, tags.GDAL_METADATA: metadata}))).width == 20


def test_metadata_of_any_length_are_not_read(tmp_path: Path) -> None:
    content = bytearray(tiff({**PLAIN, tags.GDAL_METADATA: item('name="a"')}))
    struct.pack_into("<I", content, 8 + 2 + 12 * len(PLAIN) + 4, 1 << 31)
    with pytest.raises(RasterForbidden, match="bytes of GDAL metadata"):
        screen(write(tmp_path, bytes(content)))


@pytest.mark.parametrize(
    "content",
    [b"", b"II", b"<VRTDataset/>" * 9, b"\x89PNG\r\n\x1a\n" * 4, b"II*\0" + b"\0" * 12],
)
def test_what_is_no_tiff_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises((NotGeoTiff, RasterUnreadable)):
        screen(write(tmp_path, content))


def test_missing_files_folders_and_pipes_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    for name in ("none.tif", "pipe.tif", "", "a\0b"):
        with pytest.raises(RasterMissing):
            screen(tmp_path / name)


@settings(max_examples=300)
@given(
    flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, 400),
    big=st.booleans(),
    order=st.sampled_from("<>"),
)
def test_whatever_the_bytes_only_coded_errors_come_out(
    tmp_path_factory: pytest.TempPathFactory,
    flips: list[tuple[int, int]],
    cut: int,
    big: bool,
    order: str,
) -> None:
    whole = {**PLAIN, tags.GDAL_METADATA: item('name="a"')}
    content = bytearray(tiff(whole, PLAIN, order=order, big=big))
    for where, value in flips:
        content[where % len(content)] = value
    path = write(tmp_path_factory.mktemp("flipped"), bytes(content[: cut or None]))
    with suppress(InputError):
        layout = screen(path)
        assert layout.block_height * layout.block_width * layout.bits // 8 <= 64 << 20
