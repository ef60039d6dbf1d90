"""Tiles out of a zip: what may be in one, and what comes out of one that lies."""

import io
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mfnet.model.errors import ArchiveTooLarge, BadArchive
from mfnet.model.raster.files import tile_archive
from mfnet.model.raster.files.tile_archive import holds_tiles, unpack

PLENTY = 1 << 30


def zipped(path: Path, files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_tiles_come_out_by_number_with_what_stands_beside_them(tmp_path: Path) -> None:
    files = {
        "dop/b.TIF": b"second",
        "dop/b.tfw": b"its place",
        "dop/b.TIF.aux.xml": b"its notes",
        "dop/a.tif": b"first",
        "dop/a.prj": b"its CRS",
        "dop/a.tif.msk": b"its mask",
        "dop/c.tfw": b"of no tile",
        "other/a.tfw": b"of another folder",
        "__MACOSX/dop/._a.tif": b"of macOS",
        "read me.pdf": b"words",
    }
    archive = zipped(tmp_path / "x", files)
    assert holds_tiles(archive)
    out = empty(tmp_path / "4f.tiles")
    tiles = unpack(archive, out, PLENTY)
    assert [tuple(tile) for tile in tiles] == [
        ("4f-00001.tif", "a.tif", len(b"firstits CRSits mask")),
        ("4f-00002.tif", "b.TIF", len(b"secondits placeits notes")),
    ]
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        "4f-00001.tif": b"first",
        "4f-00001.prj": b"its CRS",
        "4f-00001.tif.msk": b"its mask",
        "4f-00002.tif": b"second",
        "4f-00002.tfw": b"its place",
        "4f-00002.tif.aux.xml": b"its notes",
    }


@pytest.mark.parametrize("content", [b"", b"II*\0", b"PK\3\4 and no more"])
def test_what_is_no_zip_holds_no_tiles(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    assert not holds_tiles(tmp_path / "x")
    assert not holds_tiles(zipped(tmp_path / "y", {"parcels.shp": b"polygons"}))


def link(path: Path) -> None:
    entry = zipfile.ZipInfo("b.tif")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, "/etc/passwd")


def adding(name: str) -> Callable[[Path], None]:
    def add(path: Path) -> None:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, b"more")

    return add


def encrypt(path: Path) -> None:
    found = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        found[found.index(signature) + flags] |= 1
    path.write_bytes(found)


def damage(path: Path) -> None:
    found = bytearray(path.read_bytes())
    found[found.index(b"a.tif") + 10] ^= 0xFF
    path.write_bytes(found)


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        (link, "holds a link"),
        (adding("../b.tif"), "leaves its folder"),
        (adding("/b.tif"), "leaves its folder"),
        (adding("c\\b.tif"), "leaves its folder"),
        (adding("more.zip"), "holds another archive"),
        (adding("more.TAR"), "holds another archive"),
        (adding("A.tif"), "two files of one name"),
        (encrypt, "is encrypted"),
        (damage, "cannot be unpacked"),
    ],
)
def test_what_is_no_plain_zip_is_refused(
    harm: Callable[[Path], None], word: str, tmp_path: Path
) -> None:
    archive = zipped(tmp_path / "x", {"a.tif": bytes(range(256)) * 8}, zipfile.ZIP_STORED)
    harm(archive)
    out = empty(tmp_path / "out")
    with pytest.raises(BadArchive, match=word):
        unpack(archive, out, PLENTY)
    assert {path.name for path in tmp_path.iterdir()} == {"x", "out"}


def test_no_more_comes_out_than_there_is_room_for(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x", {"a.tif": bytes(9000), "b.tif": bytes(1001)})
    with pytest.raises(ArchiveTooLarge, match="10,001 bytes") as refused:
        unpack(archive, empty(tmp_path / "out"), 10_000)
    assert refused.value.params["limit_bytes"] == 10_000
    assert list((tmp_path / "out").iterdir()) == []  # it says so itself
    assert len(unpack(archive, tmp_path / "out", 10_001)) == 2


def test_what_an_archive_says_of_its_sizes_is_not_believed(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x", {"a.tif": bytes(1 << 20)})
    lying = archive.read_bytes().replace((1 << 20).to_bytes(4, "little"), b"\1\0\0\0")
    archive.write_bytes(lying)
    with pytest.raises((BadArchive, ArchiveTooLarge)):
        unpack(archive, empty(tmp_path / "out"), 1000)
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) <= 1000


def test_a_bomb_is_known_by_its_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile_archive, "_LITTLE_BYTES", 1000)
    archive = zipped(tmp_path / "x", {"a.tif": bytes(1 << 20)})
    with pytest.raises(ArchiveTooLarge, match="100 times"):
        unpack(archive, empty(tmp_path / "out"), PLENTY)


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile_archive, "MOST_FILES", 2)
    archive = zipped(tmp_path / "x", {f"{n}.tif": b"" for n in range(3)})
    with pytest.raises(ArchiveTooLarge, match="more than 2 files"):
        unpack(archive, empty(tmp_path / "out"), PLENTY)


def test_zips_of_zips_are_not_looked_into(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.tif", b"pixels")
    assert not holds_tiles(zipped(tmp_path / "x", {"inner.zip": inner.getvalue()}))
