"""Several uploads as one raster: an upload of its own, a folder with the tiles of all."""

import hashlib
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.tables import Upload
from mfnet.service.errors import NotATile, UploadNotFound
from mfnet.service.files import sidecar_files, tile_folders
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.operations.uploads import quotas

MOST_TILES = 10_000
"""In all, as in one zip."""


def joined(services: Services, caller: Caller, tiles: Sequence[Upload]) -> Upload:
    """The upload that is made of these; the one that was made of the same before.

    Args:
        services: Of the API.
        caller: Whose it will be.
        tiles: At least one, in the order in which they are laid. One is itself.

    Raises:
        NotATile: One is no raster or comes twice, or they are too many.
        UploadNotFound: One was removed meanwhile.
        Refused, InspectionBroken, Busy: As `Inspector.file`; of tiles that differ, the odd one is
            named.
        QuotaBytes: The key has no room for them.
    """
    if len(tiles) == 1:
        return tiles[0]
    _check(tiles)
    held = [
        sidecar_files.with_sidecars(services.storage.sidecars_here(tile.id), tile.sha256)
        for tile in tiles
    ]
    sha256 = hashlib.sha256(" ".join(held).encode()).hexdigest()
    size = sum(tile.bytes for tile in tiles)
    with services.database.reading() as session:
        known = UploadRepository(session).page(caller.key_id, sha256=sha256)
        if known:
            return known[0]
        quotas.check_bytes(services, session, caller, size)
    upload_id = uuid.uuid4().hex
    path = services.storage.upload(upload_id)
    with services.storage.changing(upload_id):
        try:
            report = _looked_at(services, path, tiles)
            services.storage.share_upload(upload_id)
            with services.database.writing() as session:
                quotas.check_kept(services, session, caller, size)
                return UploadRepository(session).add(
                    upload_id,
                    caller.key_id,
                    _name(tiles),
                    size=size,
                    sha256=sha256,
                    report=report,
                )
        except BaseException:
            services.storage.remove_upload(upload_id)
            raise


def _check(tiles: Sequence[Upload]) -> None:
    seen = set()
    for tile in tiles:
        if "raster" not in tile.report:
            raise NotATile(
                f"{tile.name} is no raster; expected GeoTIFF tiles of one raster", upload=tile.id
            )
        if tile.id in seen:
            raise NotATile(f"{tile.name} comes twice; name each tile once", upload=tile.id)
        seen.add(tile.id)
    count = sum(len(_tile_names(tile)) for tile in tiles)
    if count > MOST_TILES:
        raise NotATile(
            f"{count:,} tiles; expected {MOST_TILES:,} at most: gdalbuildvrt and gdal_translate "
            "join tiles into larger ones",
            tiles=count,
            limit=MOST_TILES,
        )


def _looked_at(services: Services, path: Path, tiles: Sequence[Upload]) -> dict[str, Any]:
    try:
        files = tile_folders.link(path, (services.storage.upload_here(tile.id) for tile in tiles))
    except FileNotFoundError:
        raise UploadNotFound("a tile was removed just now; send it again") from None
    names = [told for tile in tiles for told in _tile_names(tile)]
    told = [{"file": file, "name": name} for file, name in zip(files, names, strict=True)]
    called = tile_folders.names_of(path.name, _name(tiles), {"tiles": told})
    # Every block of each was decoded when it came.
    return services.inspector.file(path, called, quick=True) | {"tiles": told}


def _tile_names(upload: Upload) -> list[str]:
    return [tile["name"] for tile in upload.report.get("tiles", ())] or [upload.name]


def _name(tiles: Sequence[Upload]) -> str:
    more = f" and {len(tiles) - 1} more"
    return tiles[0].name[: 200 - len(more)] + more
