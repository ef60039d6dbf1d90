"""The tags of a TIFF, read by ourselves before GDAL sees the file.

GDAL does what a file tells it to: it allocates what the tags declare and opens the files that the
metadata names. This walk allocates and opens nothing: it reads the header, the chain of image file
directories (IFDs), and of each directory the few values that `mfnet.model.raster.files.screening`
judges. What it reads is bounded by constants, whatever the file claims.

Source: TIFF 6.0 (Adobe, 1992); BigTIFF as in libtiff's "The BigTIFF File Format".
"""

import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mfnet.model.errors import NotGeoTiff, RasterForbidden, RasterMissing, RasterUnreadable
from mfnet.model.raster.files import foreign_formats
from mfnet.model.raster.repair_commands import CONVERT, write_crs

WIDTH = 256
HEIGHT = 257
BITS = 258
COMPRESSION = 259
PHOTOMETRIC = 262
BANDS = 277
ROWS_PER_STRIP = 278
PLANAR = 284
TILE_WIDTH = 322
TILE_HEIGHT = 323
SAMPLE_FORMAT = 339
PIXEL_SCALE = 33550
TIE_POINTS = 33922
TRANSFORMATION = 34264
GEO_TEXTS = 34737
GDAL_METADATA = 42112

MAX_DIRECTORIES = 128
MAX_ENTRIES = 4096
MAX_VALUES = 64
MAX_TEXT_BYTES = 1 << 20

_NUMBERS = frozenset(
    {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, BANDS, ROWS_PER_STRIP}
    | {PLANAR, TILE_WIDTH, TILE_HEIGHT, SAMPLE_FORMAT}
)
_TEXTS = {
    GDAL_METADATA: ("GDAL metadata", "gdal_translate -co COPY_SRC_MDD=NO leaves them out"),
    GEO_TEXTS: ("names of its CRS", f"{write_crs()} writes another"),
}
# Bytes a value of each TIFF type, by the type's number; the letters are struct's for the integers.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}


@dataclass(frozen=True)
class Directory:
    """One image file directory: the numbers we judge, and GDAL's metadata as they are stored.

    Attributes:
        numbers: First values of each integer tag that we know, by tag; at most `MAX_VALUES`.
        metadata: Contents of every tag 42112 in the directory.
        geo_texts: Contents of every tag 34737 (GeoAsciiParams), where names of CRSs stand.
        present: Every tag that it has.
    """

    numbers: dict[int, tuple[int, ...]]
    metadata: tuple[bytes, ...]
    geo_texts: tuple[bytes, ...]
    present: frozenset[int]

    @property
    def has_transform(self) -> bool:
        """Whether it says by a matrix, or by a pixel's size and a point, where pixels lie."""
        return TRANSFORMATION in self.present or {PIXEL_SCALE, TIE_POINTS} <= self.present

    def number(self, tag: int, default: int) -> int:
        """First value of a tag, or the default that TIFF gives it."""
        values = self.numbers.get(tag, ())
        return values[0] if values else default


def walk(path: Path) -> list[Directory]:
    """Read the directories of a TIFF or BigTIFF of either byte order, in the order of the chain.

    Raises:
        RasterMissing: No such regular file, or no right to read it.
        NotGeoTiff: The first bytes are not those of a TIFF.
        RasterUnreadable: A directory or value lies outside the file or makes no sense.
        RasterForbidden: A chain that loops or is too long, a directory or metadata too large.
    """
    with open_regular(path) as file:
        return _Walk(file, path.name).directories()


def open_regular(path: Path) -> BinaryIO:
    try:
        # O_NONBLOCK: a named pipe must be refused below, not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise _not_opened(path, error) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        kind = foreign_formats.Kind("not a regular file", "name a file on the disk")
        raise _no_file(
            path, foreign_formats.of_folder(path) if stat.S_ISDIR(status.st_mode) else kind
        )
    return os.fdopen(descriptor, "rb")


def _not_opened(path: Path, error: Exception) -> RasterMissing:
    if isinstance(error, PermissionError) and path.is_dir():  # Windows opens none
        return _no_file(path, foreign_formats.of_folder(path))
    kind = foreign_formats.of_path(path)
    # A name of GDAL's can also be too long for a file's, or lead through one.
    if kind is not None and not isinstance(error, PermissionError):
        return _no_file(path, kind)
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return RasterMissing(
        f"{path.name}: cannot be read ({reason}); expected the path of a GeoTIFF", file=path.name
    )


def _no_file(path: Path, kind: foreign_formats.Kind) -> RasterMissing:
    name = foreign_formats.shown(path)
    return RasterMissing(
        f"{name}: {kind.found}; expected the path of one GeoTIFF: {kind.mend}", file=name
    )


def _not_geotiff(name: str, start: bytes) -> NotGeoTiff:
    kind = foreign_formats.of_content(name, start)
    if kind is None:
        return NotGeoTiff(
            f"{name}: the file does not start like a TIFF; expected a GeoTIFF: if GDAL reads it, "
            f"{CONVERT} makes one",
            file=name,
        )
    return NotGeoTiff(f"{name}: {kind.found}; expected a GeoTIFF: {kind.mend}", file=name)


class _Walk:
    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file = file
        self.name = name
        self.size = os.fstat(file.fileno()).st_size
        header = file.read(16)
        self.order = {b"II": "<", b"MM": ">"}.get(header[:2], "")
        version = struct.unpack(f"{self.order}H", header[2:4])[0] if len(header) >= 8 else 0
        if not self.order or version not in (42, 43):
            raise _not_geotiff(name, header + file.read(foreign_formats.START_BYTES))
        self.big = version == 43
        if self.big:
            if len(header) < 16 or struct.unpack(f"{self.order}HH", header[4:8]) != (8, 0):
                raise NotGeoTiff(
                    f"{name}: the BigTIFF header is damaged; expected offsets of 8 bytes: copy it "
                    "again from its source",
                    file=name,
                )
            self.first = self._unpack("Q", header[8:16])
        else:
            self.first = self._unpack("I", header[4:8])

    def directories(self) -> list[Directory]:
        found: list[Directory] = []
        seen: set[int] = set()
        offset = self.first
        while offset:
            if offset in seen or len(found) == MAX_DIRECTORIES:
                raise RasterForbidden(
                    f"{self.name}: the chain of directories loops or has more than "
                    f"{MAX_DIRECTORIES}; expected a plain GeoTIFF: gdal_translate IN.tif OUT.tif "
                    "takes the first image out",
                    file=self.name,
                )
            seen.add(offset)
            directory, offset = self._directory(offset)
            found.append(directory)
        if not found:
            raise RasterUnreadable(
                f"{self.name}: the TIFF holds no image; expected one: copy it again from its "
                "source",
                file=self.name,
            )
        return found

    def _directory(self, offset: int) -> tuple[Directory, int]:
        """The directory at an offset, and the offset of the next one (0: none)."""
        count_format, entry_bytes, link_format = ("Q", 20, "Q") if self.big else ("H", 12, "I")
        count_bytes = struct.calcsize(count_format)
        count = self._unpack(count_format, self._bytes(offset, count_bytes))
        if not 0 < count <= MAX_ENTRIES:
            raise RasterForbidden(
                f"{self.name}: a directory of {count} tags; expected 1 to {MAX_ENTRIES}: copy it "
                "again from its source",
                file=self.name,
                tags=count,
            )
        entries = self._bytes(offset + count_bytes, count * entry_bytes)
        link_at = offset + count_bytes + count * entry_bytes
        link_bytes = struct.calcsize(link_format)
        # libtiff takes a file that ends right after its last directory; so do we.
        at_end = link_at + link_bytes > self.size
        link = 0 if at_end else self._unpack(link_format, self._bytes(link_at, link_bytes))
        return self._parse(entries, entry_bytes), link

    def _parse(self, entries: bytes, entry_bytes: int) -> Directory:
        numbers: dict[int, tuple[int, ...]] = {}
        texts: dict[int, list[bytes]] = {GDAL_METADATA: [], GEO_TEXTS: []}
        present: set[int] = set()
        for start in range(0, len(entries), entry_bytes):
            entry = entries[start : start + entry_bytes]
            tag, kind = struct.unpack(f"{self.order}HH", entry[:4])
            present.add(tag)
            if tag in _NUMBERS:
                values = self._values(tag, kind, entry)
                if numbers.setdefault(tag, values) != values:
                    raise RasterForbidden(
                        f"{self.name}: tag {tag} stands twice with different values; expected one: "
                        "gdal_translate IN.tif OUT.tif writes it anew",
                        file=self.name,
                    )
            elif tag in texts:
                texts[tag].append(self._text(tag, kind, entry))
        return Directory(
            numbers, tuple(texts[GDAL_METADATA]), tuple(texts[GEO_TEXTS]), frozenset(present)
        )

    def _values(self, tag: int, kind: int, entry: bytes) -> tuple[int, ...]:
        letter = _INTEGERS.get(kind)
        count = self._count(entry)
        if letter is None or count == 0:
            raise RasterUnreadable(
                f"{self.name}: tag {tag} has type {kind} and {count} values; expected integers: "
                "copy it again from its source",
                file=self.name,
            )
        count = min(count, MAX_VALUES)
        raw = self._payload(entry, self._count(entry) * _SIZES[kind], count * _SIZES[kind])
        return struct.unpack(f"{self.order}{count}{letter}", raw)

    def _text(self, tag: int, kind: int, entry: bytes) -> bytes:
        stored = self._count(entry) * _SIZES.get(kind, 1)
        if stored > MAX_TEXT_BYTES:
            what, mend = _TEXTS[tag]
            raise RasterForbidden(
                f"{self.name}: {stored} bytes of {what}; at most {MAX_TEXT_BYTES} are accepted: "
                f"{mend}",
                file=self.name,
            )
        return self._payload(entry, stored, stored)

    def _count(self, entry: bytes) -> int:
        return self._unpack("Q", entry[4:12]) if self.big else self._unpack("I", entry[4:8])

    def _payload(self, entry: bytes, stored: int, wanted: int) -> bytes:
        """First `wanted` bytes of a value of `stored` bytes, which lies inline where it fits."""
        inline = entry[12:20] if self.big else entry[8:12]
        if stored <= len(inline):
            return inline[:wanted]
        return self._bytes(self._unpack("Q" if self.big else "I", inline), wanted)

    def _bytes(self, offset: int, count: int) -> bytes:
        if offset + count <= self.size:
            self.file.seek(offset)
            raw = self.file.read(count)
            if len(raw) == count:
                return raw
        raise RasterUnreadable(
            f"{self.name}: truncated or damaged: {count} bytes at {offset} are wanted, the file "
            f"has {self.size}; copy it again from its source",
            file=self.name,
            bytes=self.size,
        )

    def _unpack(self, letter: str, raw: bytes) -> int:
        return int(struct.unpack(f"{self.order}{letter}", raw)[0])
