"""Marks beside uploads of which the disk and the database may say different things.

    uploads/<upload id>.unsettled   somebody adds or removes this upload just now

A process that is killed between the two leaves its mark, and by that a file without a row is known
as left over: files of which no row speaks and that have no mark stay, as the database may be the
wrong one, or an older backup.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from mfnet.service.files import sidecar_files

MARK = ".unsettled"
"""Ending of a mark."""


@contextmanager
def changing(upload: Path) -> Iterator[Path]:
    """Adds the upload to disk and database, or removes it, or leaves everything as it was.

    Yields:
        The mark.
    """
    mark = upload.with_name(upload.name + MARK)
    mark.touch()
    try:
        yield mark
    finally:
        mark.unlink(missing_ok=True)


def is_changing(file: Path) -> bool:
    """Whether somebody adds or removes the upload that a file belongs to."""
    return file.with_name(file.name.partition(".")[0] + MARK).exists()


def settle(
    uploads: Path, known: Callable[[Collection[str]], Collection[str]], part: str, idle_s: float
) -> None:
    """Removes the files of uploads that were being changed by somebody who is gone.

    Args:
        uploads: The folder.
        known: Which of some ids have a row.
        part: What stands behind the name of a file that still arrives.
        idle_s: How old a mark is before it counts, in seconds.
    """
    left = [
        mark.with_name(mark.name.removesuffix(MARK))
        for mark in uploads.glob(f"*{MARK}")
        if _is_old(mark, idle_s) and not mark.with_name(mark.stem + part).exists()
    ]
    if not left:
        return
    there = known([upload.name for upload in left])
    for upload in left:
        if upload.name not in there:
            sidecar_files.remove(upload)
        upload.with_name(upload.name + MARK).unlink(missing_ok=True)


def _is_old(mark: Path, idle_s: float) -> bool:
    try:
        return mark.stat().st_mtime < time.time() - idle_s
    except FileNotFoundError:
        return False
