"""A map of a town against its truth, both as files."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.transform import from_origin

from mfnet.model.errors import InputError, NotGeoTiff, RasterMissing, RasterUnreadable, WrongClasses
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.training.evaluation.map_accuracy import accuracy

UTM = from_origin(5e5, 5.4e6, 0.5, 0.5)


def write(
    path: Path,
    values_HW: np.ndarray,
    transform: Affine = UTM,
    crs: str = "EPSG:25832",
) -> Path:
    height, width = values_HW.shape
    profile = {"driver": "GTiff", "count": 1, "height": height, "width": width, "dtype": "uint8"}
    profile |= {"transform": transform, "crs": crs}
    with rasterio.open(path, "w", tiled=True, **profile) as file:
        file.write(values_HW, 1)
        file.write_colormap(1, {0: (255, 255, 255, 255), 1: (0, 0, 255, 255)})  # as a map has one
    return path


def test_accuracy_counts_every_pixel_once(tmp_path):
    rng = np.random.default_rng(2)
    truth, mapped = rng.integers(0, 3, (2, 300, 270), np.uint8)  # more than a block each way
    mapped[:7] = 255
    found = accuracy(write(tmp_path / "map.tif", mapped), write(tmp_path / "truth.tif", truth))
    known = mapped != 255
    right = (truth == mapped) & known
    assert found["pixels"] == known.sum()
    assert found["oa"] == pytest.approx(right.sum() / known.sum())
    either = [((truth == c) | (mapped == c)) & known for c in range(3)]
    iou = [(right & (truth == c)).sum() / either[c].sum() for c in range(3)]
    assert found["miou"] == pytest.approx(np.mean(iou))
    road = found["classes"]["impervious_surface"]
    more_pixels = int(((mapped == 0) & known).sum()) - int(((truth == 0) & known).sum())
    assert road["area_error_m2"] == pytest.approx(more_pixels / 4)  # of half a metre a side


def test_each_part_of_a_large_raster_has_its_own_areas(tmp_path):
    # 100 km of web Mercator at 60 degrees north: those of its north are 2.7 % smaller.
    transform = from_origin(1.2e6, 8.4e6, 100, 100)
    truth, mapped = np.zeros((1000, 64), np.uint8), np.zeros((1000, 64), np.uint8)
    mapped[:200] = 1
    found = accuracy(
        write(tmp_path / "map.tif", mapped, transform, "EPSG:3857"),
        write(tmp_path / "truth.tif", truth, transform, "EPSG:3857"),
    )
    grid = Grid(1000, 64, transform, CRS.from_epsg(3857))
    north = 64 * sum(grid.pixel_area_m2(row) for row in range(200))
    building = found["classes"]["building"]
    assert building["area_error_m2"] == pytest.approx(north, rel=1e-3)


def test_rasters_of_two_sizes_are_not_compared(tmp_path):
    small, large = np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8)
    with pytest.raises(InputError, match=r"\(2, 2\)"):
        accuracy(write(tmp_path / "map.tif", small), write(tmp_path / "truth.tif", large))


def test_files_that_cannot_be_compared_are_refused_with_a_code(tmp_path):
    rng = np.random.default_rng(0)
    truth = write(tmp_path / "truth.tif", rng.integers(0, 6, (300, 300), np.uint8))
    foreign = write(tmp_path / "foreign.tif", np.full((300, 300), 6, np.uint8))
    with pytest.raises(RasterMissing, match=r"none\.tif"):
        accuracy(tmp_path / "none.tif", truth)
    with pytest.raises(WrongClasses, match=r"map.s values run from 6 to 6; expected .* 0 to 5"):
        accuracy(foreign, truth)
    with pytest.raises(WrongClasses, match="the truth's values"):
        accuracy(truth, foreign)
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(NotGeoTiff, match=r"text\.tif"):
        accuracy(truth, tmp_path / "text.tif")
    cut = tmp_path / "cut.tif"
    cut.write_bytes(truth.read_bytes()[:-70_000])
    with pytest.raises(RasterUnreadable, match=r"cut\.tif"):
        accuracy(cut, truth)
