"""A folder of tiles without a manifest: what is found by names, and what the labels say."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.transform import from_origin

from mfnet.model.classes import ISPRS
from mfnet.model.errors import BadLabels, BadManifest, DataMissing, OutputNotWritable
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


NAMES = {"ortho": "a_ortho.tif", "height": "a_ndsm.tif", "labels": "a_labels.tif"}


@pytest.mark.parametrize(
    ("legend", "titles"),
    [
        ("0 Weg", None),  # one title alone names 0
        ("Weg\nHaus\nWald", {0: "Weg", 1: "Haus", 2: "Wald"}),
        ("0;Weg\n1;Haus\n2;Weg", {0: "Weg", 1: "Haus", 2: "Weg"}),
        ("Wert\tName\n2\tWald\n1\tHaus\n0\tWeg", {0: "Weg", 1: "Haus", 2: "Wald"}),
    ],
)
def test_a_legend_may_be_a_table_or_a_list(
    legend: str, titles: dict[int, str] | None, tmp_path: Path
) -> None:
    write_tile(tmp_path, NAMES, halves(0, 1, 2, 2))
    (tmp_path / "classes.txt").write_text(legend)
    found = discover(tmp_path).classes
    assert found.values is not None
    shown = {number: found.scheme.classes[found.scheme.names.index(name)].title
             for number, name in found.values.items()}  # fmt: skip
    assert shown == (titles or {0: "0 Weg", 1: "class 1", 2: "class 2"})
    assert sum(found.pixels.values()) == SIDE * SIDE


def test_titles_alone_count_from_one_where_nothing_else_can_be_meant(tmp_path: Path) -> None:
    write_tile(tmp_path, NAMES, halves(1, 2))
    (tmp_path / "classes.txt").write_bytes("Straße\nGebäude\n".encode("cp1252"))
    found = discover(tmp_path).classes
    assert [each.title for each in found.scheme.classes] == ["Straße", "Gebäude"]
    assert found.values == {1: "strasse", 2: "gebaude"}


def test_a_declared_nodata_is_a_class_if_the_legend_names_it(tmp_path: Path) -> None:
    write_tile(tmp_path, NAMES, halves(0, 1, 2, 2))
    write(tmp_path / "a_labels.tif", halves(0, 1, 2, 2), nodata=0)
    assert discover(tmp_path).classes.values == {1: "class_1", 2: "class_2"}
    (tmp_path / "manifest.toml").unlink()
    (tmp_path / "classes.txt").write_text("0,Weg\n1,Haus\n2,Wald\n")
    found = discover(tmp_path).classes
    assert found.values == {0: "weg", 1: "haus", 2: "wald"}
    assert found.pixels["weg"] == SIDE * SIDE // 4


def test_what_an_alpha_hides_is_no_class(tmp_path: Path) -> None:
    write_tile(tmp_path, NAMES, halves(1, 2))
    labels = np.concatenate([halves(1, 2, 9, 9), halves(255, 255, 0, 0)])
    write(tmp_path / "a_labels.tif", labels, alpha="yes", photometric="minisblack")
    assert discover(tmp_path).classes.values == {1: "class_1", 2: "class_2"}


def test_tables_of_tiles_and_folders_that_do_not_do_are_refused(tmp_path: Path) -> None:
    write_tile(tmp_path, NAMES, halves(1, 2))
    (tmp_path / "tiles.csv").write_text("name,ortho,heigth\na,a_ortho.tif,a_ndsm.tif\n")
    with pytest.raises(BadManifest, match="nearest is 'height'"):
        discover(tmp_path)
    (tmp_path / "tiles.csv").unlink()
    (tmp_path / "manifest.toml.part").mkdir()  # root may write anywhere, but not over this
    with pytest.raises(OutputNotWritable, match="manifest"):
        discover(tmp_path)


@pytest.mark.parametrize(
    ("values", "word"), [((0.5, 1.5), "0.5"), ((-3, 1), "-3")], ids=["fractions", "negative"]
)
def test_numbers_that_are_no_classes_are_named(
    values: tuple[float, float], word: str, tmp_path: Path
) -> None:
    write_tile(tmp_path, NAMES, halves(1, 2))
    stripes = np.repeat(np.asarray(values, np.float32), SIDE // 2)[None, :, None]
    write(tmp_path / "a_labels.tif", stripes * np.ones((1, 1, SIDE), np.float32))
    with pytest.raises(BadLabels, match=word):
        discover(tmp_path)


def polygons(path: Path, *classes: str, column: str = "class") -> None:
    """Equal stripes of some classes, from above, as GeoJSON."""
    features, step = [], SIDE * 0.2 / len(classes)
    for number, name in enumerate(classes):
        top = 5_700_000 - number * step
        shape = shapely.box(500_000, top - step, 500_000 + SIDE * 0.2, top)
        geometry = json.loads(shapely.to_geojson(shape))
        features.append({"type": "Feature", "properties": {column: name}, "geometry": geometry})
    crs = {"type": "name", "properties": {"name": "EPSG:25832"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))


def test_polygons_of_known_classes_are_these_whatever_their_case(tmp_path: Path) -> None:
    layout = {"ortho": "a_ortho.tif", "height": "a_ndsm.tif", "labels": "b_labels.tif"}
    write_tile(tmp_path, layout, halves(0, 1))
    (tmp_path / "b_labels.tif").unlink()
    polygons(tmp_path / "a_labels.geojson", "Tree", "tree", "BUILDING", "car", column="Klasse")
    (tmp_path / "settings.json").write_text("{}")
    found = discover(tmp_path)
    assert found.tiles.tiles[0].files["labels"] == Path("a_labels.geojson")
    assert found.classes.scheme == ISPRS
    assert {k: v for k, v in found.classes.pixels.items() if v} == {
        "building": 1, "tree": 2, "car": 1
    }  # fmt: skip
    assert read_manifest(tmp_path).labels.column == "Klasse"


def test_other_classes_of_polygons_are_ones_own(tmp_path: Path) -> None:
    layout = {"ortho": "a_ortho.tif", "height": "a_ndsm.tif", "labels": "b_labels.tif"}
    write_tile(tmp_path, layout, halves(0, 1))
    (tmp_path / "b_labels.tif").unlink()
    polygons(tmp_path / "labels.geojson", "Straße", "straße ", "Dach")
    scheme = discover(tmp_path).classes.scheme
    assert [each.title.casefold() for each in scheme.classes] == ["dach", "strasse"]


def test_rasters_and_polygons_are_not_mixed(tmp_path: Path) -> None:
    for name in "ab":
        layout = {"ortho": f"{name}_ortho.tif", "height": f"{name}_ndsm.tif"}
        write_tile(tmp_path, layout | {"labels": f"{name}_labels.tif"}, halves(0, 1))
    (tmp_path / "b_labels.tif").unlink()
    polygons(tmp_path / "b_labels.geojson", "tree", "car")
    with pytest.raises(BadLabels, match="some of the labels are rasters, some polygons"):
        discover(tmp_path)


def test_a_folder_of_many_files_says_how_far_it_is(tmp_path: Path) -> None:
    layout = {"ortho": "ortho/{}.tif", "height": "ndsm/{}.tif", "labels": "labels/{}.tif"}
    for name in ("a", "b", "c"):
        write_tile(tmp_path, {k: v.format(name) for k, v in layout.items()}, halves(0, 1))
    for number in range(2_500):
        (tmp_path / f"readme_{number}.txt").touch()
    looked: list[int] = []
    read: list[tuple[int, int]] = []
    discover(tmp_path, looked.append, lambda done, total: read.append((done, total)))
    assert looked == [1000, 2000]
    assert read == [(1, 3), (2, 3), (3, 3)]
