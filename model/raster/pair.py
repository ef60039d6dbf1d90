"""An orthophoto with its heights: opened, checked, aligned on the orthophoto's grid."""

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from rasterio.windows import Window

from model.errors import RasterUnreadable
from model.raster.align import AlignedHeight
from model.raster.geotiff import CACHE_BYTES, GeoTiff, Role, gdal
from model.raster.grid import Grid, Rows
from model.raster.heights import check_above_ground, height_remarks, percentiles
from model.raster.remarks import pair_remarks
from model.raster.report import PairReport, describe, estimate
from model.raster.sample import sample_windows
from model.raster.stamp import Stamp

__all__ = ["Grid", "RasterPair", "Rows"]

# GDAL's warped rasters come in blocks of 128 rows.
_WARP_ROWS = 128
_MAX_CACHE_BYTES = 1 << 30


class RasterPair:
    """An orthophoto and metres above ground, read as rows of the orthophoto's grid.

    Attributes:
        grid: The orthophoto's.
        ortho: The orthophoto's file.
        height: The height raster: an nDSM, or a DSM if there is a `dtm`.
        dtm: The terrain model to be subtracted from it.
        report: What was found while opening.
        stamps: Of the files, as they were just before they were opened.
    """

    def __init__(
        self,
        ortho: GeoTiff,
        height: AlignedHeight,
        dtm: AlignedHeight | None,
        stamps: tuple[Stamp, ...],
    ) -> None:
        self.stamps = stamps
        self.ortho = ortho
        self.height = height
        self.dtm = dtm
        self.grid: Grid = ortho.grid
        self._cache_bytes = _cache_bytes(ortho, height, dtm)
        windows = sample_windows(self.grid.height, self.grid.width)
        self._sampled = np.concatenate([self._heights(window).ravel() for window in windows])
        found = percentiles(self._sampled)
        check_above_ground(found, height.source.path.name, with_dtm=dtm is not None)
        overlaps = [part.placement.overlap_percent for part in (height, dtm) if part]
        self.report = PairReport(
            ortho=describe(ortho),
            height=describe(height.source),
            dtm=describe(dtm.source) if dtm else None,
            gsd_m=self.grid.gsd_m,
            overlap_percent=round(min(overlaps), 1),
            height_percentiles=found,
            remarks=[*pair_remarks(ortho, height), *height_remarks(found)],
            estimate=estimate(self.grid, self._cache_bytes),
        )

    @classmethod
    def open(cls, ortho: Path, height: Path, *, dtm: Path | None = None) -> Self:
        """Open and check a pair; reads tags and a sample of the heights, not the whole files.

        Args:
            ortho: An orthophoto: its first three bands beside alpha are used.
            height: Metres above ground (nDSM), or above anything (DSM) if `dtm` is given.
            dtm: A terrain model, counted from the same level as `height`.

        Raises:
            InputError: A file that is no orthophoto or height raster, that lies elsewhere, or
                whose heights are not above ground; see `model.errors`.
        """
        opened: list[GeoTiff | AlignedHeight] = []
        stamps = tuple(Stamp.of(path) for path in (ortho, height, dtm) if path is not None)
        try:
            picture = GeoTiff(Path(ortho), Role.ORTHO)
            opened.append(picture)
            aligned: list[AlignedHeight] = []
            for path in (height, dtm) if dtm is not None else (height,):
                source = GeoTiff(Path(path), Role.HEIGHT)
                opened.append(source)
                aligned.append(AlignedHeight(source, picture.grid))
                opened.append(aligned[-1])
            return cls(picture, aligned[0], aligned[1] if dtm is not None else None, stamps)
        except BaseException:
            for part in reversed(opened):
                part.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files; a second time does nothing."""
        for part in (self.dtm, self.height, self.ortho):
            if part is not None:
                part.close()

    @property
    def ortho_dtype(self) -> np.dtype:
        """Of the orthophoto's digital numbers."""
        return self.ortho.dtype

    def read(self, row: int, rows: int) -> Rows:
        """Read full-width rows; from one thread at a time.

        Consecutive calls decode each block about once: GDAL's cache holds a row of blocks.

        Args:
            row: The first.
            rows: How many; those beyond the raster's last are left out.

        Raises:
            RasterUnreadable: A block that cannot be decoded.
            InputChanged: The same, and the files are not what they were when opened.
        """
        window = Window(0, row, self.grid.width, min(rows, self.grid.height - row))
        try:
            with gdal(self.ortho.path, self._cache_bytes):
                ortho, ortho_valid = self.ortho.read(window)
                heights = self._heights(window)
        except RasterUnreadable:
            self.check_unchanged()
            raise
        known = np.isfinite(heights)
        # Below the ground stands nothing: noise of the two models, or an undeclared nodata value.
        ndsm = np.where(known, np.maximum(heights, 0), np.float32(0))[np.newaxis]
        return Rows(
            row=row,
            arrays={"ortho": np.where(ortho_valid, ortho, ortho.dtype.type(0)), "ndsm": ndsm},
            valid={"ortho": ortho_valid, "ndsm": known},
        )

    def sample(self) -> dict[str, np.ndarray]:
        """A sample of what `read` gives; from one thread at a time.

        Returns:
            Valid pixels by modality, (bands, n): digital numbers, and metres above ground.

        Raises:
            RasterUnreadable, InputChanged: As `read`.
        """
        parts = []
        try:
            with gdal(self.ortho.path, self._cache_bytes):
                for window in sample_windows(self.grid.height, self.grid.width):
                    values, valid = self.ortho.read(window)
                    parts.append(values[:, valid])
        except RasterUnreadable:
            self.check_unchanged()
            raise
        heights = self._sampled[np.isfinite(self._sampled)]
        return {
            "ortho": np.concatenate(parts, axis=1),
            "ndsm": np.maximum(heights, 0)[np.newaxis],
        }

    def check_unchanged(self) -> None:
        """Refuse what was read from files that have changed since they were opened.

        Raises:
            InputChanged: One was replaced, written to, truncated or removed.
        """
        for stamp in self.stamps:
            stamp.check()

    def _heights(self, window: Window) -> np.ndarray:
        """Metres above ground (h, w) float32, as the files have them; NaN where unknown."""
        heights = self.height.read(window)
        return heights if self.dtm is None else heights - self.dtm.read(window)


def _cache_bytes(ortho: GeoTiff, *heights: AlignedHeight | None) -> int:
    """What GDAL's cache needs so that consecutive rows decode each block once.

    Two rows of blocks of each file, and two of each warp.
    """
    wanted = CACHE_BYTES
    for source in (ortho, *(part.source for part in heights if part)):
        rows = min(source.layout.block_height, source.grid.height) + source.layout.block_height
        bits = source.layout.bits * source.layout.bands
        wanted += rows * (source.grid.width + source.layout.block_width) * bits // 8
    wanted += 2 * _WARP_ROWS * 4 * (ortho.grid.width + 512) * sum(1 for part in heights if part)
    return min(wanted, _MAX_CACHE_BYTES)
