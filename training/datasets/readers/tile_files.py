"""A tile in files: rasters and labels that lie on one grid."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.classes import NODATA
from mfnet.model.raster.pairs.normalize import white_point
from mfnet.training.datasets.readers.label_rasters import Labels
from mfnet.training.datasets.readers.open_files import OpenFiles
from mfnet.training.datasets.tiles.samples import Sample

PER_RASTER_METRE = 1 / 30
"""What a metre is taken for where heights run from 0 to 1: noise must have some size, and 30 m is
the range that metres have elsewhere."""


class Rasters(Protocol):
    """What a network sees of a tile."""

    def read(self, window: Window, truth: NDArray[np.uint8]) -> Sample:
        """The window's rasters, with its truth where there is an orthophoto."""

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """Where there is an orthophoto, (h, w)."""


@dataclass(frozen=True)
class FileTile:
    """A tile whose windows are read when they are asked for.

    Attributes:
        name: For people.
        height: Rows.
        width: Columns.
        rasters: The orthophoto and the heights.
        labels: The truth.
    """

    name: str
    height: int
    width: int
    rasters: Rasters
    labels: Labels

    def read(self, window: Window) -> Sample:
        """See `Tile`."""
        return self.rasters.read(window, self.labels.read(window))

    def truth(self, window: Window) -> NDArray[np.uint8]:
        """See `Tile`."""
        return np.where(self.valid(window), self.labels.read(window), np.uint8(NODATA))

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """See `Tile`."""
        return self.rasters.valid(window)


@dataclass(frozen=True)
class Stretch:
    """A linear map of a band's values, for pictures to 0..255 and for heights to any unit.

    Attributes:
        origin: What becomes 0.
        scale: How much a step above it is worth.
    """

    origin: float
    scale: float

    @classmethod
    def between(cls, low: float, high: float, top: float = 1.0) -> "Stretch":
        """From low..high to 0..top; all 0 where high is not above low."""
        scale = top / (high - low) if high > low else 0.0
        return cls(low, scale)

    def __call__(self, values: NDArray[np.generic]) -> NDArray[np.float32]:
        """The values, mapped; NaN where they are not finite."""
        above = np.asarray(values, np.float32) - np.float32(self.origin)
        mapped = above * np.float32(self.scale)
        return np.where(np.isfinite(mapped), mapped, np.float32(np.nan))


@dataclass(frozen=True)
class PlainRasters:
    """An orthophoto and heights of one size in TIFFs that need not lie on any ground.

    Args:
        ortho: The orthophoto.
        bands: Three of its bands, in the order in which the network sees them.
        heights: One band of heights.
        height_scale: From stored values to metres, or to 0..1.
        metre: What a metre is then.
        files: Where they stay open.
        colours: From stored values to 8 bits, a band each; left out, they are used as stored.
        height_band: Of the file of heights, which may be the orthophoto's.
    """

    ortho: Path
    bands: tuple[int, ...]
    heights: Path
    height_scale: Stretch
    metre: float
    files: OpenFiles
    colours: tuple[Stretch, ...] | None = None
    height_band: int = 1

    def read(self, window: Window, truth: NDArray[np.uint8]) -> Sample:
        """See `Rasters`."""
        ortho = self.files.read(self.ortho, self.bands, window)
        if self.colours is not None:
            stretched = [np.nan_to_num(s(b)) for s, b in zip(self.colours, ortho, strict=True)]
            ortho = np.stack(stretched).round().clip(0, 255).astype(np.uint8)
        heights = self.height_scale(self.files.read(self.heights, (self.height_band,), window))
        rasters = {"ortho": ortho, "ndsm": heights}
        return Sample(rasters, truth, white_point(ortho.dtype), self.metre)

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """Everywhere: the paper's orthophotos have no gaps."""
        return np.ones((window.height, window.width), bool)


def height_scale(
    heights: str, path: Path, files: OpenFiles, *, step_m: float | None = None
) -> tuple[Stretch, float]:
    """How stored heights are shown, and what a metre is then.

    Args:
        heights: `per-raster`: 0 to 1 between the raster's own lowest and highest value, as the
            paper has it; or `metres`, above the raster's lowest value unless `step_m` is given.
        path: One band of heights; it is read whole, strip by strip.
        files: To read it with.
        step_m: Metres a stored step, where the stored values count from the ground.
    """
    if heights == "metres" and step_m is not None:
        return Stretch(0.0, step_m), 1.0
    low, high = value_range(path, 1, files)
    if heights == "metres":
        return Stretch(low, 1.0), 1.0
    return Stretch.between(low, high), PER_RASTER_METRE


def value_range(path: Path, band: int, files: OpenFiles) -> tuple[float, float]:
    """The lowest and highest finite value of a band, the raster being read strip by strip."""
    low, high = np.inf, -np.inf
    height, width = files.shape(path)
    for row in range(0, height, 512):
        values = files.read(path, (band,), Window(0, row, width, min(512, height - row)))
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high) if low <= high else (0.0, 0.0)
