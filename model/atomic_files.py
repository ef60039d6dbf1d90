"""Files that a run writes: checked before the work, and whole or not there."""

import errno
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mfnet.model.errors import DiskFull, OutputNotWritable

_FULL = {errno.ENOSPC, errno.EDQUOT}
_OPENS_FOLDERS = hasattr(os, "O_DIRECTORY")
"""Windows does not, and syncs a file to whoever may write it alone."""


def beside(path: Path, what: str) -> Path:
    """`maps/a.tif` and `statistics.json` make `maps/a_statistics.json`: maps may share a folder."""
    return path.with_name(f"{path.stem}_{what}")


def check_outputs(inputs: Iterable[Path | None], outputs: Iterable[Path | None]) -> None:
    """Refuses before the work what could not be written after it, or only over something else."""
    taken = {path.resolve() for path in inputs if path is not None}
    for path in (path for path in outputs if path is not None):
        if path.resolve() in taken:
            reason = "it is another file of this run; choose another name"
        elif path.is_dir() or not os.access(path.parent, os.W_OK):
            reason = "choose a file in a folder that exists and is yours"
        else:
            taken.add(path.resolve())
            continue
        raise OutputNotWritable(f"{path}: cannot be written: {reason}", path=str(path))


def check_space(needed: Iterable[tuple[Path, int]]) -> None:
    """Refuses before the work what a disk has no room for.

    Args:
        needed: Folders and the bytes that are to be written there; folders may lie on one disk.

    Raises:
        DiskFull: Naming the folder, the bytes needed and the bytes free.
    """
    by_disk: Counter[int] = Counter()
    for folder, count in needed:
        by_disk[folder.stat().st_dev] += count
        wanted, free = by_disk[folder.stat().st_dev], shutil.disk_usage(folder).free
        if free < wanted:
            raise DiskFull(
                f"{folder}: {free:,} bytes are free, expected at least {wanted:,} for the result "
                "and its temporary files: make room, or choose another folder",
                folder=str(folder),
                needed_bytes=wanted,
                free_bytes=free,
            )


def not_writable(path: Path, cause: Exception | str, next_bytes: int = 1) -> OutputNotWritable:
    """The error for what could not be written, or not to its end.

    Args:
        path: What was asked for; its folder exists or not.
        cause: What was raised or found. The system says whether the disk is full, GDAL does not.
        next_bytes: What GDAL was to write: where less is free, that is the reason.
    """
    folder = path.parent
    free = shutil.disk_usage(folder).free if folder.is_dir() else next_bytes
    known = cause.errno if isinstance(cause, OSError) else None
    if known in _FULL if known is not None else free < next_bytes:
        return DiskFull(
            f"{path}: the disk ran full ({free:,} bytes are free); nothing was kept: make room, or "
            "choose another folder",
            path=str(path),
            free_bytes=free,
        )
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else cause
    return OutputNotWritable(
        f"{path}: cannot be written ({reason}); choose a file in a folder that exists, is yours "
        "and has space",
        path=str(path),
    )


def sync(path: Path) -> None:
    """Forces a file or folder to disk; a folder where the system can."""
    if path.is_dir() and not _OPENS_FOLDERS:
        return
    descriptor = os.open(path, os.O_RDONLY if _OPENS_FOLDERS else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Writes a file that is whole, and on the disk, before it takes the place of an earlier one.

    Yields:
        Where to write. If that fails the earlier file stays as it was.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        sync(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes a JSON file that is whole or not there.

    Raises:
        OutputNotWritable: The folder is missing, not writable or full.
    """
    text = json.dumps(value, indent=2)
    try:
        with replacing(path) as part:
            part.write_text(text)
    except OSError as error:
        raise not_writable(path, error, len(text)) from error
