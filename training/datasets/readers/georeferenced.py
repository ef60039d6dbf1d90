"""An orthophoto and heights that lie on the ground, each on a grid of its own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.classes import NODATA
from mfnet.model.raster.pairs.interpretation import Decisions
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.training.datasets.readers.open_files import OpenFiles
from mfnet.training.datasets.tiles.samples import Sample


@dataclass(frozen=True)
class PairRasters:
    """An orthophoto and heights of any grids, read as a map's are.

    Args:
        ortho: The orthophoto; its grid is the tile's.
        height: Heights above ground, or above the sea if there is a `dtm`.
        dtm: A terrain model.
        options: What the caller knows better than the files.
        decisions: What the numbers mean, found out once for all threads and processes.
        files: Where they stay open.
    """

    ortho: Path
    height: Path
    dtm: Path | None
    options: ReadingOptions
    decisions: Decisions
    files: OpenFiles

    def read(self, window: Window, truth: NDArray[np.uint8]) -> Sample:
        """See `Rasters`; where there is no orthophoto, there is nothing to learn."""
        ortho, valid, heights = self._open().read_window(window)
        truth = np.where(valid, truth, np.uint8(NODATA))
        rasters = {"ortho": ortho, "ndsm": heights[None]}
        gap = None if valid.all() else ~valid
        return Sample(rasters, truth, self.decisions.reading.white, no_ortho=gap)

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """See `Rasters`."""
        return self._open().valid(window)

    def _open(self) -> RasterPair:
        key = (self.ortho, self.height, self.dtm)
        return self.files.get(
            key,
            lambda: RasterPair.open(
                *key[:2], dtm=self.dtm, options=self.options, decisions=self.decisions
            ),
        )
