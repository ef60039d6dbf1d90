"""Tiled copies of JPEGs, of which no part can be read without all that lies above it."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import rasterio
from rasterio.windows import Window

from mfnet.model.errors import OutputNotWritable
from mfnet.model.raster.files.gdal_access import gdal
from mfnet.training.datasets.readers.open_files import open_raster

TILE_PX = 256


def unpacked(path: Path, cache: Path) -> Path:
    """A tiled TIFF with the pixels of a JPEG; made once, and anew where the JPEG has changed.

    Args:
        path: The JPEG, of one band.
        cache: Folder for the copy; is made if it is missing.

    Raises:
        RasterUnreadable: It is no JPEG.
        OutputNotWritable: The copy cannot be written.
    """
    stat = path.stat()
    state = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    copy = cache / f"{path.stem}_{hashlib.sha256(state.encode()).hexdigest()[:8]}.tif"
    if not copy.is_file():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            # the processes of one run all begin with this: each writes a file of its own
            with TemporaryDirectory(prefix=f"{copy.stem}_", dir=cache) as own:
                part = Path(own) / copy.name
                _convert(path, part)
                part.replace(copy)
        except OSError as error:
            raise OutputNotWritable(
                f"{cache}: no tiled copy of {path.name} can be written ({error}); set data.cache "
                "to a folder that can"
            ) from error
    return copy


def _convert(path: Path, copy: Path) -> None:
    with gdal(path), open_raster(path) as source:
        options = {
            "driver": "GTiff",
            "count": 1,
            "height": source.height,
            "width": source.width,
            "dtype": "uint8",
            "tiled": True,
            "blockxsize": TILE_PX,
            "blockysize": TILE_PX,
            "compress": "deflate",
        }
        with rasterio.open(copy, "w", **options) as out:
            for row in range(0, source.height, TILE_PX):
                rows = min(TILE_PX, source.height - row)
                window = Window(0, row, source.width, rows)
                out.write(source.read(1, window=window), 1, window=window)
