"""A file of the server's own becomes an upload: copied, so that nothing changes it later."""

import errno
import hashlib
import os
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from mfnet.service.db.tables import Upload
from mfnet.service.errors import NotImportable, StorageFull, UploadEmpty, UploadTooLarge
from mfnet.service.files import sidecar_files
from mfnet.service.files.storage import PART
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.operations.uploads import quotas
from mfnet.service.operations.uploads.keep_upload import keep
from mfnet.service.operations.uploads.upload_name import checked_name

_BLOCK_BYTES = 1 << 20
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def import_file(services: Services, caller: Caller, named: str) -> Upload:
    """A file below one of the folders that are open to imports, as an upload of the caller's.

    What stands beside a raster is imported before it, as it would be sent.

    Args:
        services: Of the API.
        caller: Whose it will be.
        named: Its path on the server.

    Raises:
        NotImportable: There is no such file in these folders; it is not said what there is.
        BadName: No file that is sent may be called so.
        UploadEmpty, UploadTooLarge, StorageFull, QuotaBytes: As of a file that is sent.
        Refused, InspectionBroken, Busy: As `Inspector.file`.
    """
    roots = services.settings.import_roots
    path = _allowed(roots, named)
    beside = {}
    for sidecar, kind in _sidecars(path):
        upload = _import(services, caller, _allowed(roots, str(sidecar)))
        beside[kind] = services.storage.upload(upload.id)
    return _import(services, caller, path, beside)


def _allowed(roots: list[Path], named: str) -> Path:
    """The file, links resolved; whatever is named, it lies below one of the roots."""
    refused = NotImportable(
        f"{named!r} is no file below a folder that is open to imports (MFNET_IMPORT_FOLDERS)",
        path=named,
    )
    try:
        path = Path(named).resolve(strict=True)
        str(path).encode()
    # Not there, no name at all or none in UTF-8, links in a circle.
    except (OSError, ValueError, RuntimeError):
        raise refused from None
    inside = any(path.is_relative_to(root.resolve()) for root in roots)
    if not Path(named).is_absolute() or not inside or not path.is_file():
        raise refused
    checked_name(path.name)
    return path


def _sidecars(path: Path) -> list[tuple[Path, str]]:
    """What stands beside a raster, with its kind; of one kind the usual name is last."""
    if sidecar_files.kind_of(path.name) is not None:
        return []
    names = sidecar_files.names_of(path.name)
    order = {name: place for place, name in enumerate(names)}
    found = [each for each in path.parent.iterdir() if each.name.casefold() in names]
    found.sort(key=lambda each: (order[each.name.casefold()], each.name))
    return [(each, names[each.name.casefold()]) for each in found]


def _import(
    services: Services,
    caller: Caller,
    path: Path,
    beside: Mapping[str, Path] = MappingProxyType({}),
) -> Upload:
    upload_id = uuid.uuid4().hex
    target = services.storage.upload(upload_id)
    with services.storage.changing(upload_id), _opened(path) as source:
        size = os.fstat(source.fileno()).st_size
        _check_room(services, caller, size, path.name)
        sha256, size = _copy(source, target, services.settings.upload_limit_bytes)
        return keep(
            services,
            caller,
            upload_id,
            path.name,
            size=size,
            sha256=sha256,
            told={"imported_from": str(path)},
            beside=beside,
        )


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file itself, and nothing that blocks."""
    try:
        descriptor = _descriptor(path)
    except OSError as error:
        raise NotImportable(f"{path}: cannot be read ({error.strerror})", path=str(path)) from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotImportable(f"{path} is no plain file", path=str(path))
        yield file


def _descriptor(path: Path) -> int:
    """Opens a path without links part by part: none has taken the place of one since."""
    inside = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW
    folder = os.open(path.anchor, inside)
    try:
        for part in path.parts[1:-1]:
            outer, folder = folder, os.open(part, inside, dir_fd=folder)
            os.close(outer)
        return os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)


def _check_room(services: Services, caller: Caller, size: int, name: str) -> None:
    limit = services.settings.upload_limit_bytes
    if size > limit:
        raise _too_large(limit)
    if not size:
        raise UploadEmpty(f"{name} is empty")
    with services.database.reading() as session:
        quotas.check_bytes(services, session, caller, size)


def _copy(source: BinaryIO, target: Path, limit: int) -> tuple[str, int]:
    """Whole, or not at all; returns its sha256 and size, whatever the file had before."""
    digest, size = hashlib.sha256(), 0
    part = target.with_name(target.name + PART)
    try:
        with part.open("xb") as file:
            while block := source.read(_BLOCK_BYTES):
                size += len(block)
                if size > limit:
                    raise _too_large(limit)
                digest.update(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        part.rename(target)
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise StorageFull(f"no room for {part.name}: {error.strerror}") from error
        raise
    finally:
        part.unlink(missing_ok=True)
    return digest.hexdigest(), size


def _too_large(limit: int) -> UploadTooLarge:
    return UploadTooLarge(f"the file is over the limit of {limit} bytes", limit_bytes=limit)
