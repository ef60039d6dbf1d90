"""A folder of tiles without a manifest: what is found by names, and what the labels say."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from mfnet.model.classes import ISPRS
from mfnet.model.errors import BadLabels, DataMissing
from mfnet.training.datasets.discovery.find_tiles import find_tiles, kind_and_name
from mfnet.training.datasets.discovery.write_manifest import discover
from mfnet.training.datasets.sources.folder_manifest import read_manifest

SIDE = 64


def write(path: Path, bands: NDArray[np.generic], **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", height=bands.shape[1], width=bands.shape[2],
        count=bands.shape[0], dtype=bands.dtype.name, crs="EPSG:25832",
        transform=from_origin(500_000, 5_700_000, 0.2, 0.2), **options,
    ) as raster:  # fmt: skip
        raster.write(bands)


def write_tile(folder: Path, paths: dict[str, str], labels: NDArray[np.generic]) -> None:
    write(folder / paths["ortho"], np.full((3, SIDE, SIDE), 90, np.uint8))
    write(folder / paths["height"], np.zeros((1, SIDE, SIDE), np.float32))
    write(folder / paths["labels"], labels)


def halves(*values: int, dtype: str = "uint8") -> NDArray[np.generic]:
    """One band, equal stripes of some values."""
    return np.repeat(np.asarray(values, dtype), SIDE // len(values))[None, :, None] * np.ones(
        (1, 1, SIDE), dtype
    )


@pytest.mark.parametrize(
    ("path", "kind", "name"),
    [
        ("a_ortho.tif", "ortho", "a"),
        ("images/area-7.tif", "ortho", "area-7"),
        ("nDSM/area-7.tif", "height", "area-7"),
        ("labels/area-7.tif", "labels", "area-7"),
        ("train/tile1/rgb.tif", "ortho", "train_tile1"),
        ("top_mosaic_09cm_area1.tif", "ortho", "09cm-area1"),
        ("32_dgm_5300.tif", "dtm", "32-5300"),
        ("images/a_label.tif", "labels", "a"),
        ("readme.tif", None, "readme"),
    ],
)
def test_names_say_what_a_file_is_and_of_which_tile(path: str, kind: str | None, name: str) -> None:
    assert kind_and_name(Path(path)) == (kind, name)


@pytest.mark.parametrize(
    "layout",
    [
        {"ortho": "{}_ortho.tif", "height": "{}_ndsm.tif", "labels": "{}_labels.tif"},
        {"ortho": "images/{}.tif", "height": "heights/{}.tif", "labels": "masks/{}.tif"},
        {"ortho": "{}/rgb.tif", "height": "{}/dsm.tif", "labels": "{}/gt.tif"},
    ],
)
def test_three_usual_layouts_are_understood(layout: dict[str, str], tmp_path: Path) -> None:
    for name in ("north", "south"):
        paths = {kind: pattern.format(name) for kind, pattern in layout.items()}
        write_tile(tmp_path, paths, halves(0, 1, 3, 255))
    found = discover(tmp_path)
    assert [tile.name for tile in found.tiles.tiles] == ["north", "south"]
    manifest = read_manifest(tmp_path)
    assert {tile.name for tile in manifest.tiles} == {"north", "south"}
    assert str(manifest.tiles[0].labels) == layout["labels"].format("north")


def test_numbers_get_the_names_of_the_legend_in_any_language(tmp_path: Path) -> None:
    names = {"ortho": "a_ortho.tif", "height": "a_ndsm.tif", "labels": "a_labels.tif"}
    write_tile(tmp_path, names, halves(1, 7, 900, 900, dtype="uint16"))
    (tmp_path / "classes.txt").write_text("1, Gebäude, #ff0000\n7, Straße\n900, 森林\n")
    found = discover(tmp_path)
    assert [each.title for each in found.classes.scheme.classes] == ["Gebäude", "Straße", "森林"]
    assert found.classes.scheme.names == ("gebaude", "strasse", "class_2")
    assert found.classes.pixels["class_2"] == SIDE * SIDE // 2
    manifest = read_manifest(tmp_path)
    assert manifest.values()[900] == 2
    assert manifest.scheme() == found.classes.scheme
    assert any("50.0 %" in line for line in found.lines())


def test_without_a_legend_a_person_is_told_how_to_name_the_classes(tmp_path: Path) -> None:
    names = {"ortho": "a_ortho.tif", "height": "a_ndsm.tif", "labels": "a_labels.tif"}
    write_tile(tmp_path, names, halves(3, 5))
    found = discover(tmp_path)
    assert found.classes.scheme.names == ("class_3", "class_5")
    assert "classes.txt" in found.lines()[-1]


def test_colours_of_isprs_are_its_classes_and_others_get_the_legends(tmp_path: Path) -> None:
    colours = np.asarray([each.rgb for each in ISPRS.classes[:4]], np.uint8)
    stripes = np.repeat(colours, SIDE // 4, axis=0).T[:, :, None] * np.ones((1, 1, SIDE), np.uint8)
    names = {"ortho": "a_ortho.tif", "height": "a_ndsm.tif", "labels": "a_labels.tif"}
    write_tile(tmp_path, names, stripes)
    assert discover(tmp_path).classes.scheme == ISPRS
    (tmp_path / "manifest.toml").unlink()
    (tmp_path / "legend.csv").write_text("color;name\n0000ff;Haus\nffffff;Weg\n")
    titles = {each.title for each in discover(tmp_path).classes.scheme.classes}
    assert {"Haus", "Weg"} <= titles


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    names = {"ortho": "a_ortho.tif", "height": "a_ndsm.tif", "labels": "a_labels.tif"}
    write_tile(tmp_path, names, halves(0, 1))
    write(tmp_path / "b_ortho.tif", np.full((3, SIDE, SIDE), 90, np.uint8))
    write(tmp_path / "stray.tif", np.zeros((1, SIDE, SIDE), np.uint8))
    lines = discover(tmp_path).lines()
    assert "left out: b lacks height and labels" in lines
    assert "not understood: stray.tif" in lines


def test_a_folder_without_a_tile_is_refused_with_how_to_name_files(tmp_path: Path) -> None:
    write(tmp_path / "one.tif", np.zeros((1, SIDE, SIDE), np.uint8))
    with pytest.raises(DataMissing, match=r"a_ortho\.tif, a_ndsm\.tif, a_labels\.tif"):
        discover(tmp_path)
    assert not (tmp_path / "manifest.toml").exists()


def test_heights_are_no_labels(tmp_path: Path) -> None:
    names = {"ortho": "a_ortho.tif", "height": "a_ndsm.tif", "labels": "a_labels.tif"}
    many = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(1, SIDE, SIDE)
    write_tile(tmp_path, names, many)
    with pytest.raises(BadLabels, match="4,095 different numbers; expected 60 classes at most"):
        discover(tmp_path)


def test_a_hundred_thousand_files_are_looked_through_with_word(tmp_path: Path) -> None:
    for number in range(3_000):
        (tmp_path / f"{number}.txt").touch()
    told: list[int] = []
    with pytest.raises(DataMissing):
        find_tiles(tmp_path, told.append)
    assert told == [1_000, 2_000, 3_000]
