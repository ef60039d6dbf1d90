"""Forcing what was written to the disk, and to its name."""

import os
import shutil
from pathlib import Path


def sync(path: Path) -> None:
    """Forces a file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_or_copy(source: Path, target: Path) -> None:
    """Gives a file that nobody writes to another name; a copy where the file system has no links.

    Raises:
        FileNotFoundError: It is gone.
    """
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)


def publish_once(made: Path, target: Path) -> None:
    """Gives a finished file its name, unless another process was sooner: then its file stays.

    Args:
        made: The file, in the same file system; it may stay where it is.
        target: Its name. Whoever has opened it never finds another file there.
    """
    sync(made)
    try:
        os.link(made, target)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        made.rename(target)
    sync(target.parent)
