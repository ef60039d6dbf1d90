"""Rasters in tiles are read as if they were one file, and a tile that does not fit is named."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from mfnet.model.errors import InputChanged, RasterForbidden, RasterMissing, TilesDiffer
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.files.mosaic import known
from mfnet.model.raster.pairs.join_tiles import joined
from mfnet.model.raster.pairs.pair import RasterPair

UTM = CRS.from_epsg(25832)
SIDE, STEP = 90, 40
WHOLE = Affine(0.5, 0, 500_000, 0, -0.5, 5_700_000)


def picture(bands: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(1, 255, (bands, SIDE, SIDE), np.uint8)


def write(
    path: Path, values: NDArray[np.generic], transform: Affine = WHOLE, crs: CRS | None = UTM,
    **options: object,
) -> None:  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", count=len(values), height=values.shape[1],
        width=values.shape[2], dtype=values.dtype.name, transform=transform, crs=crs, **options,
    ) as raster:  # fmt: skip
        raster.write(values)


def write_tiles(folder: Path, values: NDArray[np.generic], **options: object) -> list[Path]:
    """Tiles of 40 pixels, and of what is left at two rims."""
    paths = []
    for row in range(0, SIDE, STEP):
        for column in range(0, SIDE, STEP):
            path = folder / f"tile_{row}_{column}.tif"
            piece = values[:, row : row + STEP, column : column + STEP]
            write(path, piece, WHOLE * Affine.translation(column, row), **options)
            paths.append(path)
    return paths


@contextmanager
def opened(path: Path, role: Role = Role.ORTHO) -> Iterator[GeoTiff]:
    name = "ortho" if role is Role.ORTHO else "height"
    with joined({name: path}) as ready, GeoTiff(ready[name], role) as raster:
        yield raster


@pytest.mark.parametrize("given", ["", "*.tif", "tile_*_*.tif"])
def test_tiles_are_one_raster(given: str, tmp_path: Path) -> None:
    values = picture()
    write_tiles(tmp_path / "ortho", values, photometric="rgb")
    write(tmp_path / "whole.tif", values, photometric="rgb")
    with opened(tmp_path / "ortho" / given) as tiles, GeoTiff(
        tmp_path / "whole.tif", Role.ORTHO
    ) as whole:  # fmt: skip
        assert tiles.path.name == "ortho.vrt"
        assert (tiles.grid, tiles.bands, tiles.nodata) == (whole.grid, whole.bands, whole.nodata)
        window = rasterio.windows.Window(7, 9, 80, 80)
        for ours, theirs in zip(tiles.read(window), whole.read(window), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("bands", "options"),
    [(3, {}), (3, {"nodata": 0}), (4, {"alpha": "yes", "photometric": "rgb"})],
    ids=["nothing", "nodata", "alpha"],
)
def test_where_no_tile_lies_nothing_is_known(
    bands: int, options: dict[str, object], tmp_path: Path
) -> None:
    values = picture(bands)
    write_tiles(tmp_path, values, **options)[4].unlink()
    with opened(tmp_path) as raster:
        found, valid = raster.read(rasterio.windows.Window(0, 0, SIDE, SIDE))
    gap = np.zeros((SIDE, SIDE), bool)
    gap[40:80, 40:80] = True
    np.testing.assert_array_equal(valid, ~gap)
    np.testing.assert_array_equal(found[:, ~gap], values[:3, ~gap])


def test_of_two_tiles_that_overlap_the_later_counts_where_it_knows_something(
    tmp_path: Path,
) -> None:
    first, second = np.full((2, 1, 20, 20), 3, np.float32)
    second[:] = 5
    second[0, :10] = -1
    write(tmp_path / "a.tif", first, nodata=-1)
    write(tmp_path / "b.tif", second, WHOLE * Affine.translation(10, 0), nodata=-1)
    with opened(tmp_path, Role.HEIGHT) as raster:
        values, valid = raster.read(rasterio.windows.Window(0, 0, 30, 20))
    assert np.unique(values[0, :, :10]).tolist() == [3]
    assert np.unique(values[0, :10, 10:20]).tolist() == [3]
    assert np.unique(values[0, 10:, 10:]).tolist() == [5]
    assert not valid[:10, 20:].any()


def test_a_mask_inside_a_tile_is_kept(tmp_path: Path) -> None:
    paths = write_tiles(tmp_path, picture(), photometric="rgb")
    mask = np.ones((STEP, STEP), bool)
    mask[5, 6] = False
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(paths[0], "r+") as raster:
        raster.write_mask(mask)
    with opened(tmp_path) as raster:
        _, valid = raster.read(rasterio.windows.Window(0, 0, SIDE, SIDE))
    assert np.argwhere(~valid).tolist() == [[5, 6]]


@pytest.mark.parametrize(
    ("word", "changed"),
    [
        ("the CRS is EPSG:25833", {"crs": CRS.from_epsg(25833)}),
        ("the type is uint16", {"values": picture()[:, :40, :40].astype(np.uint16)}),
        ("the number of bands is 4", {"values": picture(4)[:, :40, :40]}),
        ("the nodata value is 7", {"nodata": 7}),
        ("the size of a pixel is 0.6", {"transform": WHOLE * Affine.scale(1.2)}),
        ("0.50 pixels beside", {"transform": WHOLE * Affine.translation(0.5, 0)}),
    ],
)
def test_the_odd_tile_is_named(word: str, changed: dict[str, object], tmp_path: Path) -> None:
    write_tiles(tmp_path, picture())
    odd = {"values": picture()[:, :40, :40]} | changed
    write(tmp_path / "tile_odd.tif", **odd)  # type: ignore[arg-type]
    with pytest.raises(TilesDiffer, match=f"tile_odd.tif.*{word}"), opened(tmp_path):
        pass


def vrt(source: str, *, kind: str = "SimpleSource", relative: int = 1, head: str = "") -> str:
    return (
        f'{head}<VRTDataset rasterXSize="90" rasterYSize="90"><VRTRasterBand dataType="Byte" '
        f'band="1"><{kind}><SourceFilename relativeToVRT="{relative}">{source}</SourceFilename>'
        f"</{kind}></VRTRasterBand></VRTDataset>"
    )


def test_a_vrt_of_files_in_its_folder_is_read(tmp_path: Path) -> None:
    values = picture()
    paths = write_tiles(tmp_path / "below", values)
    band = "".join(
        f"<SimpleSource><SourceFilename>below/{path.name}</SourceFilename></SimpleSource>"
        for path in paths
    )
    (tmp_path / "all.vrt").write_text(
        f'<VRTDataset><VRTRasterBand band="1">{band}</VRTRasterBand></VRTDataset>'
    )
    with opened(tmp_path / "all.vrt") as raster:
        found, _ = raster.read(rasterio.windows.Window(0, 0, SIDE, SIDE))
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (vrt("../outside.tif"), "not another file in its folder"),
        (vrt("/etc/passwd", relative=0), "not another file in its folder"),
        (vrt("odd.vrt"), "not another file in its folder"),
        (vrt("/vsicurl/http://127.0.0.1/a.tif", relative=0), "not another file"),
        (vrt("a.tif", kind="KernelFilteredSource"), "kind KernelFilteredSource"),
        (vrt("a.tif").replace("<VRTDataset", '<VRTDataset subClass="VRTWarpedDataset"'), "Warped"),
        (vrt("a.tif", head='<!DOCTYPE x [<!ENTITY y "z">]>'), "document type"),
        ("<VRTDataset/>", "names no file"),
        ("no XML", "is no XML"),
    ],
)
def test_a_vrt_that_names_anything_else_is_refused(text: str, word: str, tmp_path: Path) -> None:
    write(tmp_path / "outside.tif", picture())
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.tif", picture())
    (tmp_path / "in" / "odd.vrt").write_text(text)
    with pytest.raises(RasterForbidden, match=word), opened(tmp_path / "in" / "odd.vrt"):
        pass


def test_an_address_in_a_vrt_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.vrt").write_text(vrt("http://127.0.0.1/a.tif"))
    with pytest.raises(RasterMissing, match="not there"), opened(tmp_path / "odd.vrt"):
        pass
    (tmp_path / "empty").mkdir()
    with pytest.raises(RasterMissing, match="no GeoTIFF"), opened(tmp_path / "empty"):
        pass


def test_a_tile_that_changes_during_the_run_is_told_and_nothing_stays(tmp_path: Path) -> None:
    paths = write_tiles(tmp_path / "o", picture())
    write_tiles(tmp_path / "h", np.ones((1, SIDE, SIDE), np.float32))
    with joined({"ortho": tmp_path / "o", "height": tmp_path / "h"}) as ready:
        ortho, height = ready["ortho"], ready["height"]
        with RasterPair.open(ortho, height) as pair:
            pair.read(0, 10)
            os.utime(paths[3], ns=(1, 1))
            with pytest.raises(InputChanged, match=paths[3].name):
                pair.check_unchanged()
    assert known(ortho) is None
    assert not ortho.exists()
