"""A tile as files that the engine takes: one's own as they are, others written down."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.windows import Window

from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.training.datasets.readers.georeferenced import PairRasters
from mfnet.training.datasets.readers.tile_files import FileTile
from mfnet.training.datasets.tiles.interface import Crop, Tile

NODATA_M = -9999.0
STRIP_PX = 256
_EASTING, _NORTHING = 500_000.0, 5_000_000.0


@dataclass(frozen=True)
class PairFiles:
    """What `mfnet.model.inference.segment.segment` is given.

    Attributes:
        ortho: A GeoTIFF; the tile's grid.
        height: Heights in the unit that the model was trained with.
        dtm: To be subtracted from them.
        options: How they are read.
    """

    ortho: Path
    height: Path
    dtm: Path | None = None
    options: ReadingOptions | None = None


def gsd_of_own(tile: Tile) -> float | None:
    """Metres a pixel as a tile's own files say; None where they do not, or are not one's own."""
    if isinstance(tile, Crop):
        return gsd_of_own(tile.whole)
    if (drawn := getattr(tile, "gsd_m", None)) is not None:
        return float(drawn)
    own = _own(tile)
    if own is None:
        return None
    ortho = GeoTiff(own.ortho, Role.ORTHO)
    try:
        return ortho.grid.gsd_m
    finally:
        ortho.close()


def pair_files(tile: Tile, folder: Path, gsd_m: float) -> PairFiles:
    """The files of a tile, for the engine.

    Files of one's own are used as they are. The paper's data sets, the towns and blocks of a raster
    are written into the folder as the network sees them in training (three bands, scaled heights),
    strip by strip, on some ground of UTM 32: most of their files do not say where they lie. What
    has no orthophoto has none there either, by the file's mask.

    Args:
        tile: Of any data set.
        folder: For `ortho.tif` and `height.tif`; is made if it is missing.
        gsd_m: Size of a pixel, metres.
    """
    own = _own(tile)
    if own is not None:
        return PairFiles(own.ortho, own.height, own.dtm, own.options)
    folder.mkdir(parents=True, exist_ok=True)
    first = tile.read(Window(0, 0, 1, 1))
    form = {
        "driver": "GTiff",
        "height": tile.height,
        "width": tile.width,
        "crs": CRS.from_epsg(25832),
        "transform": from_origin(_EASTING, _NORTHING, gsd_m, gsd_m),
        "tiled": True,
        "compress": "deflate",
    }
    # What training shows to the network is no longer in doubt, and may be no metres at all.
    options = ReadingOptions(
        bands=(1, 2, 3),
        white=first.white,
        collar=False,
        height_unit="m",
        height_offset=0,
        height_nodata=NODATA_M,
        spikes=False,
    )
    files = PairFiles(folder / "ortho.tif", folder / "height.tif", options=options)
    dtype = first.rasters["ortho"].dtype.name
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),  # the engine looks at no .msk beside a file
        rasterio.open(files.ortho, "w", count=3, dtype=dtype, photometric="rgb", **form) as ortho,
        rasterio.open(
            files.height, "w", count=1, dtype="float32", nodata=NODATA_M, **form
        ) as height,
    ):
        for row in range(0, tile.height, STRIP_PX):
            window = Window(0, row, tile.width, min(STRIP_PX, tile.height - row))
            sample = tile.read(window)
            metres = np.asarray(sample.rasters["ndsm"], np.float32)
            ortho.write(sample.rasters["ortho"], window=window)
            ortho.write_mask(tile.valid(window), window=window)
            height.write(np.where(np.isnan(metres), np.float32(NODATA_M), metres), window=window)
    return files


def _own(tile: Tile) -> PairRasters | None:
    """The files of a tile of one's own."""
    found = tile.rasters if isinstance(tile, FileTile) else None
    return found if isinstance(found, PairRasters) else None
