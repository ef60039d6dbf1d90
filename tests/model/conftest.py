"""GeoTIFFs made on the spot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from mfnet.model.raster.files.sample_windows import sample_windows, scattered_windows

UTM = CRS.from_epsg(25832)
ORIGIN = (500_000.0, 5_700_000.0)

MakeTiff = Callable[..., Path]


def at(gsd: float, east: float = 0.0, south: float = 0.0) -> Affine:
    """A north-up transform, moved from `ORIGIN` by metres."""
    return Affine(gsd, 0, ORIGIN[0] + east, 0, -gsd, ORIGIN[1] - south)


@pytest.fixture
def make_tiff(tmp_path: Path) -> MakeTiff:
    """Write `values` (bands, h, w) or (h, w) as a GeoTIFF and return its path."""

    def make(
        name: str,
        values: np.ndarray,
        transform: Affine | None = None,
        crs: CRS | None = UTM,
        mask: np.ndarray | None = None,
        **options: Any,
    ) -> Path:
        bands = values[np.newaxis] if values.ndim == 2 else values
        path = tmp_path / name
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(
                path,
                "w",
                driver="GTiff",
                count=len(bands),
                height=bands.shape[1],
                width=bands.shape[2],
                dtype=bands.dtype.name,
                transform=at(0.5) if transform is None else transform,
                crs=crs,
                **options,
            ) as raster,
        ):
            raster.write(bands)
            if mask is not None:
                raster.write_mask(mask)
        return path

    return make


@pytest.fixture
def damage() -> Callable[[Path], int]:
    """Spoil a compressed tile that no sample of a square raster reads; returns its first row."""

    def spoil(path: Path) -> int:
        with rasterio.open(path) as raster:
            row, column = _unsampled(raster.height, raster.block_shapes[0][0])
            block = f"{column}_{row}"
            first_row = row * raster.block_shapes[0][0]
            offset = raster.get_tag_item(f"BLOCK_OFFSET_{block}", "TIFF", bidx=1)
            size = raster.get_tag_item(f"BLOCK_SIZE_{block}", "TIFF", bidx=1)
        content = bytearray(path.read_bytes())
        content[int(offset) : int(offset) + int(size)] = b"\xff" * int(size)
        path.write_bytes(content)
        return first_row

    return spoil


def _unsampled(side: int, block: int) -> tuple[int, int]:
    """Row and column, in blocks, of a block without a sampled pixel."""
    seen = {
        (row // block, column // block)
        for windows in (sample_windows, scattered_windows)
        for window in windows(side, side)
        for row in (window.row_off, window.row_off + window.height - 1)
        for column in (window.col_off, window.col_off + window.width - 1)
    }
    blocks = range(side // block)
    return next((r, c) for r in blocks for c in blocks if r and (r, c) not in seen)


@pytest.fixture
def photo(make_tiff: MakeTiff) -> Callable[..., Path]:
    """An orthophoto of noise."""

    def make(name: str = "ortho.tif", side: int = 48, dtype: str = "uint8", **options: Any) -> Path:
        random = np.random.default_rng(1)
        values = random.integers(1, 200, (options.pop("bands", 3), side, side)).astype(dtype)
        return make_tiff(name, values, photometric=options.pop("photometric", "rgb"), **options)

    return make


@pytest.fixture
def heights(make_tiff: MakeTiff) -> Callable[..., Path]:
    """Heights of 0 to 20 m, plus `base`."""

    def make(name: str = "ndsm.tif", side: int = 48, base: float = 0.0, **options: Any) -> Path:
        random = np.random.default_rng(2)
        values = (base + 20 * random.random((side, side)) ** 3).astype("float32")
        return make_tiff(name, values, **options)

    return make
