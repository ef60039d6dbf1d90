"""Writes a class raster, or another of one byte a pixel, as a Cloud Optimized GeoTIFF (COG)."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.io import DatasetWriter
from rasterio.windows import Window

from mfnet.model.atomic_files import not_writable, sync
from mfnet.model.classes import NODATA, ClassScheme
from mfnet.model.errors import OutputNotWritable
from mfnet.model.raster.files.gdal_access import CACHE_BYTES, GDAL_OPTIONS
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.embedded_table import embed, reserve
from mfnet.model.raster.products.legend import color_table, gdal_sidecar, qgis_style
from mfnet.model.raster.products.write_progress import watched

BLOCK_PX = 512


def disk_bytes(grid: Grid) -> int:
    """At most, for a COG of one byte a pixel, its overviews and its temporary file."""
    return disk_bytes_of(grid.height * grid.width)


def disk_bytes_of(pixels: int) -> int:
    """The same of so many pixels."""
    return 2 * pixels + pixels // 3


class CogWriter:
    """A raster that grows from top to bottom and is published all at once.

    Rows go into a tiled temporary file as they are, so that each pixel is encoded once and never
    decoded. That file becomes the COG when the `with` block is left normally. Everything is written
    in a temporary folder beside the result, forced to disk and renamed, the raster last; when the
    block is left by an exception, nothing remains.
    """

    def __init__(
        self,
        path: Path,
        grid: Grid,
        *,
        description: str,
        scheme: ClassScheme | None = None,
        tags: dict[str, str] | None = None,
        nodata: int = NODATA,
        threads: int | None = None,
    ) -> None:
        """Take note of what is to be written; nothing is touched before the block is entered.

        Args:
            path: Of the COG. With a scheme, `<path>.aux.xml` and `<stem>.qml` are written beside.
            grid: The orthophoto's.
            description: Of the band.
            scheme: Names and colours, inside the file as well as beside it; overviews then show the
                most frequent class.
            tags: Tags of the data set.
            nodata: Value of pixels without a value.
            threads: That compress; one a processor if not given.
        """
        self.path = Path(path)
        self.grid = grid
        self.description = description
        self.scheme = scheme
        self.tags = tags or {}
        self.nodata = nodata
        self.threads = threads
        self._next_row = 0
        self._finished: list[Path] = []
        # Rows that do not fill a row of tiles yet: a tile is written once.
        self._pending = np.empty((BLOCK_PX, grid.width), np.uint8)

    def __enter__(self) -> Self:
        """Make the temporary folder and file.

        Raises:
            OutputNotWritable: The path is a folder, or its folder is missing or not writable.
        """
        if self.path.is_dir():
            raise self._not_writable("it is a folder")
        try:
            folder = tempfile.mkdtemp(prefix=f".{self.path.name}-", dir=self.path.parent)
        except OSError as error:
            raise self._not_writable(error) from error
        self._folder = Path(folder)
        try:
            self._rows = self._create()
        except Exception as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise self._not_writable(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._publish()
            else:
                self._close()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, row: int, values_hW: np.ndarray) -> None:
        """Append full-width rows.

        Args:
            row: The first; one after the last row written before.
            values_hW: (h, W) uint8.

        Raises:
            OutputNotWritable: The disk is full or gone.
        """
        assert row == self._next_row, f"row {row} written after row {self._next_row}"
        assert values_hW.shape[1] == self.grid.width, values_hW.shape
        done = 0
        while done < len(values_hW):
            filled = self._next_row % BLOCK_PX
            count = min(BLOCK_PX - filled, len(values_hW) - done)
            self._pending[filled : filled + count] = values_hW[done : done + count]
            done += count
            self._next_row += count
            if self._next_row % BLOCK_PX == 0 or self._next_row == self.grid.height:
                self._flush(filled + count)

    def _create(self) -> DatasetWriter:
        with rasterio.Env(**GDAL_OPTIONS):
            rows = rasterio.open(
                self._folder / "rows.tif",
                "w",
                driver="GTiff",
                height=self.grid.height,
                width=self.grid.width,
                count=1,
                dtype="uint8",
                crs=self.grid.crs,
                transform=self.grid.transform,
                nodata=self.nodata,
                tiled=True,
                blockxsize=BLOCK_PX,
                blockysize=BLOCK_PX,
                sparse_ok=True,  # tiles without data take no room
                bigtiff="IF_SAFER",
            )
            rows.set_band_description(1, self.description)
            rows.update_tags(**self.tags)
            if self.scheme is not None:
                rows.write_colormap(1, color_table(self.scheme))
                rows.update_tags(1, **reserve(self.scheme))
        return rows

    def _flush(self, rows: int) -> None:
        window = Window(0, self._next_row - rows, self.grid.width, rows)
        try:
            with rasterio.Env(**GDAL_OPTIONS):
                self._rows.write(self._pending[:rows], 1, window=window)
        except Exception as error:  # rasterio's own, or a bare CPLE error of a full disk
            raise self._not_writable(error) from error

    def finish(self, growing: Callable[[], None] = lambda: None) -> None:
        """Build the COG aside, all rows being written; it appears at the end of the block.

        Leaving the block does this, too: whoever publishes other files along with it can know
        before that nothing is in the way any more.

        Args:
            growing: Called now and then, from a thread, while the files grow: a large raster takes
                minutes, and whoever watches should know that it goes on.

        Raises:
            OutputNotWritable: The disk is full or gone.
        """
        assert self._next_row == self.grid.height, (
            f"{self._next_row} of {self.grid.height} rows written"
        )
        finished, rows = self._folder / self.path.name, self._folder / "rows.tif"
        try:
            self._close()
            # Without a limit GDAL's cache takes as much as the raster fills, up to a share of all.
            with (
                watched(self._folder, growing),
                rasterio.Env(**GDAL_OPTIONS, GDAL_CACHEMAX=CACHE_BYTES),
            ):
                rasterio.shutil.copy(rows, finished, driver="COG", **self._cog_options())
            rows.unlink()
            if self.scheme is not None:
                embed(finished, self.scheme)
            self._check_end(finished)
            self._finished = [*self._write_sidecars(), finished]
            for path in self._finished:
                sync(path)
        except Exception as error:  # as in _flush
            raise self._not_writable(error) from error

    def _publish(self) -> None:
        """The COG and its sidecars appear: the raster last."""
        if not self._finished:
            self.finish()
        try:
            for path in self._finished:
                path.replace(self.path.parent / path.name)
            sync(self.path.parent)
        except OSError as error:
            raise self._not_writable(error) from error

    def _check_end(self, finished: Path) -> None:
        """Read the last row of tiles back: closing a file, GDAL keeps a full disk to itself."""
        rows = (self.grid.height - 1) % BLOCK_PX + 1
        window = Window(0, self.grid.height - rows, self.grid.width, rows)
        with rasterio.Env(**GDAL_OPTIONS), rasterio.open(finished, driver="GTiff") as raster:
            if not np.array_equal(raster.read(1, window=window), self._pending[:rows]):
                raise OSError("what was written last is not there")

    def _cog_options(self) -> dict[str, Any]:
        # Codes and names have no mean: the nearest value for whatever has no scheme.
        resampling = "NEAREST" if self.scheme is None else "MODE"
        # A validator takes tiles as wide as the raster for strips, and cannot tell that the
        # overview of a single column is smaller.
        return {
            "COMPRESS": "DEFLATE",
            # A map takes a tenth more room than at GDAL's 6 and two thirds of the time; a map as
            # ragged as noise takes the same room.
            "LEVEL": 5,
            "BLOCKSIZE": BLOCK_PX // 2 if self.grid.width == BLOCK_PX else BLOCK_PX,
            "OVERVIEWS": "NONE" if self.grid.width == 1 else "AUTO",
            "OVERVIEW_RESAMPLING": resampling,
            "BIGTIFF": "IF_SAFER",
            "NUM_THREADS": self.threads or "ALL_CPUS",
        }

    def _write_sidecars(self) -> list[Path]:
        if self.scheme is None:
            return []
        sidecar = self._folder / f"{self.path.name}.aux.xml"
        style = self._folder / f"{self.path.stem}.qml"
        sidecar.write_bytes(gdal_sidecar(self.scheme))
        style.write_bytes(qgis_style(self.scheme))
        return [sidecar, style]

    def _close(self) -> None:
        with rasterio.Env(**GDAL_OPTIONS):
            self._rows.close()

    def _not_writable(self, cause: Exception | str) -> OutputNotWritable:
        return not_writable(self.path, cause, next_bytes=self._pending.nbytes)
