"""A disk that runs full while a run is writing."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from mfnet.model.errors import DiskFull, OutputNotWritable


@contextmanager
def writing(path: Path, count_bytes: int = 1) -> Iterator[None]:
    """While a file is written: the error of a write that failed becomes ours.

    torch and safetensors have errors of their own for it. What was half written is removed.

    Args:
        path: What is written, aside (`.part`) or at its end.
        count_bytes: What it needs; where less is free, that is the reason.

    Raises:
        DiskFull: There is no room; the file that was there before is as it was.
        OutputNotWritable: Any other reason of the system's.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _of_torchs_writer(error):
            raise
        free = count_bytes
        if path.parent.is_dir():
            free = shutil.disk_usage(path.parent).free
            path.with_name(path.name + ".part").unlink(missing_ok=True)
        if free < count_bytes:
            raise DiskFull(
                f"{path}: the disk ran full; what was there before is whole: make room, and go on "
                "with --resume",
                path=str(path),
                free_bytes=free,
            ) from error
        raise OutputNotWritable(f"{path}: cannot be written ({error})", path=str(path)) from error


def _of_torchs_writer(error: RuntimeError) -> bool:
    return "inline_container" in str(error)
