"""Tiles of a pair: of the rasters from near, of the pictures from afar, none where nothing is."""

import io
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_bounds

from mfnet.model.cli import pair_tiles, pictures
from mfnet.model.cli.pair_tiles import Drawn, draw_pair_tile
from mfnet.model.cli.pictures import write_pictures
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.products.pictures.relief import relief

HALF_M = np.pi * 6_378_137.0
TILE = Z, X, Y = 18, 137_744, 90_270
SIDE = 512
"""Pixels of the pair, which fills the tile: two for each of its own."""


def write(path: Path, values_CHW: np.ndarray, nodata: float) -> Path:
    side_m = 2 * HALF_M / 2**Z
    west, north = X * side_m - HALF_M, HALF_M - Y * side_m
    count, height, width = values_CHW.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width}
    profile |= {"dtype": values_CHW.dtype, "crs": "EPSG:3857", "nodata": nodata}
    profile |= {"transform": from_bounds(west, north - side_m, west + side_m, north, width, height)}
    profile |= {"photometric": "RGB"} if count == 3 else {}
    with rasterio.open(path, "w", **profile) as file:
        file.write(values_CHW)
    return path


@pytest.fixture
def rasters(tmp_path: Path) -> tuple[Path, Path]:
    """Colours that rise to the east, without data in the upper left; heights with a step."""
    ortho = np.empty((3, SIDE, SIDE), np.uint8)
    ortho[:] = np.linspace(1, 255, SIDE).astype(np.uint8)
    ortho[:, :64, :64] = 0
    height = np.zeros((1, SIDE, SIDE), np.float32)
    height[:, SIDE // 2 :] = 0.4
    height[:, -64:, -64:] = -9999
    return write(tmp_path / "ortho.tif", ortho, 0), write(tmp_path / "ndsm.tif", height, -9999)


@pytest.fixture
def drawn(rasters: tuple[Path, Path], tmp_path: Path) -> Drawn:
    folder = tmp_path / "pictures"
    folder.mkdir()
    told = write_pictures(*rasters, folder)
    return Drawn(folder, told["step"], tuple(told["stretch"]))


def tile(rasters: tuple[Path, Path], drawn: Drawn, look: str, place=TILE) -> np.ndarray:
    with RasterPair.open(*rasters) as pair:
        png = draw_pair_tile(pair, drawn, rasters[0], look, place)
    return np.asarray(Image.open(io.BytesIO(png)))


def test_the_orthophoto_is_shown_where_it_has_data(rasters, drawn):
    with rasterio.open(rasters[0]) as source:
        thinned = source.read()[:, ::2, ::2]
    shown = tile(rasters, drawn, "ortho")
    known = (thinned != 0).any(0)
    assert ((shown[..., 3] == 255) == known).all()
    apart = shown[..., :3].astype(int) - np.moveaxis(thinned, 0, -1)
    assert abs(apart[known]).max() <= 1  # the left or the right one of two pixels
    assert (tile(rasters, drawn, "ortho", (Z, X + 1, Y))[..., 3] == 0).all()


def test_the_light_falls_from_the_north_west(rasters, drawn):
    shown = tile(rasters, drawn, "hillshade")
    assert (shown[:32, :, :3] == 180).all()
    assert shown[127:129, :, 0].min() > 200  # rising to the south, it looks to the north
    assert (shown[-31:, -31:, 3] == 0).all()
    assert (shown[..., 3] == 255).sum() == 256**2 - 32**2


def test_tiles_of_a_raster_fit_together(rasters, drawn):
    quarters = [
        [tile(rasters, drawn, "hillshade", (Z + 1, 2 * X + x, 2 * Y + y)) for x in (0, 1)]
        for y in (0, 1)
    ]
    joined = np.concatenate([np.concatenate(row, axis=1) for row in quarters])
    assert joined.shape == (512, 512, 4)
    with RasterPair.open(*rasters) as pair, rasterio.open(rasters[1]) as source:
        heights = np.where(source.read(1) < 0, np.nan, source.read(1))
        lit = np.rint(relief(heights, pair.grid.gsd_m) * 255)
    known = joined[..., 3] == 255
    assert (known == np.isfinite(heights)).all()
    assert (joined[..., 0][known] == lit[known]).all()


def test_from_afar_a_tile_is_cut_out_of_the_pictures(rasters, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "SIDE_PX", SIDE // 4)
    monkeypatch.setattr(pair_tiles, "CLOSE_PX", 300)
    folder = tmp_path / "small"
    folder.mkdir()
    told = write_pictures(*rasters, folder)
    drawn = Drawn(folder, told["step"], tuple(told["stretch"]))
    near = pair_tiles.CLOSE_PX
    for look, hole in (("ortho", np.s_[:32, :32]), ("hillshade", np.s_[-32:, -32:])):
        shown = tile(rasters, drawn, look)
        assert (shown[..., 3][hole] == 0).all()
        assert (shown[..., 3] == 255).sum() == 256**2 - 32**2
        monkeypatch.setattr(pair_tiles, "CLOSE_PX", 4096)
        close = tile(rasters, drawn, look).astype(int)
        monkeypatch.setattr(pair_tiles, "CLOSE_PX", near)
        assert np.median(abs(shown.astype(int) - close)) <= 3
