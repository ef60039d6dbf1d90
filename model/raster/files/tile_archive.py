"""A zip of GeoTIFF tiles, with what stands beside them: unpacked within limits.

No name in the archive becomes a path: tiles are numbered in the order of their names, in which they
are laid, and sidecars get the names that go with them.
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mfnet.model.errors import ArchiveTooLarge, BadArchive
from mfnet.model.raster.files.mosaic import ENDINGS
from mfnet.model.raster.files.sidecars import names_of

MOST_FILES = 10_000
MOST_RATIO = 100
"""Bytes that come out for one of the archive; rasters that are stored well have less than 10."""
_LITTLE_BYTES = 64 << 20
"""What may come out whatever the ratio."""
_ARCHIVES = {".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst"}
_BESIDE = {"world": ".tfw", "prj": ".prj", "pam": ".tif.aux.xml", "mask": ".tif.msk"}
_BLOCK_BYTES = 1 << 20
_ENCRYPTED = 1  # of a member's flags
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


class Tile(NamedTuple):
    """A tile that was unpacked.

    Attributes:
        file: Its name now.
        name: Its name in the archive, without folders.
        bytes: Of it, with its sidecars.
    """

    file: str
    name: str
    bytes: int


def holds_tiles(path: Path) -> bool:
    """Whether a file is a zip with a GeoTIFF in it, by their names."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(_is_tile(name) for name in archive.namelist())
    except (OSError, *_DAMAGED):
        return False


def unpack(path: Path, folder: Path, max_bytes: int) -> list[Tile]:
    """Writes the tiles of a zip, and their sidecars, into an empty folder.

    Args:
        path: The archive.
        folder: Its name, up to the first dot, begins the name of each tile: `NAME-00001.tif`.
        max_bytes: That may be written in all.

    Raises:
        BadArchive: Damaged, encrypted, or with archives, links, or names that leave it or come
            twice.
        ArchiveTooLarge: Too many files, too many bytes, or too many for what the archive has.
    """
    with _opened(path) as archive:
        members = _checked(path, archive)
        room = _Room(path, min(max_bytes, max(MOST_RATIO * path.stat().st_size, _LITTLE_BYTES)))
        names = sorted(name for name in members if _is_tile(name))
        room.declare(sum(members[name].file_size for name in names))
        stem = folder.name.partition(".")[0]
        made = []
        for number, name in enumerate(names, 1):
            file = f"{stem}-{number:05d}.tif"
            parts = {file: members[name]} | {
                file.removesuffix(".tif") + _BESIDE[kind]: member
                for kind, member in _sidecars(name, members).items()
            }
            written = [room.write(archive, part, folder / to) for to, part in parts.items()]
            made.append(Tile(file, PurePosixPath(name).name, sum(written)))
        return made


@dataclass
class _Room:
    """Counts what comes out of an archive, whatever it declares."""

    archive: Path
    bytes_left: int

    def declare(self, count: int) -> None:
        """Refuses at once what says itself that it is too much."""
        if count > self.bytes_left:
            raise ArchiveTooLarge(
                f"{self.archive.name} unpacks to {count:,} bytes; expected {self.bytes_left:,} at "
                f"most, and no more than {MOST_RATIO} times the archive's: send the tiles one by "
                "one, or compress them inside (gdal_translate -co COMPRESS=DEFLATE)",
                file=self.archive.name,
                bytes=count,
                limit_bytes=self.bytes_left,
            )

    def write(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, out: Path) -> int:
        """Unpacks a member; returns its bytes."""
        written = 0
        with archive.open(member) as source, out.open("xb") as target:
            while block := source.read(_BLOCK_BYTES):
                self.declare(len(block))
                self.bytes_left -= len(block)
                written += target.write(block)
        return written


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (BadArchive, ArchiveTooLarge):
        raise
    except MemoryError:
        raise _too_many(path) from None
    except _DAMAGED as error:
        raise _bad(path, f"cannot be unpacked ({error})") from error


def _checked(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive by their names."""
    members = [each for each in archive.infolist() if not each.is_dir()]
    if len(members) > MOST_FILES:
        raise _too_many(path)
    for member in members:
        name = PurePosixPath(member.filename)
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _bad(path, f"holds a link, {member.filename!r}")
        if name.is_absolute() or ".." in name.parts or "\\" in member.filename:
            raise _bad(path, f"holds {member.filename!r}, which leaves its folder")
        if member.flag_bits & _ENCRYPTED:
            raise _bad(path, "is encrypted")
        if name.suffix.lower() in _ARCHIVES:
            raise _bad(path, f"holds another archive, {member.filename!r}")
    found = {each.filename: each for each in members}
    if len({name.casefold() for name in found}) < len(members):
        raise _bad(path, "holds two files of one name")
    return found


def _sidecars(tile: str, members: Mapping[str, zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """What stands beside a tile, by kind."""
    place = PurePosixPath(tile)
    beside: dict[str, Sequence[str]] = {
        kind: [str(place.with_name(name)) for name in names]
        for kind, names in names_of(place.name).items()
    }
    there = {kind: [name for name in names if name in members] for kind, names in beside.items()}
    return {kind: members[names[0]] for kind, names in there.items() if names}


def _is_tile(name: str) -> bool:
    # macOS adds a second file, ._NAME, to each
    file = PurePosixPath(name)
    return file.suffix.lower() in ENDINGS and not file.name.startswith("._")


def _bad(path: Path, why: str) -> BadArchive:
    return BadArchive(
        f"{path.name} {why}; expected a plain zip of GeoTIFF tiles, with .tfw, .prj and .aux.xml "
        "beside them: zip -r tiles.zip FOLDER",
        file=path.name,
    )


def _too_many(path: Path) -> ArchiveTooLarge:
    return ArchiveTooLarge(
        f"{path.name} holds more than {MOST_FILES:,} files; expected fewer: gdalbuildvrt and "
        "gdal_translate join tiles into larger ones",
        file=path.name,
        limit=MOST_FILES,
    )
