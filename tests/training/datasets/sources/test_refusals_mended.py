"""What a refusal of labels tells to do is done, to the letter, and the labels are accepted."""

import re
import shlex
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import Resampling, reproject
from standins.folder import CRS, manifest, place, squares, write_geopackage, write_tile
from standins.scenes import class_map, write
from typer.testing import CliRunner

from mfnet.model.atomic_files import write_json
from mfnet.model.classes import ISPRS
from mfnet.model.errors import InputError
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.areas.class_areas import ClassAreas
from mfnet.training.cli.main import app
from mfnet.training.config.data import FolderRecipe
from mfnet.training.datasets.sources.open_data import open_data

NAMES = ("0", "1", "2", "3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        write_tile(tmp_path, name)
    (tmp_path / "manifest.toml").write_text(manifest(NAMES))
    return tmp_path


def refusal(folder: Path) -> str | None:
    """What opening the folder is refused with."""
    try:
        open_data(FolderRecipe(kind="folder", folder=folder), 32)
    except InputError as error:
        return error.message
    return None


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "manifest.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def said(words: str, message: str) -> tuple[str, ...]:
    found = re.search(words, message)
    assert found is not None, message
    return found.groups()


# ---- a folder of tiles -----------------------------------------------------------------------


def unknown_number(folder: Path) -> None:
    values = class_map(1, 64, 80, 6)
    values[:2] = 77
    write(folder / "1_labels.tif", values[None], crs=CRS, transform=place("1"))


def other_column(folder: Path) -> None:
    polygons(folder)
    edit(folder, 'classes = "isprs"', 'classes = "isprs"\n[labels]\ncolumn = "klass"')


def two_layers(folder: Path) -> None:
    polygons(folder)
    with closing(sqlite3.connect(folder / "1.gpkg")) as database:
        database.execute("CREATE TABLE roads (fid INTEGER PRIMARY KEY, shape BLOB, class)")
        database.execute("INSERT INTO gpkg_contents VALUES ('roads', 'features', 25832)")
        database.execute("INSERT INTO gpkg_geometry_columns VALUES ('roads', 'shape')")
        database.commit()
    edit(folder, 'classes = "isprs"', 'classes = "isprs"\n[labels]\nlayer = "label"')


def polygons(folder: Path) -> None:
    shapes, values = squares(write_tile(folder / "again", "1"))
    write_geopackage(folder / "1.gpkg", shapes, values)
    edit(folder, "1_labels.tif", "1.gpkg")


def small_blocks(folder: Path) -> None:
    edit(folder, "[[tiles]]", '[split]\nby = "block"\nblock_px = 40\nmargin_px = 10\n[[tiles]]')


def altered(folder: Path) -> None:
    edit(folder, 'name = "1"\n', 'name = "1"\nsha256.labels = "0123"\n')


def slip(folder: Path) -> None:
    edit(folder, 'labels = "1', 'lables = "1')


@pytest.mark.parametrize("spoil", [unknown_number, other_column, two_layers])
def test_a_key_of_labels_is_set_as_told(folder: Path, spoil: Callable[[Path], None]) -> None:
    spoil(folder)
    message = refusal(folder)
    assert message is not None
    key, value = said(r"(\w+) = (\[.*?\]|\".*?\") under \[labels\] of manifest\.toml", message)
    text = (folder / "manifest.toml").read_text().replace("[labels]\n", "")
    text = re.sub(rf"^{key} = .*\n", "", text, flags=re.M)
    told = f"[labels]\n{key} = {value}\n[[tiles]]"
    (folder / "manifest.toml").write_text(text.replace("[[tiles]]", told, 1))
    assert refusal(folder) is None


@pytest.mark.parametrize(
    ("spoil", "words", "old"),
    [
        (small_blocks, r"(block_px = \d+) under \[split\]", "block_px = 40"),
        (altered, r'say (labels = "[0-9a-f]{64}") in the tile\'s sha256', 'labels = "0123"'),
        (slip, r"the nearest is '(labels)'", "lables"),
    ],
)
def test_a_line_is_changed_as_told(
    folder: Path, spoil: Callable[[Path], None], words: str, old: str
) -> None:
    spoil(folder)
    message = refusal(folder)
    assert message is not None
    edit(folder, old, *said(words, message))
    assert refusal(folder) is None


def test_a_class_is_named_as_told(folder: Path) -> None:
    names = ("Straße", "2 Häuser", "grass", "tree", "car", 'an "other"')
    entries = "".join(f"[[classes]]\nname = '{name}'\ncolor = \"#FF00AA\"\n" for name in names)
    (folder / "manifest.toml").write_text(manifest(NAMES, head="", tail=entries))
    for spelled in (names[0], names[1], names[-1]):
        message = refusal(folder)
        assert message is not None
        name, title = said(r'(name = ".*?"), (title = ".*")', message)
        edit(folder, f"name = '{spelled}'", f"{name}\n{title}")
    assert refusal(folder) is None


# ---- a correction ----------------------------------------------------------------------------

GRID = Grid(70, 90, Affine(0.5, 0, 512_000, 0, -0.5, 5_403_000), rasterio.CRS.from_string(CRS))


def run_correct(folder: Path, correction: str, *options: str) -> tuple[int, str]:
    """Status, and what the refusal says."""
    command = ["correct", str(folder / "map.tif"), str(folder / correction), *options]
    statistics = str(folder / "statistics.json")
    command += ["--out", str(folder / "out.tif"), "--statistics", statistics]
    done = CliRunner().invoke(app, command)
    return done.exit_code, str(getattr(done.exception, "message", ""))


@pytest.fixture
def mapped(tmp_path: Path) -> np.ndarray:
    classes = class_map(3, GRID.height, GRID.width, 6)
    write(tmp_path / "map.tif", classes[None], crs=CRS, transform=GRID.transform, nodata=255)
    areas = ClassAreas(GRID, ISPRS)
    areas.add(0, classes)
    write_json(tmp_path / "statistics.json", areas.summary())
    return classes


@pytest.mark.parametrize("option", [("--column", "klass"), ("--layer", "label")])
def test_mfnet_correct_takes_the_option_that_it_names(
    tmp_path: Path, mapped: np.ndarray, option: tuple[str, str]
) -> None:
    shapes, values = squares(write_tile(tmp_path / "again", "0"))
    write_geopackage(tmp_path / "c.gpkg", shapes, values)
    status, message = run_correct(tmp_path, "c.gpkg", *option)
    assert status != 0
    told = shlex.split(said(r": (--(?:column|layer) \S+)$", message)[0])
    assert told[0] == option[0]
    assert run_correct(tmp_path, "c.gpkg", *told) == (0, "")


def test_gdalwarp_as_told_brings_a_correction_onto_the_map(
    tmp_path: Path, mapped: np.ndarray
) -> None:
    corrected = (mapped + 1) % 6
    off = GRID.transform * Affine.translation(-7, -5)
    padded = np.pad(corrected, ((5, 9), (7, 3)), constant_values=255)
    write(tmp_path / "c.tif", padded[None], crs=CRS, transform=off)
    status, message = run_correct(tmp_path, "c.tif")
    assert status != 0
    (command,) = said(r"or gdalwarp (.*) IN OUT$", message)
    words = shlex.split(command)
    west, south, east, north = map(float, words[words.index("-te") + 1 :][:4])
    width, height = map(int, words[words.index("-ts") + 1 :][:2])
    crs, resampling = words[words.index("-t_srs") + 1], words[words.index("-r") + 1]
    transform = rasterio.transform.from_bounds(west, south, east, north, width, height)
    warped = np.full((height, width), 255, np.uint8)
    reproject(
        padded,
        warped,
        src_transform=off,
        src_crs=CRS,
        dst_transform=transform,
        dst_crs=crs,
        resampling=Resampling[{"near": "nearest"}[resampling]],
    )
    write(tmp_path / "c.tif", warped[None], crs=crs, transform=transform)
    assert run_correct(tmp_path, "c.tif") == (0, "")
    with rasterio.open(tmp_path / "out.tif") as raster:
        assert np.array_equal(raster.read(1), corrected)
