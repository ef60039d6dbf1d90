"""A file that came whole is looked at, and enters the database or leaves the disk."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.tables import Upload
from mfnet.service.errors import Refused, StorageFull
from mfnet.service.files import sidecar_files, tile_folders
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.operations.uploads import quotas


def keep(
    services: Services,
    caller: Caller,
    upload_id: str,
    name: str,
    *,
    size: int,
    sha256: str,
    told: Mapping[str, Any] = MappingProxyType({}),
    beside: Mapping[str, Path] | None = None,
) -> Upload:
    """Looks at the file of an upload, with its sidecars.

    Args:
        services: Of the API.
        caller: Who sent it.
        upload_id: Of the file in the folder of uploads.
        name: The sender's.
        size: Bytes.
        sha256: Of them, in hex.
        told: What its report says beside the inspection's.
        beside: A raster's sidecars, by kind. If not given, what the sender has sent before under
            their names.

    Raises:
        Refused, InspectionBroken, Busy: As `Inspector.file`; the file is gone then.
        QuotaBytes: The key stores as much as it may; the file is gone then, too.
    """
    path = services.storage.upload(upload_id)
    try:
        kind = sidecar_files.kind_of(name)
        if kind is None:
            sidecars = _sent_before(services, caller, name) if beside is None else beside
            sidecar_files.link(path, sidecars)
        tiles = _unpacked(services, caller, path, name) if kind is None else []
        called = tile_folders.names_of(upload_id, name, {"tiles": tiles})
        report = services.inspector.file(path, called, kind)
        if tiles:
            report |= {"tiles": tiles, "sent_bytes": size}
            size = sum(tile["bytes"] for tile in tiles)
        if kind is not None:
            report |= {"remarks": [*report.get("remarks", ()), *_late(services, caller, name)]}
        services.storage.share_upload(upload_id)
        with services.database.writing() as session:
            quotas.check_kept(services, session, caller, size)
            return UploadRepository(session).add(
                upload_id, caller.key_id, name, size=size, sha256=sha256, report=report | dict(told)
            )
    except BaseException:
        services.storage.remove_upload(upload_id)
        raise


def _unpacked(services: Services, caller: Caller, path: Path, name: str) -> list[dict[str, Any]]:
    """The tiles of a zip, which are in its place then; none of any other file."""
    if not tile_folders.is_zip(path):
        return []
    with services.database.reading() as session:
        left = quotas.check_bytes(services, session, caller, 1, path.name)
    limit = services.settings.upload_limit_bytes
    folder = tile_folders.staged(path)
    folder.mkdir()
    names = {path.name: name}
    try:
        room = limit if left is None else min(limit, left)
        tiles = services.inspector.unpacked(path, folder, names, room)
    except Refused as refused:
        if refused.code == "output.not_writable":
            raise StorageFull(f"no room to unpack {path.name}: {refused.message}") from refused
        raise
    if tiles:
        tile_folders.settle(path)
    else:
        folder.rmdir()
    return tiles


def _sent_before(services: Services, caller: Caller, name: str) -> dict[str, Path]:
    """What the sender has sent before of what stands beside a raster of this name, by kind."""
    names = sidecar_files.names_of(name)
    with services.database.reading() as session:
        found = UploadRepository(session).newest(caller.key_id, list(names))
    # The usual name of a kind comes last in `names`, and counts where there are several.
    return {
        names[each]: services.storage.upload_here(found[each]) for each in names if each in found
    }


def _late(services: Services, caller: Caller, name: str) -> Iterator[dict[str, str]]:
    """Tells of rasters that a sidecar comes too late for."""
    with services.database.reading() as session:
        found = UploadRepository(session).newest(caller.key_id, sidecar_files.rasters_of(name))
    for raster in found:
        message = f"{raster} was sent before {name} and is read without it: send {raster} again"
        yield {"code": "sidecar.late", "message": message}
