"""An orthophoto with its heights: opened, checked, aligned on the orthophoto's grid."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from rasterio.windows import Window

from mfnet.model.config import ModelConfig
from mfnet.model.errors import RasterUnreadable
from mfnet.model.raster.files.file_stamp import Stamp
from mfnet.model.raster.files.gdal_access import CACHE_BYTES, MOST_CACHE_BYTES, gdal
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.files.mosaic import files_of
from mfnet.model.raster.files.sidecars import Sidecars
from mfnet.model.raster.georeferencing.crs_agreement import agree_crs
from mfnet.model.raster.georeferencing.grid import Grid, Rows
from mfnet.model.raster.pairs.alignment.align import AlignedHeight
from mfnet.model.raster.pairs.interpretation import Decisions, decide
from mfnet.model.raster.pairs.pair_remarks import moved_remarks, pair_remarks
from mfnet.model.raster.pairs.report import Estimate, PairReport, describe, estimate
from mfnet.model.raster.values.fill_values import possible
from mfnet.model.raster.values.reading_options import ReadingOptions

__all__ = ["Grid", "RasterPair", "Rows"]


class RasterPair:
    """An orthophoto and metres above ground, read as rows of the orthophoto's grid.

    What the numbers mean is decided once, when the pair is opened
    (`mfnet.model.raster.pairs.interpretation`), and holds for every window.

    Attributes:
        grid: The orthophoto's.
        ortho: The orthophoto's file.
        height: The height raster: an nDSM, or a DSM if there is a `dtm`; None where colour is all.
        dtm: The terrain model to be subtracted from it.
        options: What the caller knows better than the files.
        decisions: What the numbers mean.
        white: Digital number of full reflectance.
        report: What was found while opening.
        stamps: Of the files, as they were just before they were opened.
    """

    def __init__(
        self,
        ortho: GeoTiff,
        height: AlignedHeight | None,
        dtm: AlignedHeight | None,
        stamps: tuple[Stamp, ...],
        options: ReadingOptions,
        decisions: Decisions | None = None,
        *,
        surface: bool = False,
    ) -> None:
        self.stamps = stamps
        self.ortho = ortho
        self.height = height
        self.dtm = dtm
        self.options = options
        self.grid: Grid = ortho.grid
        self._cache_bytes = cache_bytes(ortho, height, dtm)
        if decisions is None:
            with gdal(ortho.path, self._cache_bytes):
                decisions = decide(ortho, height, dtm, options, surface=surface)
        if height is not None and decisions.height is not None:
            height.interpret(decisions.height)
        if dtm is not None and decisions.dtm is not None:
            dtm.interpret(decisions.dtm)
        self.decisions = decisions
        self.white = decisions.reading.white
        self._offset = np.float32(options.height_offset or 0.0)
        overlaps = [part.placement.overlap_percent for part in (height, dtm) if part]
        self.report = PairReport(
            ortho=describe(ortho),
            height=describe(height.source) if height else None,
            dtm=describe(dtm.source) if dtm else None,
            gsd_m=self.grid.gsd_m,
            overlap_percent=round(min(overlaps), 1) if overlaps else None,
            height_percentiles=decisions.percentiles,
            reading=decisions.reading,
            remarks=[
                *pair_remarks(ortho, height, dtm),
                *moved_remarks(height, options.height_shift),
                *decisions.remarks,
            ],
            estimate=self.estimate_for(None),
        )

    def estimate_for(self, model: ModelConfig | None) -> Estimate:
        """What a run of a model takes; of a usual one if none is given."""
        if model is None:
            return estimate(self.grid, self._cache_bytes)
        window_px = model.at(self.grid.gsd_m).window_px
        return estimate(self.grid, self._cache_bytes, window_px, len(model.classes))

    @classmethod
    def open(
        cls,
        ortho: Path,
        height: Path | None,
        *,
        dtm: Path | None = None,
        options: ReadingOptions | None = None,
        decisions: Decisions | None = None,
        sidecars: Mapping[str, Sidecars] | None = None,
        surface: bool = False,
    ) -> Self:
        """Open and check a pair; reads tags and a sample of the pixels, not the whole files.

        Args:
            ortho: An orthophoto: three of its bands are used.
            height: Heights above ground (nDSM), or above anything (DSM) if `dtm` is given; None
                where there are none, and every pixel is one without height.
            dtm: A terrain model, counted from the same level as `height`.
            options: What the caller knows better than the files.
            decisions: What was decided when the same files were opened before; saves the sample.
            sidecars: Of `ortho`, `height` and `dtm`; those beside the files if not given.
            surface: `height` is a surface model whose terrain is derived later: its level is not
                judged, and what `read` gives of it are no heights above ground.

        Raises:
            InputError: A file that is no orthophoto or height raster, that lies elsewhere, whose
                numbers can be read in two ways, or whose heights are not above ground; see
                `mfnet.model.errors`.
        """
        options = options or ReadingOptions()
        opened: list[GeoTiff] = []
        given = [path for path in (ortho, height, dtm) if path is not None]
        stamps = tuple(Stamp.of(file) for path in given for file in files_of(Path(path)))
        try:
            beside = sidecars or {}
            picture = GeoTiff(Path(ortho), Role.ORTHO, options, beside.get("ortho"))
            opened.append(picture)
            sources = []
            for name, path, role in (
                ("height", height, Role.HEIGHT),
                ("dtm", dtm, Role.DTM),
            ):
                if path is not None:
                    sources.append(GeoTiff(Path(path), role, options, beside.get(name)))
                    opened.append(sources[-1])
            stamps += tuple(Stamp.of(file) for each in opened for file in each.sidecars.files)
            for source in sources:
                picture.grid, source.grid, told = agree_crs(
                    *(picture.grid, source.grid, options.crs),
                    (picture.path.name, source.path.name),
                )
                source.remarks += told
            right, down = options.height_shift or (0.0, 0.0)
            there = picture.grid.moved(right, down)
            aligned = [AlignedHeight(source, there) for source in sources]
            surface_model, terrain = (*aligned, None, None)[:2]
            return cls(picture, surface_model, terrain, stamps, options, decisions, surface=surface)
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

    def read(self, row: int, rows: int, columns: range | None = None) -> Rows:
        """Read full-width rows; from one thread at a time.

        Consecutive calls decode each block about once: GDAL's cache holds a row of blocks.

        Args:
            row: The first.
            rows: How many; those beyond the raster's last are left out.
            columns: Those that are wanted; others are 0, and not valid.

        Raises:
            RasterUnreadable: A block that cannot be decoded.
            InputChanged: The same, and the files are not what they were when opened.
        """
        rows, columns = min(rows, self.grid.height - row), columns or range(self.grid.width)
        window = Window(columns.start, row, len(columns), rows)
        try:
            ortho, ortho_valid, heights = self.read_window(window)
        except RasterUnreadable:
            self.check_unchanged()
            raise
        known = np.isfinite(heights)
        # Below the ground stands nothing: noise of the two models.
        ndsm = np.where(known, np.maximum(heights, 0), np.float32(0))[np.newaxis]
        found = Rows(
            row=row,
            arrays={"ortho": ortho, "ndsm": ndsm},
            valid={"ortho": ortho_valid, "ndsm": known},
        )
        return found.widened(columns, self.grid.width)

    def read_window(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Read any window; from one thread at a time.

        Returns:
            The orthophoto's digital numbers (3, h, w), 0 where it is not valid; its validity
            (h, w); metres above ground (h, w) float32, NaN where unknown.

        Raises:
            RasterUnreadable: A block that cannot be decoded.
        """
        with gdal(self.ortho.path, self._cache_bytes):
            ortho, valid = self.ortho.read(window)
            heights = self._heights(window)
        self._clear_collars(valid, window)
        return np.where(valid, ortho, ortho.dtype.type(0)), valid, heights

    def heights(self, row: int, rows: int) -> np.ndarray:
        """Metres above ground of full-width rows, (rows, W) float32; NaN where unknown.

        As `read` gives them, without the orthophoto.
        """
        with gdal(self.ortho.path, self._cache_bytes):
            heights = self._heights(Window(0, row, self.grid.width, rows))
        above: np.ndarray = np.maximum(heights, 0)  # as in `read`
        return above

    def valid(self, window: Window) -> np.ndarray:
        """Where the orthophoto has data, (h, w); it is not read where that is everywhere."""
        valid = np.ones((window.height, window.width), bool)
        if self.ortho.may_have_gaps:
            with gdal(self.ortho.path, self._cache_bytes):
                valid = self.ortho.read(window)[1]
        self._clear_collars(valid, window)
        return valid

    def sample(self) -> dict[str, np.ndarray]:
        """A sample of what `read` gives, taken when the pair was opened.

        Returns:
            Valid pixels by modality, (bands, n): digital numbers, and metres above ground.
        """
        return self.decisions.sample

    def check_unchanged(self) -> None:
        """Refuse what was read from files that have changed since they were opened.

        Raises:
            InputChanged: One was replaced, written to, truncated or removed.
        """
        for stamp in self.stamps:
            stamp.check()

    def _heights(self, window: Window) -> np.ndarray:
        """Metres above ground (h, w) float32; NaN where unknown."""
        if self.height is None:
            return np.full((window.height, window.width), np.nan, np.float32)
        heights = self.height.read(window)
        if self.dtm is not None:
            heights = heights - self.dtm.read(window)
        heights += self._offset
        heights[~possible(heights, self.decisions.limits_m)] = np.nan
        return heights

    def _clear_collars(self, valid: np.ndarray, window: Window) -> None:
        for collar in self.decisions.collars:
            collar.clear(valid, window)


def cache_bytes(ortho: GeoTiff, *heights: AlignedHeight | None) -> int:
    """What GDAL's cache needs so that consecutive rows decode each block once."""
    sources = (ortho, *(part.source for part in heights if part))
    wanted = CACHE_BYTES + sum(source.layout.row_bytes for source in sources)
    return min(wanted, MOST_CACHE_BYTES)
