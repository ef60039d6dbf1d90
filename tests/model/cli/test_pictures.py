"""A result as pictures: the right pixels, none where nothing is known, the numbers beside them."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from matplotlib.image import imread
from rasterio.transform import from_origin

from mfnet.model.classes import ISPRS
from mfnet.model.cli import pictures
from mfnet.model.cli.pictures import write_pictures
from mfnet.model.errors import BadOption, OutputNotWritable

SIDE = 40
VALUES = np.dtype([("class", "u1"), ("confidence", "u1"), ("height_dm", "<i2")])


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
    ortho = np.full((3, SIDE, SIDE), 10, np.uint8)
    ortho[:, :, SIDE // 2 :] = 200
    height = np.full((1, SIDE, SIDE), 0.14, np.float32)
    height[:, :, SIDE // 2 :] = 9.14
    height[0, 5:9, 5:9] = -9999
    return write(tmp_path / "ortho.tif", ortho), write(tmp_path / "ndsm.tif", height, -9999)


@pytest.fixture
def the_map(tmp_path: Path) -> Path:
    """Two classes side by side, and a corner of none."""
    classes = np.full((1, SIDE, SIDE), 1, np.uint8)
    classes[:, :, SIDE // 2 :] = 3
    classes[:, :10, :10] = 255
    percent = np.where(classes == 255, 255, 77).astype(np.uint8)
    folder = tmp_path / "map"
    folder.mkdir()
    legend = [{"title": c.title, "color": c.color, "share": 0.5} for c in ISPRS.classes]
    (folder / "statistics.json").write_text(json.dumps({"classes": legend}))
    write(folder / "classes.tif", classes, 255)
    write(folder / "confidence.tif", percent, 255)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_every_layer_is_drawn_as_its_file_says(pair, the_map, out):
    told = write_pictures(*pair, out, the_map=the_map)
    assert told.pop("top_m") == pytest.approx(9.14)
    assert told.pop("files") == [
        *("classes.png", "confidence.png", "heights.jpg", "hillshade.jpg", "known.png"),
        *("ortho.jpg", "values.bin"),
    ]
    assert told == {"rows": SIDE, "columns": SIDE, "step": 1, "stretch": [0, 255]}
    known = imread(out / "known.png") * 255
    assert (known[5:9, 5:9] == 1).all()
    assert (known == 3).sum() == SIDE**2 - 16
    shade = imread(out / "hillshade.jpg").astype(int)
    assert abs(shade[20:, :15] - 180).max() <= 4  # level
    assert abs(shade[20:, SIDE // 2] - 147).max() <= 6  # a wall of 9 m that looks to the west
    classes = np.rint(imread(out / "classes.png") * 255)
    np.testing.assert_array_equal(classes[0, -1], [0, 255, 0, 255])  # a tree
    np.testing.assert_array_equal(classes[-1, 0], [0, 0, 255, 255])  # a building
    assert classes[0, 0, 3] == 0
    assert imread(out / "confidence.png")[0, 0, 3] == 0
    ortho = imread(out / "ortho.jpg").astype(int)
    assert abs(ortho[:, :10] - 10).max() <= 4
    assert abs(ortho[:, -10:] - 200).max() <= 4


def test_numbers_lie_row_by_row(pair, the_map, out):
    write_pictures(*pair, out, the_map=the_map)
    values = np.fromfile(out / "values.bin", VALUES).reshape(SIDE, SIDE)
    assert values[0, 0].tolist() == (255, 255, 1)
    assert values[0, -1].tolist() == (3, 77, 91)
    assert values[-1, 0].tolist() == (1, 77, 1)
    assert values["height_dm"][6, 6] == -32768


def test_a_large_raster_is_thinned_alike_in_all(pair, the_map, out, monkeypatch):
    monkeypatch.setattr(pictures, "SIDE_PX", 15)
    told = write_pictures(*pair, out, the_map=the_map)
    assert (told["rows"], told["columns"], told["step"]) == (14, 14, 3)
    assert imread(out / "ortho.jpg").shape[:2] == imread(out / "classes.png").shape[:2] == (14, 14)
    assert (out / "values.bin").stat().st_size == 14 * 14 * 4


def test_a_pair_without_a_map(pair, out):
    files = ["heights.jpg", "hillshade.jpg", "known.png", "ortho.jpg"]
    assert write_pictures(*pair, out)["files"] == files


def test_an_orthophoto_alone(pair, out, monkeypatch):
    monkeypatch.setattr(pictures, "SIDE_PX", 20)
    told = write_pictures(pair[0], None, out)
    size = {"rows": 20, "columns": 20, "step": 2}
    assert told == size | {"top_m": 0.0, "stretch": [0, 255], "files": ["ortho.jpg"]}
    ortho = imread(out / "ortho.jpg").astype(int)
    assert abs(ortho[:, :5] - 10).max() <= 4
    assert abs(ortho[:, -5:] - 200).max() <= 4


def test_a_map_without_its_pair(the_map, out):
    told = write_pictures(None, None, out, the_map=the_map)
    assert told["files"] == ["classes.png", "confidence.png", "values.bin"]
    assert (told["rows"], told["columns"], told["step"]) == (SIDE, SIDE, 1)
    values = np.fromfile(out / "values.bin", VALUES).reshape(SIDE, SIDE)
    assert values[0, -1].tolist() == (3, 77, -32768)
    with pytest.raises(BadOption):
        write_pictures(None, None, out)


def test_a_folder_that_is_not_there(pair, tmp_path):
    with pytest.raises(OutputNotWritable):
        write_pictures(*pair, tmp_path / "nowhere")
