"""Finished rows of a map that is still being computed, for a later run to go on from.

They lie in a hidden folder beside the map, which `segment` removes once the map stands. Where a
raster is cut changes no byte, so neither does where a run was interrupted.
"""

import shutil
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mfnet.model.inference.sliding_window import Band
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.part_rows import PartWriter, is_whole, read_part

_CHUNK_PIXELS = 4 << 20
"""Of rows that are kept at once: half a minute of work on two cores."""
_LEAST_PIXELS = 4 * _CHUNK_PIXELS
"""Smaller maps are computed anew."""


@dataclass(frozen=True)
class KeptRows:
    """The rows of one map that are done, in chunks from the top.

    Attributes:
        folder: Theirs; its name is a key of everything that their bytes depend on.
        height: Of the raster, rows.
        width: Of the raster, pixels.
        layers: Names of what is kept, one byte a pixel each.
        chunk_rows: Rows of a chunk.
    """

    folder: Path
    height: int
    width: int
    layers: Sequence[str]
    chunk_rows: int

    @property
    def done(self) -> int:
        """How many rows from the top are there."""
        for rows in self._chunks(0):
            if not is_whole(self.folder, rows, self.width, self.layers):
                return rows.start
        return self.height

    def read(self, done: int) -> Generator[Band, None, None]:
        """The first rows, as they were computed."""
        for rows in self._chunks(0):
            if rows.stop > done:
                return
            for row, (classes_hW, *others) in read_part(self.folder, rows, self.width, self.layers):
                yield Band(row, classes_hW, others[0] if others else None)

    def keep(self, bands: Iterator[Band], done: int) -> Generator[Band, None, None]:
        """Passes on the rows that follow, and keeps each chunk that is whole."""
        pieces = self._pieces(bands)
        for rows in self._chunks(done):
            with PartWriter(self.folder, rows, self.width, self.layers) as part:
                row = rows.start
                while row < rows.stop:
                    band = next(pieces)
                    layers = (band.classes_hW, band.confidence_hW)
                    part.write(row, *(layer for layer in layers if layer is not None))
                    row += len(band.classes_hW)
                    yield band

    def remove_others(self) -> None:
        """Forget what runs with other inputs, models or options have left."""
        if self.folder.parent.is_dir():
            for other in self.folder.parent.iterdir():
                if other != self.folder:
                    shutil.rmtree(other, ignore_errors=True)

    def _chunks(self, first: int) -> Iterator[range]:
        for row in range(first, self.height, self.chunk_rows):
            yield range(row, min(row + self.chunk_rows, self.height))

    def _pieces(self, bands: Iterator[Band]) -> Iterator[Band]:
        """The same rows, cut where a chunk ends."""
        for band in bands:
            row, stop = band.row, band.row + len(band.classes_hW)
            while row < stop:
                end = min(stop, (row // self.chunk_rows + 1) * self.chunk_rows)
                part = slice(row - band.row, end - band.row)
                percent = band.confidence_hW
                yield Band(row, band.classes_hW[part], None if percent is None else percent[part])
                row = end


def kept_rows(out: Path, key: str, grid: Grid, layers: Sequence[str]) -> KeptRows | None:
    """Where the rows of a map are kept; None where that is not worth it, or the disk too full.

    Args:
        out: The map.
        key: Of everything that its bytes depend on.
        grid: Its.
        layers: As of `KeptRows`.
    """
    pixels = grid.height * grid.width
    if pixels < _LEAST_PIXELS:
        return None
    folder = folder_beside(out)
    kept = KeptRows(
        folder / key, grid.height, grid.width, layers, max(1, _CHUNK_PIXELS // grid.width)
    )
    kept.remove_others()
    to_come = (grid.height - kept.done) * grid.width * len(layers)
    # The map itself and its temporary files need as much again, twice.
    enough = shutil.disk_usage(out.parent).free > to_come + 3 * pixels * len(layers)
    return kept if enough else None


def folder_beside(out: Path) -> Path:
    """Where rows of a map are kept, whatever their key."""
    return out.with_name(f".{out.name}.rows")
