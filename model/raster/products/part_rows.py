"""Finished rows on their way into a COG, where several processes make them.

A part is a folder `<first row>-<row behind the last>` with a file for each layer: the rows' bytes
as they are, so that a pixel is encoded once, in the COG. It appears whole, by a rename.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from mfnet.model.atomic_files import not_writable, sync
from mfnet.model.errors import PartMissing

_CHUNK_ROWS = 512


class PartWriter:
    """Rows from top to bottom, published all at once.

    Left by an exception, nothing remains; where another process was sooner, its part stays.
    """

    def __init__(self, folder: Path, rows: range, width: int, layers: Sequence[str]) -> None:
        """Take note; nothing is touched before the block is entered.

        Args:
            folder: Of the parts of one map; created if missing.
            rows: The raster rows of this part.
            width: Of the raster, pixels.
            layers: Names of its files, one byte a pixel each.
        """
        self.path = part_path(folder, rows)
        self.rows = rows
        self.width = width
        self.layers = layers
        self._next_row = rows.start

    def __enter__(self) -> Self:
        """Make the temporary folder and its files; a damaged part of the same rows is removed.

        Raises:
            OutputNotWritable: The folder is none, or not writable.
        """
        folder = self.path.parent
        if not self._is_whole():
            shutil.rmtree(self.path, ignore_errors=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with ExitStack() as stack:
                self._folder = Path(tempfile.mkdtemp(prefix=f".{self.path.name}-", dir=folder))
                stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
                self._files = [
                    stack.enter_context((self._folder / layer).open("wb")) for layer in self.layers
                ]
                self._open = stack.pop_all()
        except OSError as error:
            raise not_writable(self.path, error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with self._open:
                if error is None:
                    self._publish()
        except OSError as full:
            raise not_writable(self.path, full) from full

    def write(self, row: int, *layers_hW: np.ndarray) -> None:
        """Append full-width rows.

        Args:
            row: The first; one after the last row written before.
            layers_hW: (h, W) uint8 for each of the layers.

        Raises:
            OutputNotWritable: The disk is full or gone.
        """
        assert row == self._next_row, f"row {row} written after row {self._next_row}"
        for file, values_hW in zip(self._files, layers_hW, strict=True):
            assert values_hW.dtype == np.uint8
            assert values_hW.shape[1] == self.width, values_hW.shape
            try:
                file.write(np.ascontiguousarray(values_hW).data)
            except OSError as error:
                raise not_writable(self.path, error) from error
        self._next_row += len(layers_hW[0])

    def _publish(self) -> None:
        assert self._next_row == self.rows.stop, f"rows end at {self._next_row}, not {self.rows}"
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
        sync(self._folder)
        try:
            self._folder.rename(self.path)
        except OSError:
            if not self._is_whole():  # else somebody computed the same rows, and was sooner
                raise
        sync(self.path.parent)

    def _is_whole(self) -> bool:
        return is_whole(self.path.parent, self.rows, self.width, self.layers)


def part_path(folder: Path, rows: range) -> Path:
    """Where the part of these rows lies, once it is whole."""
    return folder / f"{rows.start}-{rows.stop}"


def is_whole(folder: Path, rows: range, width: int, layers: Sequence[str]) -> bool:
    """Whether the part is there and its files are as long as they must be.

    Args:
        folder: Of the parts of one map.
        rows: The part's.
        width: Of the raster, pixels.
        layers: Names of its files, one byte a pixel each.
    """
    files = [part_path(folder, rows) / layer for layer in layers]
    return all(file.is_file() and file.stat().st_size == len(rows) * width for file in files)


def read_part(
    folder: Path, rows: range, width: int, layers: Sequence[str]
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """The rows of a part from the top, a few hundred at once: the first one's number, the layers.

    Args:
        folder: Of the parts of one map.
        rows: The part's.
        width: Of the raster, pixels.
        layers: Names of the files to read; each comes as (h, W) uint8.

    Raises:
        PartMissing: It is not whole.
    """
    if not is_whole(folder, rows, width, layers):
        raise PartMissing(
            f"rows {rows.start} to {rows.stop}: not there or not whole; compute the part again",
            rows=[rows.start, rows.stop],
        )
    path = part_path(folder, rows)
    with ExitStack() as stack:
        files = [stack.enter_context((path / layer).open("rb")) for layer in layers]
        for row in range(rows.start, rows.stop, _CHUNK_ROWS):
            count = min(_CHUNK_ROWS, rows.stop - row) * width
            yield row, [np.fromfile(file, np.uint8, count).reshape(-1, width) for file in files]
