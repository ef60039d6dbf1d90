"""Uploads that are rasters in tiles: a folder of files in the place of one.

    uploads/<upload id>/<upload id>-00001.tif    the tiles, in the order in which they are laid
    uploads/<upload id>.tiles/                   the same while they are unpacked

What their senders call the tiles stands in the upload's report.
"""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mfnet.service.files.sync import link_or_copy, sync

_STAGED = ".tiles"
_ENDINGS = (".tfw", ".prj", ".tif.aux.xml", ".tif.msk")
_BESIDE = (".tfw", ".prj", ".aux.xml", ".msk")  # of an upload that is one file
_ZIP = b"PK"


def is_zip(upload: Path) -> bool:
    """Whether an upload's file may be a zip: it begins as one."""
    with upload.open("rb") as file:
        return file.read(len(_ZIP)) == _ZIP


def staged(upload: Path) -> Path:
    """Where the tiles of an upload are put together; not there yet."""
    return upload.with_name(upload.name + _STAGED)


def settle(upload: Path) -> None:
    """Puts the tiles into the upload's place, safe from a power cut."""
    folder = staged(upload)
    for file in folder.iterdir():
        sync(file)
    sync(folder)
    upload.unlink(missing_ok=True)
    folder.rename(upload)
    sync(upload.parent)


def link(upload: Path, rasters: Iterable[Path]) -> list[str]:
    """Makes a folder of tiles of other uploads, which may go then.

    Args:
        upload: Of the folder; nothing is there yet.
        rasters: Files of uploads, or folders of tiles.

    Returns:
        The tiles' names.

    Raises:
        FileNotFoundError: One is gone.
    """
    folder = staged(upload)
    folder.mkdir()
    sources = [source for raster in rasters for source in _sources(raster)]
    names = [f"{upload.name}-{number:05d}.tif" for number in range(1, len(sources) + 1)]
    for name, parts in zip(names, sources, strict=True):
        for ending, source in parts.items():
            link_or_copy(source, folder / (name.removesuffix(".tif") + ending))
    settle(upload)
    return names


def remove(upload: Path) -> None:
    """Removes a folder of tiles, whole or not."""
    for folder in (upload, staged(upload)):
        if folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)


def names_of(upload_id: str, name: str, report: Mapping[str, Any]) -> dict[str, str]:
    """What senders call the files of an upload, by the names that they have on our disk.

    Args:
        upload_id: Of the upload.
        name: The sender's.
        report: The upload's, with its tiles if it has any.
    """
    tiles = report.get("tiles", ())
    found = {tile["file"]: tile["name"] for tile in tiles}
    found |= {tile["file"][: -len(".tif")]: Path(tile["name"]).stem for tile in tiles}
    joined = {f"{upload_id}.vrt": name} if tiles else {}
    return found | joined | {upload_id: name}


def _sources(raster: Path) -> list[dict[str, Path]]:
    """The tiles of an upload, each with what stands beside it, by their endings."""
    if raster.is_dir():
        stems = [path.with_suffix("") for path in sorted(raster.glob("*.tif"))]
        files = [{each: stem.with_name(stem.name + each) for each in _ENDINGS} for stem in stems]
        tiles = [stem.with_suffix(".tif") for stem in stems]
    else:
        beside = (raster.with_name(raster.name + each) for each in _BESIDE)
        files, tiles = [dict(zip(_ENDINGS, beside, strict=True))], [raster]
    return [
        {".tif": tile, **{ending: file for ending, file in parts.items() if file.exists()}}
        for tile, parts in zip(tiles, files, strict=True)
    ]
