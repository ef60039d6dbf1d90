"""Files as one zip, made while it is sent: nothing is held in memory or written to the disk."""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

_BLOCK_BYTES = 1 << 20
_COMPRESSED = {".tif"}  # by themselves
_LEVEL = 1


def zip_stream(files: Mapping[str, Path], here: Callable[[Path], Path]) -> Iterator[bytes]:
    """The bytes of a zip of files.

    Args:
        files: By their names in it.
        here: Brings a file to this machine; called when its turn comes.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", compresslevel=_LEVEL) as archive:
        for name, path in files.items():
            entry = zipfile.ZipInfo.from_file(here(path), name)
            entry.compress_type = (
                zipfile.ZIP_STORED if path.suffix in _COMPRESSED else zipfile.ZIP_DEFLATED
            )
            with path.open("rb") as file, archive.open(entry, "w", force_zip64=True) as into:
                while block := file.read(_BLOCK_BYTES):
                    into.write(block)
                    yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """Takes what is written, until it is taken out."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self._held += memoryview(data)  # type: ignore[arg-type]
        return memoryview(data).nbytes  # type: ignore[arg-type]

    def taken(self) -> bytes:
        """What has come since the last time."""
        taken = bytes(self._held)
        self._held.clear()
        return taken
