"""The picture of a result: the right pixels, colours and sizes."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from matplotlib.image import imread
from rasterio.transform import from_origin

from mfnet.model.classes import ISPRS
from mfnet.model.cli import panel
from mfnet.model.cli.panel import read_view, write_panel
from mfnet.model.errors import OutputNotWritable, RasterMissing

SIDE = 40


def write(path: Path, values_CHW: np.ndarray, nodata: float | None = None) -> Path:
    count, height, width = values_CHW.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width}
    profile |= {"dtype": values_CHW.dtype, "crs": "EPSG:25832", "nodata": nodata}
    profile |= {"photometric": "RGB"} if count == 3 else {}
    with rasterio.open(path, "w", transform=from_origin(5e5, 5.4e6, 0.5, 0.5), **profile) as file:
        file.write(values_CHW)
    return path


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(1)
    ortho = rng.integers(1, 255, (3, SIDE, SIDE), np.uint8)
    height = rng.uniform(0, 12, (1, SIDE, SIDE)).astype(np.float32)
    height[0, 5:9, 5:9] = -9999
    return write(tmp_path / "ortho.tif", ortho), write(tmp_path / "ndsm.tif", height, -9999)


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Two classes side by side, and a corner of none."""
    values = np.full((1, SIDE, SIDE), 1, np.uint8)
    values[:, :, SIDE // 2 :] = 3
    values[:, :10, :10] = 255
    legend = [
        {"title": item.title, "color": item.color, "share": 0.5, "area_m2": 1.0}
        for item in ISPRS.classes
    ]
    (tmp_path / "classes_statistics.json").write_text(json.dumps({"classes": legend}))
    return write(tmp_path / "classes.tif", values, 255)


def test_a_view_holds_what_the_files_hold(pair):
    view = read_view(*pair)
    with rasterio.open(pair[0]) as ortho, rasterio.open(pair[1]) as height:
        np.testing.assert_allclose(
            view.ortho_HW3, np.moveaxis(ortho.read(), 0, -1) / 255, rtol=1e-6
        )
        known = height.read(1) != -9999
        np.testing.assert_array_equal(view.height_HW[known], height.read(1)[known])
    assert np.isnan(view.height_HW[~known]).all()
    assert (view.step, view.gsd_m) == (1, 0.5)


def test_a_large_pair_is_thinned_alike_everywhere(pair, classes):
    whole = read_view(*pair)
    thin = read_view(*pair, side_px=10)
    assert thin.step == 4
    np.testing.assert_array_equal(thin.ortho_HW3, whole.ortho_HW3[::4, ::4])
    np.testing.assert_array_equal(thin.height_HW, whole.height_HW[::4, ::4])
    with rasterio.open(classes) as raster:
        np.testing.assert_array_equal(panel.read_thinned(classes, 4), raster.read(1)[::4, ::4])


def test_16_bit_pixels_are_stretched_to_be_seen(tmp_path, pair):
    dark = np.linspace(300, 900, 3 * SIDE * SIDE).reshape(3, SIDE, SIDE).astype(np.uint16)
    view = read_view(write(tmp_path / "dark.tif", dark), pair[1])
    assert (view.ortho_HW3.min(), view.ortho_HW3.max()) == (0, 1)
    assert 0.4 < view.ortho_HW3.mean() < 0.6


@pytest.mark.parametrize("with_truth", [False, True])
def test_the_picture_has_the_map_in_its_colours(tmp_path, pair, classes, with_truth):
    out = tmp_path / "panel.png"
    write_panel(
        *pair,
        classes,
        classes.with_name("classes_statistics.json"),
        out,
        truth=classes if with_truth else None,
    )
    picture = np.round(imread(out)[..., :3] * 255).astype(int)
    assert picture.shape[1] > (2000 if with_truth else 1500)
    pixels = picture.reshape(-1, 3)
    shares = {value: (pixels == ISPRS.classes[value].rgb).all(axis=1).mean() for value in (1, 3, 4)}
    assert shares[1] > 0.05
    assert shares[3] > shares[1]  # the corner without a class is white
    assert shares[4] < 0.01  # in the legend alone


def test_without_statistics_there_is_no_legend(tmp_path, pair):
    with pytest.raises(RasterMissing, match=r"statistics\.json"):
        write_panel(*pair, tmp_path / "a.tif", tmp_path / "a_statistics.json", tmp_path / "a.png")


@pytest.mark.parametrize("name", ["missing/panel.png", "panel.tif.strange"])
def test_a_picture_that_cannot_be_written_is_refused(tmp_path, pair, classes, name):
    with pytest.raises(OutputNotWritable, match="cannot be written"):
        write_panel(*pair, classes, classes.with_name("classes_statistics.json"), tmp_path / name)
