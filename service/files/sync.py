"""Forcing what was written to the disk."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Forces a file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
