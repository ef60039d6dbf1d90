"""A mask file beside a raster."""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from mfnet.model.errors import BadSidecar
from mfnet.model.raster.files.gdal_access import CACHE_BYTES, OPEN_OPTIONS, gdal
from mfnet.model.raster.files.screening import Layout, screen
from mfnet.model.raster.files.sidecars import Sidecars


class MaskFile:
    """A mask file beside a raster (.msk): one band, 0 where there are no data."""

    def __init__(self, path: Path, layout: Layout) -> None:
        """Screen and open it.

        Raises:
            BadSidecar: It has another size or kind.
            InputError: As a raster's.
        """
        self.path = path
        own = screen(path)
        if (own.height, own.width, own.bands) != (layout.height, layout.width, 1):
            raise BadSidecar(
                f"{path.name}: a mask of {own.height} × {own.width} pixels in {own.bands} bands; "
                f"expected {layout.height} × {layout.width} in one, as the raster has: write it "
                "with gdal_translate -b mask, or remove the file",
                file=path.name,
            )
        with gdal(path, CACHE_BYTES):
            self._dataset = rasterio.open(path, driver="GTiff", **OPEN_OPTIONS)

    @classmethod
    def of(cls, sidecars: Sidecars, layout: Layout) -> "MaskFile | None":
        """The mask of a raster, if there is a file of it."""
        return None if sidecars.mask_file is None else cls(sidecars.mask_file, layout)

    def read(self, window: Window) -> np.ndarray:
        """Where there are data, (h, w) bool."""
        with gdal(self.path):
            return np.asarray(self._dataset.read(1, window=window) > 0)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._dataset.close()
